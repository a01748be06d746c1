//! Reasons for refusing the response of a handler.

use thiserror::Error;

/// Reason for refusing the response of a handler. It is always a fault of the handler.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResponse {
    /// The response is empty.
    #[error("it is empty; expected an HTTP/1.1 response")]
    Empty,
    /// The head is longer than `--response-head-max`.
    #[error("its head is longer than {limit} bytes (--response-head-max)")]
    HeadTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The `connection` field has too many options.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// Maximum number of options.
        limit: usize,
    },
    /// The response ends before its head does: the empty line is missing.
    #[error("its head has no empty line at the end")]
    HeadUnfinished,
    /// The head is malformed or has too many fields. The text says what is wrong.
    #[error("its head is malformed: {0}")]
    Head(&'static str),
    /// The version is HTTP/1.0. A response with any other wrong version is
    /// [`InvalidResponse::Head`].
    #[error("it is HTTP/1.0; expected HTTP/1.1")]
    Version,
    /// The status is not between 200 and 599. Interim statuses (1xx) are not allowed.
    #[error("its status is {0}; expected 200 to 599")]
    Status(u16),
    /// The status of a response to CONNECT is 2xx, which would turn the connection into a tunnel.
    #[error("its status is {0} for CONNECT, and a handler cannot open a tunnel; expected 300 to 599")]
    Tunnel(u16),
    /// The `transfer-encoding` field is set. A handler must not set it, because the host
    /// frames the message.
    #[error("it has the field transfer-encoding; expected the plain body, which the host frames")]
    TransferEncoding,
    /// A field that may occur only once is repeated.
    #[error("it has the field {name} more than once; expected one (RFC 9110, section 5.3)")]
    Repeated {
        /// Name of the field.
        name: &'static str,
    },
    /// The `content-length` field is repeated or malformed.
    #[error("its content-length is not one whole number without leading zeros and below 2^63")]
    LengthMalformed,
    /// The `content-length` field differs from the length of the body.
    #[error("its content-length is {stated}, and {actual} bytes follow the head")]
    LengthWrong {
        /// Length that the field states, in bytes.
        stated: u64,
        /// Length of the body in bytes.
        actual: usize,
    },
    /// The response has a body although its status allows none.
    #[error("its status is {status}, which has no body, and {actual} bytes follow the head")]
    BodyForbidden {
        /// Status that allows no body: 204, 205 or 304.
        status: u16,
        /// Length of the body in bytes.
        actual: usize,
    },
}
