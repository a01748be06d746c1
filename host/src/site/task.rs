//! What may be ordered of a swapper, and the outcomes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Kinds of order.
#[derive(Debug)]
pub enum Task {
    /// Read the file, and swap if its content has changed.
    FileChanged,
    /// Read the file and swap, even if the content was rejected before.
    ReadAgain,
    /// Swap to these bytes, which the client calls by this name.
    Swap(String, Arc<[u8]>),
}

/// Returns whether the client that gave an order has disconnected.
pub type IsGone = Box<dyn Fn() -> bool + Send + Sync>;

/// Outcome of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        /// Reason for which the version would not survive a restart, if a state
        /// folder is in use.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        not_durable: Option<String>,
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
        /// Number of the current version.
        serving: u64,
    },
    /// The order was not carried out.
    Refused {
        /// Reason of the refusal.
        cause: String,
        /// Number of the current version.
        serving: u64,
    },
}

/// Returns the cause of a refusal because another version than `--if-version` is
/// current.
pub(super) fn serves_by_now(serving: u64, expected: u64) -> String {
    format!("version {serving} is current; expected version {expected} (--if-version)")
}
