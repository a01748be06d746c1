//! Checks which server a request names by its `host` field. An
//! ambiguous request is refused (RFC 9112, section 3.2), because a cache or proxy
//! in front may read it differently.

use thiserror::Error;

use crate::field::Name;
use crate::h1::grammar::is_authority;
use crate::request_head::{RequestHead, Version};

/// Reason for refusing the `host` field or the target's authority.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadHost {
    /// The field `host` is missing, and HTTP/1.1 requires it.
    #[error("it has no field host; expected one")]
    Missing,
    /// The field `host` occurs more than once.
    #[error("it has the field host {count} times; expected it once")]
    Repeated {
        /// Number of occurrences.
        count: usize,
    },
    /// The field `host` is neither a name nor an address, each with an optional port.
    #[error("its field host is malformed; expected a name or an address, and perhaps a port")]
    Malformed,
    /// The field `host` differs from the field `:authority` of a request of HTTP/2.
    #[error("its field host is not its :authority (RFC 9113, section 8.3.1)")]
    Differs,
}

/// Checks the `host` field of a request, which must be valid even where the authority of
/// the target takes its place (RFC 9112, section 3.2).
pub(super) fn check(head: &RequestHead<'_>) -> Result<(), BadHost> {
    let mut values = head.fields.values(Name::Host);
    let Some(host) = values.next() else {
        // HTTP/1.0 does not require the field.
        return if head.version == Version::Http10 { Ok(()) } else { Err(BadHost::Missing) };
    };
    let more = values.count();
    if more > 0 {
        return Err(BadHost::Repeated { count: 1 + more });
    }
    if is_authority(host) { Ok(()) } else { Err(BadHost::Malformed) }
}
