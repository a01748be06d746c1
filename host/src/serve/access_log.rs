//! Writes one log line for each request. A response that the host made itself is
//! logged at a level that depends on who has to fix the fault, with the name and
//! the cause of the fault.

use host_http::field::Name;
use host_http::request_head::{RequestHead, Version};
use host_http::request_id::RequestId;
use host_http::trace::Trace;
use tracing::{Level, event, field};

use crate::config::log_lines::LogField;
use crate::fault::{Fault, Whose};
use crate::metrics::requests::Answered;
use crate::site::current::Serving;
use crate::telemetry::request_line;

/// Maximum length of a header value in a log line, in bytes before escaping. A longer value is cut.
const VALUE_MAX: usize = 512;

/// Values of one log line.
pub struct Line<'a> {
    /// Head of the request, and its target in the form for the log; [`None`] if the request could
    /// not be parsed.
    pub request: Option<(&'a RequestHead<'a>, &'a str)>,
    /// Address of the client, which may be behind trusted proxies.
    pub client: &'a str,
    /// Address of the peer of the connection, or of the client that the PROXY protocol header of
    /// the peer names.
    pub peer: &'a str,
    /// Status, sizes and times of the response.
    pub answered: &'a Answered<'a>,
    /// Length of the response body in bytes; 0 in answer to HEAD.
    pub length: usize,
    /// Name of the site, unless it is the default one.
    pub site: Option<&'a str>,
    /// Number of the version that was called, if one was.
    pub version: Option<u64>,
    /// Id of the request.
    pub id: &'a RequestId,
    /// Trace span of the request; [`None`] if the host takes no part in distributed tracing.
    pub trace: Option<&'a Trace>,
    /// Version whose secrets are masked in header values.
    pub serving: Option<&'a Serving>,
    /// Reason why the host answered instead of the handler, if it did, and the text of this reason,
    /// in which secrets are masked.
    pub fault: Option<(&'a Fault, &'a str)>,
}

/// Writes a line under the log target `request`, with the fields that `--log-fields` names. A line
/// about a fault always has the id, the fault and the cause. Values need no escaping here: the log
/// formatter quotes them.
pub fn write(line: &Line<'_>) {
    use LogField::{
        BytesIn, BytesOut, CallUs, Client, Host, Id, Length, Method, Parent, Peer, Protocol, QueueUs,
        Referer, Site, Span, Status, Target, TimeUs, Trace, UserAgent, Version,
    };
    let fields = request_line::fields();
    let Line { answered, trace, .. } = *line;
    let (method, target) = line.request.map_or(("-", "-"), |(head, target)| (head.method, target));
    // Computes a value only if its field is wanted.
    macro_rules! wanted {
        ($field:expr, $value:expr) => {
            if fields.has($field) { $value } else { None }
        };
    }
    macro_rules! write_at {
        ($level:expr) => {
            event!(
                target: "request",
                $level,
                method = wanted!(Method, Some(field::display(method))),
                target = wanted!(Target, Some(field::display(target))),
                status = wanted!(Status, Some(answered.status)),
                length = wanted!(Length, Some(line.length)),
                client = wanted!(Client, Some(field::display(line.client))),
                time_us = wanted!(TimeUs, Some(answered.took.as_micros() as u64)),
                queue_us = wanted!(QueueUs, answered.call.map(|call| call.waited.as_micros() as u64)),
                call_us = wanted!(CallUs, answered.call.map(|call| call.ran.as_micros() as u64)),
                bytes_in = wanted!(BytesIn, Some(answered.received)),
                bytes_out = wanted!(BytesOut, Some(answered.sent)),
                peer = wanted!(Peer, Some(field::display(line.peer))),
                protocol = wanted!(Protocol, line.protocol().map(field::display)),
                host = wanted!(Host, line.host().map(field::display)),
                user_agent = wanted!(UserAgent, line.header("user-agent").map(field::display)),
                referer = wanted!(Referer, line.referer().map(field::display)),
                site = wanted!(Site, line.site),
                version = wanted!(Version, line.version),
                id = (fields.has(Id) || line.fault.is_some()).then(|| field::display(line.id)),
                trace = wanted!(Trace, trace.map(|trace| field::display(trace.trace_id()))),
                span = wanted!(Span, trace.map(|trace| field::display(trace.span_id()))),
                parent = wanted!(Parent, trace.and_then(|trace| trace.parent_id().map(field::display))),
                fault = line.fault.map(|(fault, _)| fault.entry().name),
                cause = line.fault.map(|(_, cause)| field::display(cause)),
            )
        };
    }
    match line.fault.map(|(fault, _)| fault.entry().whose) {
        None | Some(Whose::Client) => write_at!(Level::INFO),
        Some(Whose::Operator) => write_at!(Level::WARN),
        Some(Whose::Handler) => write_at!(Level::ERROR),
    }
}

impl Line<'_> {
    fn protocol(&self) -> Option<&'static str> {
        self.request.map(|(head, _)| match head.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2",
        })
    }

    /// Returns the host that the request names, as the client wrote it but without user
    /// information.
    fn host(&self) -> Option<String> {
        let (head, _) = self.request?;
        let named = match head.target.split_once("://").filter(|_| !head.target.starts_with('/')) {
            Some((_, rest)) => rest.split(['/', '?', '#']).next().unwrap_or_default().as_bytes(),
            None => head.fields.values(Name::Host).next()?,
        };
        let host = named.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
        Some(cut(self.text(host)))
    }

    fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.request?;
        head.fields.first(name).map(|value| cut(self.text(value)))
    }

    fn referer(&self) -> Option<String> {
        let (head, _) = self.request?;
        let text = self.text(head.fields.first("referer")?);
        Some(cut(request_line::referer(&text).into_owned()))
    }

    /// Converts a value that the client sent to text, and masks secrets in it.
    fn text(&self, value: &[u8]) -> String {
        let text = String::from_utf8_lossy(value);
        self.serving.map_or_else(|| text.to_string(), |version| version.mask(&text).into_owned())
    }
}

/// Cuts a value that is longer than [`VALUE_MAX`], and marks the cut with `…`.
fn cut(mut value: String) -> String {
    if value.len() > VALUE_MAX {
        value.truncate(value.floor_char_boundary(VALUE_MAX));
        value.push('…');
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{VALUE_MAX, cut};

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let text = "a".repeat(VALUE_MAX);
        assert_eq!(cut(text.clone()), text);
        assert_eq!(cut(format!("{text}b")), format!("{text}…"));
        assert_eq!(cut("ü".repeat(VALUE_MAX) + "x").chars().count(), VALUE_MAX / 2 + 1);
    }
}
