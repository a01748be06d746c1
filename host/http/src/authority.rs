//! Checks which server a request names, by its `host` field and its target. An
//! ambiguous request is refused (RFC 9112, section 3.2), because a cache or proxy
//! in front may read it differently.

use std::net::Ipv6Addr;

use http::Version;
use http::header::HOST;
use http::request::Parts;
use thiserror::Error;

use crate::fields::values;
use crate::target::Target;

/// Default port of an `http` URL (RFC 9110, section 4.2.1).
const DEFAULT_PORT: u16 = 80;

/// Reason for refusing the `host` field or the target's authority.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadHost {
    /// The field is missing, and HTTP/1.1 requires it.
    #[error("it has no field host; expected one")]
    Missing,
    /// The field occurs more than once.
    #[error("it has the field host {count} times; expected it once")]
    Repeated {
        /// Number of occurrences.
        count: usize,
    },
    /// The field is neither a name nor an address.
    #[error("its field host is malformed; expected a name or an address, and perhaps a port")]
    Malformed,
    /// The authority of the target is neither a name nor an address.
    #[error(
        "the server that its target names is malformed; expected a name or an address, and perhaps a port"
    )]
    TargetMalformed,
    /// The field and the target name different servers.
    #[error("its field host is not the server that its target names")]
    Different,
}

/// Checks the `host` field of a request against its target.
pub(super) fn check(parts: &Parts, target: &Target<'_>) -> Result<(), BadHost> {
    let named = match target {
        Target::Absolute(authority, _) => Some(authority.as_str()),
        Target::Authority(authority) => Some(*authority),
        Target::Origin(_) | Target::Asterisk => None,
    };
    // The authority of a target must not be empty, while the `host` field may be
    // (RFC 9110, section 4.2.1).
    let named = named.map(|authority| split(authority).filter(|(name, _)| !name.is_empty()));
    let named = named.map(|named| named.ok_or(BadHost::TargetMalformed)).transpose()?;
    let mut values = values(&parts.headers, &HOST);
    let Some(host) = values.next() else {
        // HTTP/1.0 does not require the field.
        return if parts.version < Version::HTTP_11 { Ok(()) } else { Err(BadHost::Missing) };
    };
    let more = values.count();
    if more > 0 {
        return Err(BadHost::Repeated { count: 1 + more });
    }
    let host = host.to_str().map_err(|_| BadHost::Malformed)?;
    let (name, port) = split(host).ok_or(BadHost::Malformed)?;
    match (target, named) {
        (Target::Absolute(..), Some((other, other_port))) => {
            let same = name.eq_ignore_ascii_case(other) && port == other_port;
            same.then_some(()).ok_or(BadHost::Different)
        }
        _ => Ok(()),
    }
}

/// Splits `uri-host [ ":" port ]` (RFC 9110, section 7.2) into host and port, or
/// returns `None` when it is malformed. An empty host is valid where the target has
/// no authority.
fn split(host: &str) -> Option<(&str, u16)> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            let port = if rest.is_empty() { "" } else { rest.strip_prefix(':')? };
            (host.get(..address.len() + 2)?, port)
        }
        None => {
            let name = host.bytes().position(|byte| byte == b':').unwrap_or(host.len());
            let (name, port) = host.split_at_checked(name)?;
            is_name(name).then_some((name, port.strip_prefix(':').unwrap_or(port)))?
        }
    };
    let port = match port {
        "" => DEFAULT_PORT,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    Some((name, port))
}

/// Returns whether a text is a `reg-name` (RFC 3986, section 3.2.2), which includes
/// IPv4 addresses.
fn is_name(name: &str) -> bool {
    // Fast path: nearly all names consist of these bytes.
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-') {
        return true;
    }
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        let encoded =
            byte == b'%' && (0..2).all(|_| rest.next().is_some_and(|digit| digit.is_ascii_hexdigit()));
        if !plain && !encoded {
            return false;
        }
    }
    true
}
