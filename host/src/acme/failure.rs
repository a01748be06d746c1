//! Why a certificate was not got: the step that has failed, the cause, and what to look at.

use std::fmt;
use std::time::Instant;

use host_http::quote::quoted;
use instant_acme::Error;
use serde::{Deserialize, Serialize};

/// Longest cause in bytes. Much of it comes from the certificate authority.
pub const CAUSE_MAX: usize = 1024;

/// Type of the problem that a nonce is not known (RFC 8555, section 6.5).
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

/// Type of the problem that an account is not known (RFC 8555, section 6.7).
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

/// Step of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The folder is read or written.
    Folder,
    /// The directory is asked, and the account opened.
    Account,
    /// A certificate is ordered.
    Order,
    /// The authority looks whether the domain leads here.
    Challenge(Way),
    /// The certificate is made and fetched.
    Certificate,
}

/// Wish of an authority to be left alone for a while.
#[derive(Clone, Copy, Debug)]
pub struct ComeBack {
    /// Time at which it may be asked again.
    pub at: Instant,
    /// Whether its server is at fault (5xx), rather than what it was asked for.
    pub is_of_server: bool,
}

/// Failure of an order.
#[derive(Debug)]
pub struct Failure {
    /// Step that has failed.
    pub step: Step,
    /// Cause, in one line.
    pub cause: String,
    /// When the authority has asked to come back.
    pub come_back: Option<ComeBack>,
    /// Whether the authority does not know the account.
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
    /// Returns what to look at when the step has failed.
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

    /// Returns a failure of this step.
    pub(super) fn failed(self, cause: impl fmt::Display) -> Failure {
        let cause = quoted(&cause.to_string(), CAUSE_MAX).to_string();
        Failure { step: self, cause, come_back: None, is_account_unknown: false }
    }

    /// Returns a failure of this step, of a request to the authority.
    pub(super) fn refused(self, error: &Error) -> Failure {
        let is_account_unknown = is(error, NO_ACCOUNT);
        let text = error.to_string();
        let cause = text.strip_prefix("API error: ").unwrap_or(&text);
        Failure { is_account_unknown, ..self.failed(cause) }
    }
}

impl Failure {
    /// Returns this failure with that of a further attempt in another way.
    pub(super) fn and(self, other: Failure) -> Failure {
        let cause = format!("{}; then, {}: {}", self.cause, other.step, other.cause);
        Failure { come_back: other.come_back, ..self.step.failed(cause) }
    }
}

/// Returns whether the authority did not know a nonce, so that the request is to be sent again.
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    is(error, BAD_NONCE)
}

fn is(error: &Error, kind: &str) -> bool {
    matches!(error, Error::Api(problem) if problem.r#type.as_deref() == Some(kind))
}
