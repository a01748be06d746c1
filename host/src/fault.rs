//! Why the host answers itself, and with what: the one table from a fault to
//! its status.

use std::sync::Arc;

use bytes::Bytes;
use host_http::authority::BadHost;
use host_http::invalid_response::InvalidResponse;
use host_http::request::BadRequest;
use host_http::target::BadTarget;
use host_http::wire::BadMessage;
use host_wasm::CallError;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use thiserror::Error;

/// How long a client is asked to wait before it tries again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why there is no answer from the handler. The text says what happened and
/// what changes it; it is for the log, and the client never sees it.
#[derive(Debug, Error)]
pub enum Fault {
    /// It is not clear what the message is, or it is past a limit.
    #[error("the request is refused: {0}")]
    Message(#[from] BadMessage),
    /// The target has no form that its method may have.
    #[error("the target is malformed: {0}")]
    Target(#[from] BadTarget),
    /// It is not clear which server is meant.
    #[error("the request is malformed: {0}")]
    Host(#[from] BadHost),
    /// The client expects what nobody has heard of.
    #[error("the request expects what is not known; expected 100-continue or nothing")]
    ExpectationUnknown,
    /// The body is past its limit.
    #[error("the body is longer than {limit} bytes (--body-max)")]
    BodyTooLong {
        /// In bytes.
        limit: usize,
    },
    /// The body did not come in time.
    #[error("the body is too slow: {0}")]
    BodyTooSlow(BodyTooSlow),
    /// The body broke off, or its framing is wrong.
    #[error("the body cannot be read: {0}")]
    BodyUnreadable(String),
    /// All bodies together have grown too large.
    #[error("the bodies on their way take up {limit} bytes already (--buffer-max)")]
    NoBuffer {
        /// In bytes.
        limit: usize,
    },
    /// The newest version does not serve, which its author is to see.
    #[error("{cause}")]
    NotServed {
        /// Why it does not.
        cause: Arc<str>,
    },
    /// There is nobody any more to answer.
    #[error("the client reset the connection before it was answered")]
    ClientGone,
    /// The call gave no response.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The call gave a response that is none.
    #[error("the handler's response is refused: {0}")]
    Response(#[from] InvalidResponse),
}

/// In which way a body did not come in time.
#[derive(Debug, Error)]
pub enum BodyTooSlow {
    /// Nothing came.
    #[error("its next piece did not come in time (--body-timeout)")]
    Piece,
    /// Little came.
    #[error("fewer than {rate} bytes a second came (--body-rate-min, --rate-window)")]
    Rate {
        /// In bytes a second.
        rate: usize,
    },
    /// It did not end.
    #[error("it was not whole in time (--body-time-max)")]
    Whole,
}

/// A line of the table from faults to statuses.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// What the log calls the fault.
    pub name: &'static str,
    /// What the client gets.
    pub status: StatusCode,
    /// Who has to mend it.
    pub whose: Whose,
}

/// Who has to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Whoever sent the request.
    Client,
    /// Whoever wrote the module.
    Handler,
    /// Whoever runs the server: it has more to do than it may.
    Operator,
}

impl From<BadRequest> for Fault {
    fn from(why: BadRequest) -> Fault {
        match why {
            BadRequest::Message(why) => why.into(),
            BadRequest::Target(why) => why.into(),
            BadRequest::Host(why) => why.into(),
            BadRequest::ExpectationUnknown => Fault::ExpectationUnknown,
        }
    }
}

impl Entry {
    fn of_message(why: &BadMessage) -> Entry {
        use StatusCode as S;
        let (name, status) = match why {
            BadMessage::Malformed { .. } => ("malformed", S::BAD_REQUEST),
            BadMessage::Version => ("version unknown", S::HTTP_VERSION_NOT_SUPPORTED),
            BadMessage::Coding => ("transfer coding unknown", S::NOT_IMPLEMENTED),
            BadMessage::TargetTooLong { .. } => ("target too long", S::URI_TOO_LONG),
            BadMessage::HeadTooLong { .. }
            | BadMessage::TooManyFields { .. }
            | BadMessage::TooManyOptions { .. } => ("head too long", S::REQUEST_HEADER_FIELDS_TOO_LARGE),
            BadMessage::BodyTooLong { .. } => ("body too long", S::PAYLOAD_TOO_LARGE),
            BadMessage::HeadTooSlow => ("head too slow", S::REQUEST_TIMEOUT),
            BadMessage::GaveWay => ("gave way", S::REQUEST_TIMEOUT),
        };
        Entry { name, status, whose: Whose::Client }
    }
}

impl Fault {
    /// The table.
    pub fn entry(&self) -> Entry {
        use StatusCode as S;
        use Whose::{Client, Handler, Operator};
        let (name, status, whose) = match self {
            Fault::Message(why) => return Entry::of_message(why),
            Fault::Target(BadTarget::Scheme) => ("target elsewhere", S::MISDIRECTED_REQUEST, Client),
            Fault::Target(_) => ("target malformed", S::BAD_REQUEST, Client),
            Fault::Host(_) => ("host malformed", S::BAD_REQUEST, Client),
            Fault::ExpectationUnknown => ("expectation unknown", S::EXPECTATION_FAILED, Client),
            Fault::BodyTooLong { .. } => ("body too long", S::PAYLOAD_TOO_LARGE, Client),
            Fault::BodyTooSlow(_) => ("body too slow", S::REQUEST_TIMEOUT, Client),
            Fault::BodyUnreadable(_) => ("body unreadable", S::BAD_REQUEST, Client),
            Fault::NoBuffer { .. } => ("no buffer", S::SERVICE_UNAVAILABLE, Operator),
            // Nobody sees this one.
            Fault::ClientGone => ("client gone", S::BAD_REQUEST, Client),
            Fault::NotServed { .. } => ("not served", S::INTERNAL_SERVER_ERROR, Handler),
            Fault::Call(CallError::NoRoom { .. }) => ("no room", S::PAYLOAD_TOO_LARGE, Client),
            Fault::Call(CallError::Trap { .. }) => ("trap", S::INTERNAL_SERVER_ERROR, Handler),
            Fault::Call(CallError::BadSpan { .. }) => ("bad address", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::ResponseTooLong { .. }) => ("response too long", S::BAD_GATEWAY, Handler),
            Fault::Response(_) => ("invalid response", S::BAD_GATEWAY, Handler),
            Fault::Call(CallError::Busy { .. }) => ("busy", S::SERVICE_UNAVAILABLE, Operator),
            Fault::Call(CallError::NoInstance { .. }) => ("no instance", S::SERVICE_UNAVAILABLE, Operator),
            Fault::Call(CallError::Deadline) => ("deadline", S::GATEWAY_TIMEOUT, Handler),
        };
        Entry { name, status, whose }
    }

    /// Whether the message may not have been read to its end, so that what comes
    /// next on the connection is not a request.
    fn leaves_unread(&self) -> bool {
        matches!(
            self,
            Fault::Message(_)
                | Fault::BodyTooLong { .. }
                | Fault::BodyTooSlow(_)
                | Fault::BodyUnreadable(_)
                | Fault::NoBuffer { .. }
        )
    }

    /// What the client gets: the status in words, and nothing of the inside
    /// unless the operator wants it so.
    pub(crate) fn response(&self, method: &Method, tell_cause: bool) -> Response<Full<Bytes>> {
        let status = self.entry().status;
        let reason = status.canonical_reason().unwrap_or_default().to_ascii_lowercase();
        let mut page = format!("<h1>error {} {reason}</h1>", status.as_str());
        if tell_cause {
            let cause = self.to_string().replace('&', "&amp;").replace('<', "&lt;");
            page.push_str(&format!("\n<pre>{cause}</pre>\n"));
        }

        let length = HeaderValue::from(page.len());
        let body = if method == Method::HEAD { Bytes::new() } else { page.into() };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        fields.insert(CONTENT_LENGTH, length);
        if self.leaves_unread() {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            fields.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}
