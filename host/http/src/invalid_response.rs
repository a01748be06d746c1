//! Why a response of a handler is refused.

use http::header::InvalidHeaderValue;
use thiserror::Error;

/// Why a handler's bytes are not sent. The handler's fault, all of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResponse {
    /// There is nothing.
    #[error("it is empty; expected an HTTP/1.1 response")]
    Empty,
    /// The head does not end within its limit.
    #[error("its head is longer than {limit} bytes (--response-head-max)")]
    HeadTooLong {
        /// In bytes.
        limit: usize,
    },
    /// `connection` lists more than anybody means.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// How many are looked at.
        limit: usize,
    },
    /// The head does not end.
    #[error("its head has no empty line at the end")]
    HeadUnfinished,
    /// The head is no head.
    #[error("its head is malformed: {0}")]
    Head(&'static str),
    /// Another version than the contract's.
    #[error("it is HTTP/1.0; expected HTTP/1.1")]
    Version,
    /// A status that ends no exchange.
    #[error("its status is {0}; expected 200 to 599")]
    Status(u16),
    /// A success would make a tunnel of the connection.
    #[error("its status is {0} for CONNECT, and a handler cannot open a tunnel; expected 300 to 599")]
    Tunnel(u16),
    /// `transfer-encoding`, which would lie: the host frames the message.
    #[error("it has the field transfer-encoding; expected the plain body, which the host frames")]
    TransferEncoding,
    /// `content-length` twice, or not a number as HTTP writes it.
    #[error("its content-length is not one whole number without leading zeros and below 2^63")]
    LengthMalformed,
    /// `content-length` and the body disagree.
    #[error("its content-length is {stated}, and {actual} bytes follow the head")]
    LengthWrong {
        /// What the field says, in bytes.
        stated: u64,
        /// What is there, in bytes.
        actual: usize,
    },
    /// A body where HTTP has none.
    #[error("its status is {status}, which has no body, and {actual} bytes follow the head")]
    BodyForbidden {
        /// 204, 205 or 304.
        status: u16,
        /// In bytes.
        actual: usize,
    },
    /// A field value that HTTP does not allow.
    #[error("the value of one of its fields is malformed")]
    Value,
}

impl From<InvalidHeaderValue> for InvalidResponse {
    fn from(_: InvalidHeaderValue) -> Self {
        InvalidResponse::Value
    }
}
