//! Checks the server that a request names in its `host` field. Refuses an ambiguous request (RFC
//! 9112, section 3.2), because a cache or proxy in front may read it differently.

use thiserror::Error;

use crate::field::Name;
use crate::h1::grammar::is_authority;
use crate::request_head::{RequestHead, Version};

/// Reason for refusing the `host` field of a request.
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
    /// The value of the field `host` is malformed: it must be a host name or an IP address, with an
    /// optional port.
    #[error("its field host is malformed; expected a name or an address, and perhaps a port")]
    Malformed,
    /// The field `host` of an HTTP/2 request differs from its field `:authority`.
    #[error("its field host is not its :authority (RFC 9113, section 8.3.1)")]
    Differs,
}

/// Checks the `host` field of a request. The field must be valid even if the target contains an
/// authority, which then replaces it (RFC 9112, section 3.2).
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
