//! Flags for the journal, the gate and the watch, which test a candidate on recent requests.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use host_http::quote::quoted;
use http::HeaderName;

use crate::config::value::{BUDGET_MAX, COUNT_MAX, duration, duration_or_none, size};
use crate::rollout::compare::verdict::Rules;
use crate::rollout::report::accept::Pattern;

/// Maximum number of bytes of an invalid value that an error message quotes.
const SHOWN_MAX: usize = 200;

/// Flags about the journal and the gate.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Proof")]
pub struct ProofFlags {
    /// Maximum number of recent requests that the journal of a site keeps in memory (0 turns the
    /// journal off); past it the oldest request of the largest class is dropped
    #[arg(long, value_name = "N", default_value = "1000", value_parser = number, help_heading = "Limits")]
    pub journal: usize,

    /// Maximum memory of the journal of a site; past it the oldest requests of the largest class
    /// are dropped
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size::<BUDGET_MAX>)]
    #[arg(help_heading = "Limits")]
    pub journal_bytes: usize,

    /// Requests that the journal leaves out, such as 'POST /login' or '/private/*', where * stands for
    /// any characters; repeatable
    #[arg(long, value_name = "'[METHOD] TARGET'")]
    pub journal_skip: Vec<Pattern>,

    /// What a candidate must answer to the requests of the journal before it serves
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Gate::Faults)]
    pub gate: Gate,

    /// Longest time that a candidate is tried on the requests of the journal; past it the requests
    /// that have not run are not tried
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    #[arg(help_heading = "Limits")]
    pub gate_time: Duration,

    /// Time for which a version is watched after it was published. If the version fails requests
    /// that the version before it answers, it is rolled back. 0s turns the watch off
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = duration_or_none)]
    pub watch_after: Duration,

    /// Header whose value may differ between two versions, for the gate and for host diff; repeatable
    #[arg(long, value_name = "NAME", value_parser = field)]
    pub ignore_field: Vec<HeaderName>,
}

/// What a candidate must answer to the requests of the journal (`--gate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gate {
    /// No fault and no status of 500 or more where the current version answers well
    Faults,
    /// The answer of the current version, unless the difference was accepted
    Same,
    /// Anything: the candidate is not tried on the requests of the journal
    Off,
}

/// Settings of the tests that the candidates of a site must pass: journal, gate and watch.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Maximum number of requests in the journal; 0 turns the journal off.
    pub journal: usize,
    /// Maximum memory of the journal in bytes.
    pub journal_bytes: usize,
    /// Patterns of the requests that the journal does not keep.
    pub skip: Arc<[Pattern]>,
    /// Responses that the gate requires from a candidate.
    pub gate: Gate,
    /// Maximum time for which the gate runs requests with a candidate.
    pub time: Duration,
    /// Time for which a version is watched after it was published; 0 turns the watch off.
    pub watch_after: Duration,
    /// Rules for the comparison of two responses.
    pub rules: Arc<Rules>,
}

impl ProofFlags {
    /// Returns the settings that the flags contain.
    pub fn proof(&self) -> Proof {
        Proof {
            journal: self.journal,
            journal_bytes: self.journal_bytes,
            skip: self.journal_skip.clone().into(),
            gate: self.gate,
            time: self.gate_time,
            watch_after: self.watch_after,
            rules: Arc::new(Rules { ignore_fields: self.ignore_field.clone() }),
        }
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= COUNT_MAX);
    number.ok_or_else(|| format!("expected a whole number from 0 to {COUNT_MAX}"))
}

/// Parses the name of a header.
pub fn field(text: &str) -> Result<HeaderName, String> {
    let wrong = || format!("expected the name of a header such as etag, found `{}`", quoted(text, SHOWN_MAX));
    text.parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn what_is_no_name_of_a_header_is_shown_escaped() {
        assert_eq!(field("ETag").unwrap(), "etag");
        let error = field("e tag\n").unwrap_err();
        assert_eq!(error, "expected the name of a header such as etag, found `e tag\\n`");
    }
}
