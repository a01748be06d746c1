//! The limits of a message, how its body is framed, and why it is refused.

use thiserror::Error;

/// Why a message is refused. The connection ends with it: what follows may be
/// the rest of this message, or another one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadMessage {
    /// The grammar, or two statements about the length.
    #[error("{what} (RFC 9112, section {section})")]
    Malformed {
        /// What is there, and what was expected.
        what: &'static str,
        /// Where the rule stands.
        section: &'static str,
    },
    /// The first bytes of a TLS connection.
    #[error("it is a TLS ClientHello, and this port speaks plain HTTP; expected http:// in the URL, or a proxy in front that ends TLS")]
    Tls,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("its version is not spoken here; expected HTTP/1.1 or HTTP/1.0")]
    Version,
    /// The body is coded in a way that is not known.
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
    /// The head is past its limit in another way.
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
    /// The head did not come in time.
    #[error("its head was not whole in time (--head-timeout)")]
    HeadTooSlow,
    /// Others wanted the place of its connection.
    #[error("it came more slowly than others, and there were too few places for all (--connections)")]
    GaveWay,
}

/// Returns the refusal for a broken rule.
pub(super) fn malformed(section: &'static str, what: &'static str) -> BadMessage {
    BadMessage::Malformed { what, section }
}

/// The bounds of a message.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// In bytes.
    pub target_max: usize,
    /// In bytes, with the empty line behind it.
    pub head_max: usize,
    /// A count.
    pub fields_max: usize,
    /// In bytes.
    pub body_max: u64,
}

/// How the body behind a head is framed (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    None,
    /// In bytes.
    Length(u64),
    Chunked,
}
