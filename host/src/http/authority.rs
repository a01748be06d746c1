//! Which server a request is meant for: its field `host`, which a cache or a
//! proxy in front may read in another way than the handler does. What is
//! ambiguous is refused (RFC 9112, section 3.2).

use std::net::Ipv6Addr;

use http::Version;
use http::header::HOST;
use http::request::Parts;
use thiserror::Error;

use super::fields::values;
use super::target::Target;

/// The port that a URL means when it names none (RFC 9110, section 4.2.1).
const DEFAULT_PORT: u16 = 80;

/// What is wrong with the field `host`.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadHost {
    /// HTTP/1.1 wants one.
    #[error("it has no field host; expected one")]
    Missing,
    /// Who comes first?
    #[error("it has the field host {count} times; expected it once")]
    Repeated {
        /// How often.
        count: usize,
    },
    /// Neither a name nor an address.
    #[error("its field host is malformed; expected a name or an address, and perhaps a port")]
    Malformed,
    /// The same of the target.
    #[error(
        "the server that its target names is malformed; expected a name or an address, and perhaps a port"
    )]
    TargetMalformed,
    /// The target names another server.
    #[error("its field host is not the server that its target names")]
    Different,
}

/// Checks the field `host` of a request, whose target is this.
pub(super) fn check(parts: &Parts, target: &Target<'_>) -> Result<(), BadHost> {
    let named = match target {
        Target::Absolute(authority, _) => Some(authority.as_str()),
        Target::Authority(authority) => Some(*authority),
        Target::Origin(_) | Target::Asterisk => None,
    };
    // A target names a server, where a field may be empty (RFC 9110, section 4.2.1).
    let named = named.map(|authority| split(authority).filter(|(name, _)| !name.is_empty()));
    let named = named.map(|named| named.ok_or(BadHost::TargetMalformed)).transpose()?;
    let mut values = values(&parts.headers, &HOST);
    let Some(host) = values.next() else {
        // Older clients know of no such field.
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

/// The host and the port of `uri-host [ ":" port ]` (RFC 9110, section 7.2), if
/// that is what it is. Nothing at all is right where the target has no authority.
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
            is_name(name).then_some((name, port.get(1..).unwrap_or_default()))?
        }
    };
    let port = match port {
        "" => DEFAULT_PORT,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    Some((name, port))
}

/// `reg-name` (RFC 3986, section 3.2.2), of which an IPv4 address is one.
fn is_name(name: &str) -> bool {
    // Nearly all are of these bytes alone.
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
