//! The limits of a message, and why it is refused.

use thiserror::Error;

/// Why a message is refused. The connection is closed then, because the bytes that
/// follow may be the rest of this message, or another one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadMessage {
    /// The message breaks the grammar, or states its length twice.
    #[error("{what} (RFC 9112, section {section})")]
    Malformed {
        /// What is there, and what was expected.
        what: &'static str,
        /// Section of RFC 9112 with the broken rule.
        section: &'static str,
    },
    /// The first bytes of a TLS connection.
    #[error(
        "it is a TLS ClientHello, and this port speaks plain HTTP; expected http:// in the URL, or a proxy in front that ends TLS"
    )]
    Tls,
    /// The version is neither HTTP/1.1 nor HTTP/1.0.
    #[error(
        "its version is not spoken here; expected HTTP/1.1 or HTTP/1.0, or HTTP/2 over TLS or with --h2c"
    )]
    Version,
    /// The method is longer than any method that a handler could know.
    #[error("its method is longer than {limit} bytes, so no handler knows it")]
    MethodUnknown {
        /// Limit in bytes.
        limit: usize,
    },
    /// The body has an unknown transfer coding.
    #[error("its transfer-encoding is not known; expected chunked, or content-length instead")]
    Coding,
    /// The target is past its limit.
    #[error("its target is longer than {limit} bytes (--target-max)")]
    TargetTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The head is past its limit.
    #[error("its head is longer than {limit} bytes (--head-max)")]
    HeadTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The head has too many fields.
    #[error("its head has more than {limit} fields (--fields-max)")]
    TooManyFields {
        /// Most fields.
        limit: usize,
    },
    /// `connection` has more options than the limit.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// Most options.
        limit: usize,
    },
    /// The body is past its limit.
    #[error("the body is longer than {limit} bytes (--body-max)")]
    BodyTooLong {
        /// Limit in bytes.
        limit: u64,
    },
    /// The head was not complete in time.
    #[error("its head was not whole in time (--head-timeout)")]
    HeadTooSlow,
    /// The message was slow, and its connection was closed to make room for another.
    #[error("it came more slowly than others, and there were too few places for all (--connections)")]
    GaveWay,
}

/// Returns the refusal for a broken rule.
pub(super) fn malformed(section: &'static str, what: &'static str) -> BadMessage {
    BadMessage::Malformed { what, section }
}

/// The limits of a message.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Longest target, in bytes.
    pub target_max: usize,
    /// Longest head, with the empty line at its end, in bytes.
    pub head_max: usize,
    /// Most fields.
    pub fields_max: usize,
    /// Longest body, in bytes.
    pub body_max: u64,
}
