//! A version as `host versions` shows it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::report::outcomes::Counts;
use crate::site::version::Label;

/// Version as shown by `host versions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Number, counted from 1.
    pub number: u64,
    /// State of the version.
    pub state: VersionState,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Source of the bytes.
    pub origin: String,
    /// Size of the module file in bytes.
    pub size: usize,
    /// Time at which the version became a candidate, in UTC.
    pub time: String,
    /// Number of the version that this one replaced when it was published, to which
    /// `host rollback` goes from this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced: Option<u64>,
    /// Share of the clients that the version answers during a rollout, such as `10%`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<String>,
    /// What came of the requests of the journal before the version was published, or its rollout
    /// began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed: Option<Counts>,
    /// Reason of the rejection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// State of a version, as `host versions` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Being prepared.
    Candidate,
    /// Candidate of a rollout, which gets a share of the requests, or copies of them.
    Rollout,
    /// Serving new requests.
    Current,
    /// Replaced, and still answering a request.
    Draining,
    /// Kept for rollback.
    Retired,
    /// Not taken, or undone.
    Rejected,
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Returns an entry with the label, the state and the reason only. A caller that has a record of
/// the version adds the other fields.
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
