//! A version as `host versions` shows it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::report::outcomes::Counts;
use crate::site::version::Label;

/// Version as shown by `host versions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Number of the version, counted from 1.
    pub number: u64,
    /// State of the version.
    pub state: VersionState,
    /// SHA-256 of the module file in hexadecimal.
    pub sha256: String,
    /// Source of the module, such as the path of a file.
    pub origin: String,
    /// Size of the module file in bytes.
    pub size: usize,
    /// Time at which the version became a candidate, in UTC.
    pub time: String,
    /// Number of the version that this version replaced when it was published, and to which `host
    /// rollback` goes back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced: Option<u64>,
    /// Share of the clients that the version answers during a rollout, such as `10%`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<String>,
    /// Results of the requests of the journal on which the version was tried before it served;
    /// absent if none were tried.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed: Option<Counts>,
    /// Reason for which the version was rejected; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// State of a version, as `host versions` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Candidate that is being prepared.
    Candidate,
    /// Candidate of a rollout, which gets a share of the requests, or copies of requests.
    Rollout,
    /// Current version, which serves new requests.
    Current,
    /// Replaced version that still answers a request.
    Draining,
    /// Replaced version that is kept for rollback.
    Retired,
    /// Rejected candidate, or published version that was rolled back because it was worse.
    Rejected,
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Creates the entry of a version. Fills in only its label, state and reason; the time is `-`, and
/// the other fields are empty. A caller with a record of the version adds them.
pub(super) fn entry(label: &Label, state: VersionState, reason: Option<String>) -> Entry {
    Entry {
        number: label.number,
        state,
        sha256: label.sha256.clone(),
        origin: label.origin.to_string(),
        size: label.size,
        time: "-".into(),
        replaced: None,
        share: None,
        replayed: None,
        reason,
    }
}
