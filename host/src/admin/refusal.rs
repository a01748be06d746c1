//! Reason for which a request to the API is not carried out.

use http::StatusCode;

use crate::site::outcome::Outcome;

/// Reason for which a request is not carried out.
pub(super) enum Refusal {
    /// Status of the reply, and the cause in words.
    Error(StatusCode, String),
    /// The current version is none of those that the client expects.
    Outdated {
        /// Outcome that the reply contains.
        refused: Outcome,
        /// Number of the current version.
        current: u64,
    },
}

pub(super) fn error(status: StatusCode, cause: impl Into<String>) -> Refusal {
    Refusal::Error(status, cause.into())
}

pub(super) fn refuse<T>(status: StatusCode, cause: impl Into<String>) -> Result<T, Refusal> {
    Err(error(status, cause))
}
