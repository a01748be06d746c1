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
        /// Results of the requests of the journal on which the candidate was tried; absent if none
        /// were tried.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replayed: Option<Box<Counts>>,
        /// Reason for which the version would not survive a restart, because it could not be saved
        /// in the state folder; absent otherwise.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        not_durable: Option<String>,
    },
    /// A rollout of the candidate is in progress: the candidate gets a share of the clients, or
    /// copies of requests.
    RollingOut {
        /// Number of the candidate.
        version: u64,
        /// SHA-256 of the candidate in hexadecimal.
        sha256: String,
        /// Number of the current version, which serves the other clients.
        serving: u64,
        /// Plan of the rollout.
        plan: Box<Plan>,
        /// Results of the requests of the journal on which the candidate was tried; absent if none
        /// were tried.
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
    /// Nothing has changed: the current version has the bytes of the candidate, or is the version
    /// that a rollback asked for.
    Unchanged {
        /// Number of the current version.
        version: u64,
    },
    /// The candidate was rejected; the current version goes on serving.
    Rejected {
        /// Number of the candidate.
        version: u64,
        /// Stage in which the candidate was rejected, such as `compile` or `probe`.
        stage: String,
        /// Cause of the rejection: what was found, and what was expected.
        cause: String,
        /// Remedy: what to change in the module, or in the limits; absent if none is known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remedy: Option<String>,
        /// Number of the current version.
        serving: u64,
    },
    /// The command was refused and has changed nothing.
    Refused {
        /// Reason for which the command was refused.
        cause: String,
        /// Number of the current version.
        serving: u64,
    },
}

/// How a candidate that passed the gate was published.
pub(super) enum Published {
    /// The candidate serves all clients. Holds the number of the version that it replaced.
    Serving(u64),
    /// A rollout of the candidate has begun. Holds the number of the current version, which serves
    /// the other clients, and the plan of the rollout.
    RollingOut(u64, Plan),
}

/// Reason for refusing an order after a new process has replaced this one in an upgrade.
pub const HANDED_OVER: &str =
    "a new process has taken the place of this one (host upgrade); give the order to it";

/// Reason for refusing an order in an upgrade, while this process is still replacing the previous
/// one.
pub(super) const BEGINS: &str = "this process takes the place of another one at this moment; try again";

/// Reason for refusing an order, or for ending a rollout, after a reload has removed the site.
pub(super) const REMOVED: &str = "a reload has removed the site";
