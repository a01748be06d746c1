//! Result of the latest candidate that was tried on the requests of the journal. It shows an
//! operator which answers differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::events::event::now;
use crate::rollout::report::outcomes::Report;

/// Largest number of groups of requests, and of classes with their costs, that a result keeps of a
/// report.
pub const GROUPS_MAX: usize = 50;

/// What came of a candidate that was tried on the requests of the journal before it served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// Number of the candidate.
    pub version: u64,
    /// Number of the version that answered the same requests.
    pub against: u64,
    /// Time of the end, in UTC.
    pub time: String,
    /// Whether the candidate passed the gate.
    pub passed: bool,
    /// What came of the requests, with at most 50 groups and 50 classes.
    pub report: Report,
}

impl Replayed {
    /// Creates the result of a replay on version `version`. Cuts the report to [`GROUPS_MAX`]
    /// groups and classes.
    pub(super) fn new(version: u64, against: u64, passed: bool, mut report: Report) -> Replayed {
        report.groups.truncate(GROUPS_MAX);
        report.classes.truncate(GROUPS_MAX);
        Replayed { version, against, time: now(), passed, report }
    }
}
