//! Outcomes of swaps and rollbacks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::plan::Plan;
use crate::rollout::report::outcomes::Counts;

/// Outcome of a swap or a rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Another version is current now.
    Serving {
        /// Number of the current version.
        version: u64,
        /// SHA-256 of the current version in hexadecimal.
        sha256: String,
        /// Number of the replaced version.
        replaced: u64,
        /// What came of the requests of the journal, unless none were tried.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replayed: Option<Box<Counts>>,
        /// Reason for which the version would not survive a restart, if a state
        /// folder is in use.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        not_durable: Option<String>,
    },
    /// The candidate gets a share of the clients, or copies of requests, as a plan says.
    RollingOut {
        /// Number of the candidate.
        version: u64,
        /// SHA-256 of the candidate in hexadecimal.
        sha256: String,
        /// Number of the current version, which serves the other clients.
        serving: u64,
        /// Plan.
        plan: Box<Plan>,
        /// What came of the requests of the journal, unless none were tried.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replayed: Option<Box<Counts>>,
    },
    /// A rollback has ended the rollout in progress; the current version serves all clients.
    RolloutEnded {
        /// Number of the candidate.
        version: u64,
        /// Number of the current version.
        serving: u64,
    },
    /// The current version has these bytes already, or is the requested one.
    Unchanged {
        /// Number of the current version.
        version: u64,
    },
    /// The candidate was rejected; the current version stays.
    Rejected {
        /// Number of the candidate.
        version: u64,
        /// Stage that failed.
        stage: String,
        /// Cause of the failure.
        cause: String,
        /// What to change in the module, or in the limits.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remedy: Option<String>,
        /// Number of the current version.
        serving: u64,
    },
    /// The command was refused and has changed nothing.
    Refused {
        /// Reason of the refusal.
        cause: String,
        /// Number of the current version.
        serving: u64,
    },
}

/// What came of a candidate that passed the gate.
pub(super) enum Published {
    /// The candidate serves, and has replaced the version with this number.
    Serving(u64),
    /// A rollout of the candidate has begun. The version with this number serves the other clients.
    RollingOut(u64, Plan),
}

/// Reason for refusing an order after another process has taken the place of this one in an
/// upgrade.
pub const HANDED_OVER: &str =
    "a new process has taken the place of this one (host upgrade); give the order to it";

/// Reason for refusing an order while this process is taking the place of another in an upgrade.
pub(super) const BEGINS: &str = "this process takes the place of another one at this moment; try again";

/// Reason for refusing an order, and for ending a rollout, when a reload has removed the site.
pub(super) const REMOVED: &str = "a reload has removed the site";
