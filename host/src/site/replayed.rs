//! Result of running the requests of the journal again on a candidate. Shows an operator which
//! responses differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::event::now;
use crate::rollout::report::outcomes::Report;

/// Maximum number of groups of differing responses, and of classes of requests, that [`Replayed`]
/// keeps of a report.
pub const GROUPS_MAX: usize = 50;

/// Result of the latest candidate that was tried on the requests of the journal before it served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// Number of the candidate.
    pub version: u64,
    /// Number of the version whose answers were compared with those of the candidate.
    pub against: u64,
    /// Time at which the replay of the requests ended, in UTC.
    pub time: String,
    /// Whether the candidate passed the gate.
    pub passed: bool,
    /// Report on the requests, with at most 50 groups and 50 classes.
    pub report: Report,
}

impl Replayed {
    /// Creates the result of a replay on candidate `version` and on version `against`. Truncates
    /// the report to [`GROUPS_MAX`] groups and classes.
    pub(super) fn new(version: u64, against: u64, passed: bool, mut report: Report) -> Replayed {
        report.groups.truncate(GROUPS_MAX);
        report.classes.truncate(GROUPS_MAX);
        Replayed { version, against, time: now(), passed, report }
    }
}
