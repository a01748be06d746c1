//! Reasons for which the API refuses a request.

use http::StatusCode;

use crate::site::outcome::Outcome;

/// Reason for which the API refuses a request.
pub(super) enum Refusal {
    /// Status of the reply, and a text that says why the request is refused.
    Error(StatusCode, String),
    /// The current version is not one that the client requires (`If-Match`).
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
