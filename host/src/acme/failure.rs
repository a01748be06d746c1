//! Failures to get a certificate: the step that failed, the cause, and a hint for the operator.

use std::fmt;
use std::time::Instant;

use host_http::quote::quoted;
use instant_acme::Error;
use serde::{Deserialize, Serialize};

/// Maximum length of a cause in bytes; the rest is cut off. Much of the text comes from the
/// certificate authority.
pub const CAUSE_MAX: usize = 1024;

/// Problem type of an error response to a request with an invalid nonce (RFC 8555, section 6.5).
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// Problem type of an error response to a request from an unknown account (RFC 8555, section 6.7).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// Way to prove that a domain leads to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// TLS-ALPN-01, at port 443.
    Tls,
    /// HTTP-01, at port 80.
    Http,
}

/// Step in which getting a certificate failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening, reading or writing the folder of ACME (`--acme-dir`).
    Folder,
    /// Connecting to the authority, and opening or creating the account.
    Account,
    /// Creating an order for a certificate. Also the step of an attempt that took too long.
    Order,
    /// Proving to the authority, by this type of challenge, that this server controls the domain.
    Challenge(Way),
    /// Creating the private key, and downloading and checking the certificate.
    Certificate,
}

/// Wait that the authority has requested in the field `retry-after` of an error response.
#[derive(Clone, Copy, Debug)]
pub struct ComeBack {
    /// Time from which requests may be sent again.
    pub at: Instant,
    /// Whether the error response had a status of 500 or above, so that the authority itself has a
    /// problem, rather than the request.
    pub is_of_server: bool,
}

/// Failure to get a certificate.
#[derive(Debug)]
pub struct Failure {
    /// Step that failed.
    pub step: Step,
    /// Cause of the failure, in one line.
    pub cause: String,
    /// Wait that the authority has requested, if any.
    pub come_back: Option<ComeBack>,
    /// Whether the authority refused a request because it does not know the account.
    pub is_account_unknown: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Tls => "TLS-ALPN-01",
            Way::Http => "HTTP-01",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Folder => f.write_str("folder"),
            Step::Account => f.write_str("account"),
            Step::Order => f.write_str("order"),
            Step::Challenge(way) => write!(f, "challenge {way}"),
            Step::Certificate => f.write_str("certificate"),
        }
    }
}

impl Step {
    /// Returns a hint for the operator: what to check after this step has failed.
    pub fn hint(self) -> &'static str {
        match self {
            Step::Folder => "look at the folder: its owner, its mode, and the space on its disk (--acme-dir)",
            Step::Account => {
                "look at the URL of the directory (--acme-directory), at the way from this machine to it, and at \
                 --acme-email"
            }
            Step::Order => "look at the domain (--acme), and at the limits of the authority",
            Step::Challenge(Way::Tls) => {
                "look whether the domain leads to this server in the DNS, and its port 443 to an address with TLS \
                 (--listen)"
            }
            Step::Challenge(Way::Http) => {
                "look whether the domain leads to this server in the DNS, and its port 80 to an address with ,plain or \
                 ,redirect (--listen)"
            }
            Step::Certificate => "look at what the authority says, and at the clock of this machine",
        }
    }

    /// Creates a failure of this step with a cause.
    pub(super) fn failed(self, cause: impl fmt::Display) -> Failure {
        let cause = quoted(&cause.to_string(), CAUSE_MAX).to_string();
        Failure { step: self, cause, come_back: None, is_account_unknown: false }
    }

    /// Creates a failure of this step from the error of a request to the authority.
    pub(super) fn refused(self, error: &Error) -> Failure {
        let is_account_unknown = is(error, NO_ACCOUNT);
        let text = error.to_string();
        let cause = text.strip_prefix("API error: ").unwrap_or(&text);
        Failure { is_account_unknown, ..self.failed(cause) }
    }
}

impl Failure {
    /// Combines this failure with that of a further attempt with another challenge type. The result
    /// has the step of this failure, and both causes.
    pub(super) fn and(self, other: Failure) -> Failure {
        let cause = format!("{}; then, {}: {}", self.cause, other.step, other.cause);
        Failure { come_back: other.come_back, ..self.step.failed(cause) }
    }
}

/// Returns whether the authority refused the nonce of a request, so that the request should be sent
/// again.
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    is(error, BAD_NONCE)
}

fn is(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(kind))
}
