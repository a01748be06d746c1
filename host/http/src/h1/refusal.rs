//! The limits of a request message, and the reasons for refusing one.

use thiserror::Error;

/// Reason for refusing a request message. With HTTP/1.1, the connection is closed, because the
/// bytes that follow may be the rest of the refused message or another message.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadMessage {
    /// The message breaks the grammar, or states its length twice.
    #[error("{what} (RFC 9112, section {section})")]
    Malformed {
        /// What is wrong and, in most cases, what was expected.
        what: &'static str,
        /// Section of RFC 9112 that contains the violated rule.
        section: &'static str,
    },
    /// The bytes are the beginning of a TLS connection.
    #[error(
        "it is a TLS ClientHello, and this port speaks plain HTTP; expected http:// in the URL, or a proxy in front that ends TLS"
    )]
    Tls,
    /// The major version of HTTP is not 1. For example, the client speaks HTTP/2 on a port that
    /// expects HTTP/1.1.
    #[error(
        "its version is not spoken here; expected HTTP/1.1 or HTTP/1.0, or HTTP/2 over TLS or with --h2c"
    )]
    Version,
    /// The method is longer than [`METHOD_MAX`](super::METHOD_MAX), so no handler knows it.
    #[error("its method is longer than {limit} bytes, so no handler knows it")]
    MethodUnknown {
        /// Limit in bytes.
        limit: usize,
    },
    /// The body has an unsupported transfer coding. Only `chunked` alone is supported.
    #[error("its transfer-encoding is not known; expected chunked, or content-length instead")]
    Coding,
    /// The target is longer than `--target-max`.
    #[error("its target is longer than {limit} bytes (--target-max)")]
    TargetTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The head is longer than `--head-max`.
    #[error("its head is longer than {limit} bytes (--head-max)")]
    HeadTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The head has too many fields.
    #[error("its head has more than {limit} fields (--fields-max)")]
    TooManyFields {
        /// Maximum number of fields.
        limit: usize,
    },
    /// The `connection` fields together have more options than the limit.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// Maximum number of options.
        limit: usize,
    },
    /// The body is longer than `--body-max`.
    #[error("the body is longer than {limit} bytes (--body-max)")]
    BodyTooLong {
        /// Limit in bytes.
        limit: u64,
    },
    /// The head was not complete within `--head-timeout`.
    #[error("its head was not whole in time (--head-timeout)")]
    HeadTooSlow,
    /// The message arrived slowly, and its connection was closed to make room for another
    /// connection.
    #[error("it came more slowly than others, and there were too few places for all (--connections)")]
    GaveWay,
}

/// Returns the refusal of a message that violates a section of RFC 9112.
pub(super) fn malformed(section: &'static str, what: &'static str) -> BadMessage {
    BadMessage::Malformed { what, section }
}

/// Limits of a request message. A message that exceeds one of them is refused.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Maximum length of the target, in bytes.
    pub target_max: usize,
    /// Maximum length of the head, including the empty line at its end, in bytes.
    pub head_max: usize,
    /// Maximum number of fields.
    pub fields_max: usize,
    /// Maximum length of the body, in bytes.
    pub body_max: u64,
}
