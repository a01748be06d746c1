//! Flags for what a server adds to a request: the time, the id and the address of the client.

use std::time::SystemTime;

use host_http::request_id::RequestId;

use crate::trial::exchange::Facts;

/// What a server would add to each request.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FactFlags {
    /// Time of each request, in RFC 3339, such as 2026-01-02T03:04:05Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<SystemTime>,
    /// Id of each request, as the handler gets it in x-request-id [default: -]
    #[arg(long, value_name = "ID", value_parser = id)]
    id: Option<RequestId>,
    /// Address of the client, as the handler gets it in x-forwarded-for [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = client)]
    client: Option<String>,
}

impl FactFlags {
    /// Returns the values of the flags, with defaults for flags that are not given.
    pub(super) fn facts(&self) -> Facts {
        let default = Facts::default();
        Facts {
            time: self.time,
            id: self.id.unwrap_or(default.id),
            client: self.client.clone().unwrap_or(default.client),
        }
    }
}

fn time(text: &str) -> Result<SystemTime, String> {
    let time = humantime::parse_rfc3339_weak(text);
    time.map_err(|_| "expected a time such as 2026-01-02T03:04:05Z".into())
}

fn id(text: &str) -> Result<RequestId, String> {
    RequestId::parse(text).ok_or_else(|| {
        format!("expected 1 to {} visible ASCII characters, as in 85a43730-1-1", RequestId::LENGTH_MAX)
    })
}

fn client(text: &str) -> Result<String, String> {
    let is_address = text == "unix" || text.parse::<std::net::IpAddr>().is_ok();
    is_address.then(|| text.to_owned()).ok_or_else(|| "expected an IP address, or unix".into())
}
