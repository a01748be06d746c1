//! The bytes that a handler gets: one canonical HTTP/1.1 message, however the
//! request came in.
//!
//! The target is in origin form, field names are in lower case, the body is not
//! chunked and has one correct length, what belongs to the connection is gone,
//! and what the host vouches for is added. A client's own fields of those names
//! are dropped, so that a handler can believe what it reads there.

use std::time::SystemTime;

use bytes::Bytes;
use handler_sdk::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderValue};
use http::request::Parts;

use super::authority;
use super::fault::Fault;
use super::fields::values;
use super::hop_by_hop::{Listed, OPTIONS_MAX, has_too_many_options, is_hop_by_hop};
use super::target::Target;
use super::wire::BadMessage;
use crate::message::Message;
use crate::request_id::RequestId;

/// What the host knows of a request beside what the client sent.
pub struct Origin<'a> {
    /// Its id.
    pub id: &'a RequestId,
    /// An address, as text.
    pub client: &'a str,
    /// When its head had come.
    pub time: SystemTime,
}

/// Checks what a head means, before the body is waited for.
///
/// # Errors
///
/// [`Fault`] says what is wrong with it.
pub fn check_head(parts: &Parts) -> Result<Target<'_>, Fault> {
    let target = Target::new(&parts.method, &parts.uri)?;
    authority::check(parts, &target)?;
    // RFC 9110, section 10.1.1: there is one expectation that is known.
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !values(&parts.headers, &EXPECT).all(known) {
        return Err(Fault::ExpectationUnknown);
    }
    if has_too_many_options(values(&parts.headers, &CONNECTION)) {
        return Err(BadMessage::TooManyOptions { limit: OPTIONS_MAX }.into());
    }
    Ok(target)
}

/// The canonical message.
pub fn encode(parts: &Parts, target: Target<'_>, body: Vec<Bytes>, origin: &Origin<'_>) -> Message {
    let body_bytes = body.iter().map(Bytes::len).sum();
    Message { head: encode_head(parts, target, body_bytes, origin), body }
}

fn encode_head(parts: &Parts, target: Target<'_>, body_bytes: usize, origin: &Origin<'_>) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);

    let canonical = target.canonical(&parts.method);
    let method = parts.method.as_str().as_bytes();
    put(&mut head, [method, b" ", canonical.as_bytes(), b" HTTP/1.1\r\n"]);
    let authority = match target {
        Target::Absolute(authority, _) => Some(authority),
        _ => None,
    };
    if let Some(authority) = authority {
        put(&mut head, [b"host: ", authority.as_str().as_bytes(), b"\r\n"]);
    }
    let listed = Listed::by(values(&parts.headers, &CONNECTION));
    for (name, value) in &parts.headers {
        let name = name.as_str();
        let replaced = authority.is_some() && name == HOST.as_str();
        let ends_here = is_set_here(name) || is_hop_by_hop(name) || listed.contains(name);
        if !replaced && !ends_here {
            put(&mut head, [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    let mut own = |name: &str, value: &[u8]| {
        put(&mut head, [name.as_bytes(), b": ", value, b"\r\n"]);
    };
    let mut digits = itoa::Buffer::new();
    if body_bytes > 0 {
        own(CONTENT_LENGTH.as_str(), digits.format(body_bytes).as_bytes());
    }
    own(REQUEST_ID, origin.id.as_bytes());
    own(FORWARDED_FOR, origin.client.as_bytes());
    let time = origin.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    own(REQUEST_TIME, digits.format(time as u64).as_bytes());
    put(&mut head, [b"\r\n"]);
    head
}

/// Whether the host has its own say about this field: it frames the message, has
/// met the expectation already, and vouches for the rest.
fn is_set_here(name: &str) -> bool {
    matches!(name, "content-length" | "expect" | REQUEST_ID | FORWARDED_FOR | REQUEST_TIME)
}

/// Appends the pieces. Their number is a constant, so there is no loop left when
/// this is compiled, and the lengths of literals are known.
fn put<const N: usize>(head: &mut Vec<u8>, pieces: [&[u8]; N]) {
    pieces.into_iter().for_each(|piece| head.extend_from_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::{Origin, Target, encode_head};
    use crate::request_id::RequestId;
    use http::{Request, request};
    use std::time::{Duration, SystemTime};

    fn encoded(request: request::Builder, body_bytes: usize) -> String {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let origin = Origin {
            id: &RequestId::none(),
            client: "127.0.0.1",
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
        };
        let target = Target::new(&parts.method, &parts.uri).unwrap();
        String::from_utf8(encode_head(&parts, target, body_bytes, &origin)).unwrap()
    }

    // Whatever else is passed on, the black-box tests ask a handler.
    #[test]
    fn a_tunnel_keeps_the_host_that_its_client_named() {
        let connect = Request::connect("a.example:443").header("host", "b.example:1");
        let expected = "CONNECT a.example:443 HTTP/1.1\r\nhost: b.example:1\r\nx-request-id: -\r\n";
        assert!(encoded(connect, 0).starts_with(expected));
    }
}
