//! Commands about the faults, the readiness, the certificates and the log of a running server:
//! `host faults`, `host health`, `host cert` and `host log-level`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Subcommand;
use serde_json::json;

use crate::admin::protocol::{Faults, LogLevel};
use crate::cli::ask::{self, show};
use crate::cli::client::{self, Ask, Server};
use crate::cli::output::{one_line, print};
use crate::fault_counts::Recent;
use crate::rollout::report::number::counted;
use crate::telemetry::log;
use crate::tls::facts::Facts;
use crate::tls::orders::ShownOrder;
use crate::tls::shown::{AllShown, Shown};

/// Path of the API resource that shows and sets the levels of the log.
const LOG_LEVEL: &str = "/v1/log-level";

/// Commands about the faults, the readiness, the certificates and the log of a running server.
#[derive(Clone, Debug, Subcommand)]
pub enum Insight {
    /// Show how often a running server made the response itself, by fault, and the latest faults of the
    /// handler and of the server with their causes
    Faults {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Ask whether a running server takes requests, as GET /readyz of its API does, for health
    /// checks. Exit code 0: the server takes requests; 1: it is shutting down, or no server runs
    Health {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Show the certificates that a running server gives to new connections, why a certificate in
    /// its files is refused, if one is, and the next attempts by ACME. Exit code 1: a certificate
    /// has expired or is not valid yet, one is refused, or the last attempt for a domain has failed
    Cert {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Show the levels of the log of a running server, or change them until a reload or a restart
    LogLevel {
        /// Levels, as --log-level of the server takes them, such as info,request=off [default: change
        /// nothing]
        #[arg(value_parser = level)]
        level: Option<String>,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
}

impl Insight {
    pub(super) fn is_json(&self) -> bool {
        match self {
            Insight::Faults { server }
            | Insight::Health { server }
            | Insight::Cert { server }
            | Insight::LogLevel { server, .. } => server.json,
        }
    }
}

/// Runs `host faults`, `host health`, `host cert` or `host log-level`.
///
/// # Errors
///
/// One line: why the server could not be reached, or why it refused the command.
pub(super) fn run(what: Insight) -> anyhow::Result<ExitCode> {
    match what {
        Insight::Faults { server } => show(&server, Ask::get("/v1/faults"), show_faults),
        Insight::Health { server } => {
            let reply = ask::unless_refused(client::ask(&server, Ask::get("/readyz"))?)?;
            print(if server.json { format!("{}\n", json!({ "outcome": reply.trim_end() })) } else { reply });
            Ok(ExitCode::SUCCESS)
        }
        Insight::Cert { server } => show(&server, Ask::get("/v1/certificates"), show_certificates),
        Insight::LogLevel { level: None, server } => show(&server, Ask::get(LOG_LEVEL), |now: &LogLevel| {
            (format!("levels of the log: {}\n", one_line(&now.level)), ExitCode::SUCCESS)
        }),
        Insight::LogLevel { level: Some(level), server } => {
            let ask = Ask::put(LOG_LEVEL, serde_json::to_vec(&LogLevel { level })?);
            show(&server, ask, |now: &LogLevel| {
                let level = one_line(&now.level);
                (format!("levels of the log until a reload or a restart: {level}\n"), ExitCode::SUCCESS)
            })
        }
    }
}

fn show_certificates(AllShown { certificates, refused, orders }: &AllShown) -> (String, ExitCode) {
    let mut text = String::new();
    let now = SystemTime::now();
    let mut is_invalid = false;
    for Shown { file, facts } in certificates {
        let validity = facts.validity(now);
        is_invalid |= !validity.is_good();
        let Facts { names, not_before, not_after, issuer, sha256, .. } = facts;
        let (file, names, state) = (file.display().to_string(), names.join(" "), validity.to_string());
        let _ = writeln!(text, "{}", one_line(&file));
        let lines = [
            ("names", &names),
            ("from", not_before),
            ("until", not_after),
            ("state", &state),
            ("issuer", issuer),
            ("sha256", sha256),
        ];
        for (name, value) in lines {
            let _ = writeln!(text, "  {name:<7} {}", one_line(value));
        }
    }
    if certificates.is_empty() && orders.is_empty() {
        text += "the server speaks no TLS (--tls-cert, --acme)\n";
    }
    for ShownOrder { domain, next, failures, cause } in orders {
        let failed = cause.as_ref().map(|cause| {
            let times = counted(u64::from(*failures), "time", "times");
            format!("\n  failed  {times}, last because: {}", one_line(cause))
        });
        let _ =
            writeln!(text, "{} by ACME\n  next    {next}{}", one_line(domain), failed.unwrap_or_default());
    }
    let has_failed = refused.is_some() || orders.iter().any(|order| order.cause.is_some());
    if let Some(cause) = refused {
        let _ = writeln!(text, "refused, so these go on: {}", one_line(cause));
    }
    (text, if has_failed || is_invalid { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn level(text: &str) -> Result<String, String> {
    log::filter(text).map(|_| text.to_owned())
}

fn show_faults(Faults { counts, recent }: &Faults) -> (String, ExitCode) {
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    let mut text = format!("faults since the start: {counts}\n");
    if !recent.is_empty() {
        text += "latest faults of the handler and of the server, newest first:\n";
    }
    for Recent { time, id, fault, status, method, target, site, version, cause } in recent {
        let site = site.as_ref().map(|site| format!(", site {site}")).unwrap_or_default();
        let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
        let line =
            format!("{time}  {fault} ({status}), {method} {target}, request {id}{site}{version}: {cause}");
        let _ = writeln!(text, "  {}", one_line(&line));
    }
    (text, ExitCode::SUCCESS)
}
