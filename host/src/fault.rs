//! Faults: the reasons why the host, and not the handler, answers a request, with the status of
//! each.

use std::sync::Arc;

use host_http::h1::BadMessage;
use host_http::invalid_response::InvalidResponse;
use host_http::request::BadRequest;
use host_http::target::BadTarget;
use host_wasm::CallError;
use http::StatusCode;
use thiserror::Error;

use crate::config::place::Nowhere;

/// Value of `retry-after` in each response with status 503, in seconds.
const RETRY_AFTER: &str = "1";

/// Reason why the host answers a request itself, instead of the handler. Its message says what
/// happened and, if a limit was exceeded, which flag sets the limit. The log contains the message;
/// with `--dev`, the response contains it too.
#[derive(Debug, Error)]
pub enum Fault {
    /// The request head, or the framing of the body, is not accepted.
    #[error(transparent)]
    Request(#[from] BadRequest),
    /// An HTTP/2 request was refused before the host converted its head to HTTP/1.1.
    #[error(
        "HTTP/2 does not allow its fields, or they are far longer than a head may be (--head-max), or the connection has \
         enough requests (--h2-streams)"
    )]
    Http2,
    /// The request body is longer than `--body-max`.
    #[error("the body is longer than {limit} bytes (--body-max)")]
    BodyTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The request body arrives too slowly.
    #[error("the body is too slow: {0}")]
    BodyTooSlow(BodyTooSlow),
    /// The request body was cut off, or its framing is malformed.
    #[error("the body cannot be read: {0}")]
    BodyUnreadable(String),
    /// The memory budget for all bodies, `--buffer-max`, is used up.
    #[error("the memory for bodies, {limit} bytes, is used up (--buffer-max)")]
    NoBuffer {
        /// Budget in bytes.
        limit: usize,
    },
    /// The newest build failed or was rejected. Only `host dev` uses this fault: it shows the cause
    /// instead of a response from the last good version.
    #[error("{cause}")]
    NotServed {
        /// Cause of the failed build or of the rejection.
        cause: Arc<str>,
    },
    /// No site is configured for the host and the path of the request.
    #[error(transparent)]
    NoSite(Nowhere),
    /// The client reset the connection.
    #[error("the client reset the connection before it was answered")]
    ClientGone,
    /// The handler call failed, so that there is no response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The handler returned an invalid response.
    #[error("the handler's response is refused: {0}")]
    Response(#[from] InvalidResponse),
}

/// Limit that a slow request body has violated.
#[derive(Debug, Error)]
pub enum BodyTooSlow {
    /// No bytes arrived within `--body-timeout`.
    #[error("nothing arrived for too long (--body-timeout)")]
    Piece,
    /// The rate was below `--body-rate-min`.
    #[error("fewer than {rate} bytes per second arrived (--body-rate-min, --rate-window)")]
    Rate {
        /// Lowest rate that is allowed, in bytes per second.
        rate: usize,
    },
    /// The body did not end within `--body-time-max`.
    #[error("it did not end in time (--body-time-max)")]
    Whole,
}

/// Name and status of a fault, and who has to fix its cause.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name of the fault in the log and in `host status`.
    pub name: &'static str,
    /// Status of the response.
    pub status: StatusCode,
    /// Who has to fix the cause.
    pub whose: Whose,
}

/// Who has to fix the cause of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The sender of the request.
    Client,
    /// The author of the module.
    Handler,
    /// The operator of the server, whose limits are exhausted.
    Operator,
}

impl From<BadMessage> for Fault {
    fn from(why: BadMessage) -> Fault {
        Fault::Request(why.into())
    }
}

impl Entry {
    fn of_request(why: &BadRequest) -> Entry {
        use StatusCode as S;
        let (name, status) = match why {
            BadRequest::Message(why) => match why {
                BadMessage::Malformed { .. } => ("malformed", S::BAD_REQUEST),
                BadMessage::Tls => ("TLS on a plain port", S::BAD_REQUEST),
                BadMessage::Version => ("version unknown", S::HTTP_VERSION_NOT_SUPPORTED),
                BadMessage::MethodUnknown { .. } => ("method unknown", S::NOT_IMPLEMENTED),
                BadMessage::Coding => ("transfer coding unknown", S::NOT_IMPLEMENTED),
                BadMessage::TargetTooLong { .. } => ("target too long", S::URI_TOO_LONG),
                BadMessage::HeadTooLong { .. }
                | BadMessage::TooManyFields { .. }
                | BadMessage::TooManyOptions { .. } => ("head too long", S::REQUEST_HEADER_FIELDS_TOO_LARGE),
                BadMessage::BodyTooLong { .. } => ("body too long", S::PAYLOAD_TOO_LARGE),
                BadMessage::HeadTooSlow => ("head too slow", S::REQUEST_TIMEOUT),
                BadMessage::GaveWay => ("gave way", S::REQUEST_TIMEOUT),
            },
            BadRequest::Target(BadTarget::Scheme) => ("target elsewhere", S::MISDIRECTED_REQUEST),
            BadRequest::Target(_) => ("target malformed", S::BAD_REQUEST),
            BadRequest::Host(_) => ("host malformed", S::BAD_REQUEST),
            BadRequest::ExpectationUnknown => ("expectation unknown", S::EXPECTATION_FAILED),
        };
        Entry { name, status, whose: Whose::Client }
    }
}

impl Fault {
    /// Returns the name and the status of the fault, and who has to fix the cause.
    pub fn entry(&self) -> Entry {
        use StatusCode as S;
        use Whose::{Client, Handler, Operator};
        let (name, status, whose) = match self {
            Fault::Request(why) => return Entry::of_request(why),
            // No client receives this response.
            Fault::Http2 => ("refused by HTTP/2", S::BAD_REQUEST, Client),
            Fault::BodyTooLong { .. } => ("body too long", S::PAYLOAD_TOO_LARGE, Client),
            Fault::BodyTooSlow(_) => ("body too slow", S::REQUEST_TIMEOUT, Client),
            Fault::BodyUnreadable(_) => ("body unreadable", S::BAD_REQUEST, Client),
            Fault::NoBuffer { .. } => ("no buffer", S::SERVICE_UNAVAILABLE, Operator),
            Fault::NoSite(Nowhere::Host) => ("host unknown", S::MISDIRECTED_REQUEST, Client),
            Fault::NoSite(Nowhere::Path) => ("path unknown", S::NOT_FOUND, Client),
            // No client receives this response.
            Fault::ClientGone => ("client gone", S::BAD_REQUEST, Client),
            Fault::NotServed { .. } => ("not served", S::INTERNAL_SERVER_ERROR, Handler),
            Fault::Call(CallError::NoRoom { .. }) => ("no room", S::PAYLOAD_TOO_LARGE, Client),
            Fault::Call(CallError::Trap { .. }) => ("trap", S::INTERNAL_SERVER_ERROR, Handler),
            Fault::Call(CallError::BadSpan { .. }) => ("bad address", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::ResponseTooLong { .. }) => ("response too long", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::ResponseGrewTooLong { .. }) => {
                ("response too long", S::BAD_GATEWAY, Handler)
            }
            Fault::Response(_) => ("invalid response", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::BodyLength { .. }) => ("invalid response", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::NoResponse) => ("no response", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::ErrorCode { .. }) => ("error code", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::Unfinished { .. }) => ("unfinished response", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::Unreadable) => ("message unreadable", S::BAD_REQUEST, Client),
            Fault::Call(CallError::Busy { .. } | CallError::CandidatesBusy { .. }) => {
                ("busy", S::SERVICE_UNAVAILABLE, Operator)
            }
            Fault::Call(CallError::NoInstance { .. }) => ("no instance", S::SERVICE_UNAVAILABLE, Operator),
            Fault::Call(CallError::Deadline { .. }) => ("deadline", S::GATEWAY_TIMEOUT, Handler),
        };
        Entry { name, status, whose }
    }

    /// Returns whether the host may not have read the whole request. If so, the host closes an
    /// HTTP/1 connection after the response, because the next bytes may not be the start of a
    /// request.
    pub(crate) fn leaves_unread(&self) -> bool {
        matches!(
            self,
            Fault::Request(BadRequest::Message(_))
                | Fault::BodyTooLong { .. }
                | Fault::BodyTooSlow(_)
                | Fault::BodyUnreadable(_)
                | Fault::NoBuffer { .. }
        )
    }

    /// Creates the response for this fault, encoded as a response of a handler: an HTML page with
    /// the status, and with `cause` if given.
    pub(crate) fn page(&self, cause: Option<&str>) -> Vec<u8> {
        let status = self.entry().status;
        let reason = status
            .canonical_reason()
            .unwrap_or_else(|| unreachable!("the table has registered statuses only"));
        let code = status.as_str();
        let mut page = format!("HTTP/1.1 {code} {reason}\r\ncontent-type: text/html; charset=utf-8\r\n");
        if status == StatusCode::SERVICE_UNAVAILABLE {
            page.push_str(&format!("retry-after: {RETRY_AFTER}\r\n"));
        }
        page.push_str(&format!("\r\n<h1>error {code} {}</h1>", reason.to_ascii_lowercase()));
        if let Some(cause) = cause {
            let cause = cause.replace('&', "&amp;").replace('<', "&lt;");
            page.push_str(&format!("\n<pre>{cause}</pre>\n"));
        }
        page.into_bytes()
    }
}
