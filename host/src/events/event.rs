//! Events and their fields.

use std::fmt::{self, Display};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock;
use crate::fault_counts::{Recent, cut};

/// Maximum total length of the texts in one list of an event, in bytes.
pub const LIST_MAX: usize = 4 << 10;

/// Event of the server: a change or a fault.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Another version serves.
    Serving {
        /// Time of the event, in UTC.
        time: String,
        /// Name of the site; absent for the default site.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        /// Number of the version.
        version: u64,
        /// SHA-256 of the version's module in hexadecimal.
        sha256: String,
        /// Number of the version that was current before.
        replaced: u64,
        /// Whether a new version was swapped in or an older version was restored.
        how: How,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// A candidate was rejected, or a version that served was worse than the one before it.
    Rejected {
        /// Time of the event, in UTC.
        time: String,
        /// Name of the site; absent for the default site.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        /// Number of the rejected version.
        version: u64,
        /// Stage in which the version was rejected, such as `compile` or `watch`.
        stage: String,
        /// Cause of the rejection.
        cause: String,
        /// Remedy: what to change in the module, or in the limits; absent if none is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
        /// Number of the version that serves.
        serving: u64,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// The configuration was reloaded.
    Reloaded {
        /// Time of the event, in UTC.
        time: String,
        /// Keys and sites of the configuration that were changed.
        applied: Vec<String>,
        /// Keys of the configuration whose new values need a restart of the server.
        needs_restart: Vec<String>,
        /// Causes for which single sites were not changed.
        failed: Vec<String>,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// A reload failed and has changed nothing.
    NotReloaded {
        /// Time of the event, in UTC.
        time: String,
        /// Causes of the failure, one a line.
        cause: String,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// A rollout has changed.
    Rollout {
        /// Time of the event, in UTC.
        time: String,
        /// Name of the site; absent for the default site.
        #[serde(skip_serializing_if = "Option::is_none")]
        site: Option<String>,
        /// Number of the candidate.
        version: u64,
        /// What has changed in the rollout.
        change: Change,
        /// Phase: `shadow`, or the step and the share of the clients, such as `step 1 of 3, 10%`.
        phase: String,
        /// Cause for which the rollout has stopped or the candidate was rejected; absent otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// A reload has added a site.
    SiteAdded {
        /// Time of the event, in UTC.
        time: String,
        /// Name of the site.
        site: String,
        /// Number of the version that serves.
        version: u64,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// A reload has removed a site.
    SiteRemoved {
        /// Time of the event, in UTC.
        time: String,
        /// Name of the site.
        site: String,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// The levels of the log were changed.
    LogLevel {
        /// Time of the event, in UTC.
        time: String,
        /// Levels of the log that are in force now, such as `info,request=off`.
        level: String,
        /// Who or what ordered the change, such as `SIGHUP`, `file` or `uid 1000, pid 42`.
        by: String,
    },
    /// New connections get another certificate.
    Certificate {
        /// Time of the event, in UTC.
        time: String,
        /// Path of the file with the certificate and the certificates of its authorities.
        file: String,
        /// Names of servers and IP addresses that the certificate is for.
        names: Vec<String>,
        /// Time at which the certificate expires, in RFC 3339.
        not_after: String,
    },
    /// A certificate file has changed, and its content is refused. The certificates before the
    /// change stay in use.
    CertificateRefused {
        /// Time of the event, in UTC.
        time: String,
        /// Which file is refused, and why.
        cause: String,
    },
    /// An attempt to get a certificate by ACME for a domain has failed. A certificate that the
    /// domain has stays in use.
    CertificateFailed {
        /// Time of the event, in UTC.
        time: String,
        /// Domain that the certificate is for.
        domain: String,
        /// Step of the attempt that has failed.
        step: String,
        /// Cause of the failure.
        cause: String,
        /// Time of the next attempt, in RFC 3339.
        next: String,
    },
    /// The handler or the server failed at a request.
    Fault(Recent),
    /// The server is shutting down: it answers the requests in flight and takes no others.
    Ending {
        /// Time of the event, in UTC.
        time: String,
        /// Id of the process that has taken the place of this one, after an upgrade; absent
        /// otherwise.
        #[serde(skip_serializing_if = "Option::is_none")]
        successor: Option<u32>,
    },
    /// Events before this one are lost to this client. `GET /v1/status` has the current state.
    Missed {
        /// Time of the event, in UTC.
        time: String,
        /// Number of lost events; absent if the number is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        count: Option<u64>,
    },
}

/// How another version became current.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A new version was swapped in.
    Swap,
    /// An older version serves again.
    Rollback,
}

/// Change of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The rollout has begun.
    Begun,
    /// The rollout goes on after a restart of the server.
    Continued,
    /// A step of the rollout has begun.
    Step,
    /// An operator has paused the rollout.
    Paused,
    /// The rollout waits for an operator: the candidate got too few requests, or could not be
    /// published.
    Stopped,
    /// An operator has resumed the rollout.
    Resumed,
    /// The candidate of the rollout was published.
    Published,
    /// The candidate of the rollout was rejected, or another change or an operator has ended the
    /// rollout.
    Rejected,
    /// A shadow without a rollout is over: its time has passed.
    Over,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Change {
    /// Returns the name of the change, as in events.
    pub fn name(self) -> String {
        struct Name(Change);
        impl fmt::Display for Name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.serialize(f)
            }
        }
        Name(self).to_string()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Begun => "has begun",
            Change::Continued => "goes on after a restart",
            Change::Step => "goes on",
            Change::Paused => "is paused",
            Change::Stopped => "has stopped",
            Change::Resumed => "is resumed",
            Change::Published => "is done, its candidate is published",
            Change::Rejected => "has ended, its candidate is rejected",
            Change::Over => "is over",
        })
    }
}

impl Event {
    /// Returns the event of a reload.
    pub fn reloaded(
        applied: &[String],
        needs_restart: &[String],
        failed: &[String],
        by: impl Display,
    ) -> Event {
        let (applied, needs_restart, failed) = (list(applied), list(needs_restart), list(failed));
        Event::Reloaded { time: now(), applied, needs_restart, failed, by: by.to_string() }
    }

    /// Returns the event of a reload that failed.
    pub fn not_reloaded(cause: &str, by: impl Display) -> Event {
        Event::NotReloaded { time: now(), cause: cut(cause), by: by.to_string() }
    }

    /// Returns the event of a site that was added.
    pub fn site_added(site: &str, version: u64, by: impl Display) -> Event {
        Event::SiteAdded { time: now(), site: site.into(), version, by: by.to_string() }
    }

    /// Returns the event of a site that was removed.
    pub fn site_removed(site: &str, by: impl Display) -> Event {
        Event::SiteRemoved { time: now(), site: site.into(), by: by.to_string() }
    }

    /// Returns the event of a change of the log's levels.
    pub fn log_level(level: &str, by: impl Display) -> Event {
        Event::LogLevel { time: now(), level: cut(level), by: by.to_string() }
    }

    /// Returns the event of a certificate that the server uses for new connections from now on.
    pub fn certificate(file: &str, names: &[String], not_after: &str) -> Event {
        Event::Certificate { time: now(), file: cut(file), names: list(names), not_after: not_after.into() }
    }

    /// Returns the event of certificate files that were refused, so that the server keeps the
    /// previous certificates.
    pub fn certificate_refused(cause: &str) -> Event {
        Event::CertificateRefused { time: now(), cause: cut(cause) }
    }

    /// Returns the event of a failed attempt to get a certificate through ACME.
    pub fn certificate_failed(domain: &str, step: &str, cause: &str, next: &str) -> Event {
        let (domain, step, cause, next) = (domain.into(), step.into(), cut(cause), next.into());
        Event::CertificateFailed { time: now(), domain, step, cause, next }
    }

    /// Returns the event of the end of this process. `successor` is the id of the process that has
    /// taken over, after an upgrade.
    pub fn ending(successor: Option<u32>) -> Event {
        Event::Ending { time: now(), successor }
    }

    /// Returns the event that tells a client how many events it has missed, if that is known.
    pub(super) fn missed(count: Option<u64>) -> Event {
        Event::Missed { time: now(), count }
    }

    fn name(&self) -> &'static str {
        match self {
            Event::Serving { .. } => "serving",
            Event::Rejected { .. } => "rejected",
            Event::Rollout { .. } => "rollout",
            Event::Reloaded { .. } => "reloaded",
            Event::NotReloaded { .. } => "not-reloaded",
            Event::SiteAdded { .. } => "site-added",
            Event::SiteRemoved { .. } => "site-removed",
            Event::LogLevel { .. } => "log-level",
            Event::Certificate { .. } => "certificate",
            Event::CertificateRefused { .. } => "certificate-refused",
            Event::CertificateFailed { .. } => "certificate-failed",
            Event::Fault(_) => "fault",
            Event::Ending { .. } => "ending",
            Event::Missed { .. } => "missed",
        }
    }

    /// Returns the event in the format of server-sent events, without the `id` line.
    pub(super) fn lines(&self) -> String {
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("event: {}\ndata: {data}\n\n", self.name())
    }
}

/// Returns the current time in the format of events: in UTC, to the microsecond.
pub fn now() -> String {
    clock::micros(SystemTime::now()).to_string()
}

/// Returns the first texts of a list, together at most [`LIST_MAX`] bytes. If texts are left out, a
/// last text says how many.
fn list(texts: &[String]) -> Vec<String> {
    let mut left = LIST_MAX;
    let fits = |text: &&String| {
        let rest = left.checked_sub(text.len());
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut shown: Vec<_> = texts.iter().take_while(fits).cloned().collect();
    if let more @ 1.. = texts.len() - shown.len() {
        shown.push(format!("{more} more (the log has them)"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{Event, LIST_MAX, list};

    #[test]
    fn an_event_is_a_name_and_one_line_of_json() {
        let event = Event::NotReloaded { time: "T".into(), cause: "a\nb\rc".into(), by: "SIGHUP".into() };
        assert_eq!(
            event.lines(),
            "event: not-reloaded\n\
             data: {\"event\":\"not-reloaded\",\"time\":\"T\",\"cause\":\"a\\nb\\rc\",\"by\":\"SIGHUP\"}\n\n"
        );
    }

    #[test]
    fn the_name_of_each_event_stands_in_its_data_too() {
        for event in [
            Event::reloaded(&[], &[], &[], "file"),
            Event::not_reloaded("", "file"),
            Event::site_added("a", 1, "file"),
            Event::site_removed("a", "file"),
            Event::log_level("info", "file"),
            Event::certificate("a.pem", &["a".into()], "T"),
            Event::certificate_refused("file"),
            Event::certificate_failed("a.test", "order", "none", "T"),
            Event::ending(Some(2)),
            Event::missed(Some(1)),
        ] {
            let data = format!("data: {{\"event\":\"{}\",\"time\":", event.name());
            assert!(event.lines().contains(&data), "{}", event.lines());
        }
    }

    #[test]
    fn a_long_list_is_shortened() {
        let texts: Vec<String> = vec!["x".repeat(LIST_MAX / 4); 6];
        assert_eq!(list(&texts[..4]), texts[..4]);
        assert_eq!(list(&texts).last().unwrap(), "2 more (the log has them)");
        assert_eq!(list(&["y".repeat(LIST_MAX + 1)]), ["1 more (the log has them)"]);
    }
}
