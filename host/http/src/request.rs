//! Encodes requests for handlers: one canonical HTTP/1.1 message, however the
//! request was sent.
//!
//! The target is in origin form, except for `*` and with CONNECT. Field names are in
//! lower case. The body is not chunked and has one correct length. Hop-by-hop fields
//! are removed, and fields that the host vouches for are added. A client's own fields
//! of the same names are dropped, so that a handler can trust the values.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use handler_sdk::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderValue};
use http::request::Parts;
use thiserror::Error;

use crate::authority::{self, BadHost};
use crate::fields::values;
use crate::hop_by_hop::{Listed, OPTIONS_MAX, has_too_many_options, is_hop_by_hop};
use crate::message::Message;
use crate::request_id::RequestId;
use crate::target::{BadTarget, Target};
use crate::wire::BadMessage;

/// Facts about a request that the host adds to it.
pub struct Origin<'a> {
    /// Id of the request.
    pub id: &'a RequestId,
    /// Address of the client as text.
    pub client: &'a str,
    /// Time at which the head was complete.
    pub time: SystemTime,
}

/// Why the head of a request is refused.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// The message is malformed, ambiguous, or past a limit.
    #[error("the request is refused: {0}")]
    Message(#[from] BadMessage),
    /// The target is malformed, or its form is not allowed for the method.
    #[error("the target is malformed: {0}")]
    Target(#[from] BadTarget),
    /// The request does not name a server unambiguously.
    #[error("the request is malformed: {0}")]
    Host(#[from] BadHost),
    /// The `expect` field has an unknown value.
    #[error("the request has an unknown expectation in the field expect; expected 100-continue")]
    ExpectationUnknown,
}

/// Checks the target and the fields `host`, `expect` and `connection` of a request,
/// before its body is read.
///
/// # Errors
///
/// [`BadRequest`] says what is wrong with the head.
pub fn check_head(parts: &Parts) -> Result<Target<'_>, BadRequest> {
    let target = Target::new(&parts.method, &parts.uri)?;
    authority::check(parts, &target)?;
    // RFC 9110, section 10.1.1 defines only this expectation.
    let known = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if !values(&parts.headers, &EXPECT).all(known) {
        return Err(BadRequest::ExpectationUnknown);
    }
    if has_too_many_options(values(&parts.headers, &CONNECTION)) {
        return Err(BadMessage::TooManyOptions { limit: OPTIONS_MAX }.into());
    }
    Ok(target)
}

/// Encodes the canonical message.
pub fn encode(parts: &Parts, target: Target<'_>, body: Vec<Bytes>, origin: &Origin<'_>) -> Message {
    let body_bytes = body.iter().map(Bytes::len).sum();
    Message { head: encode_head(parts, target, body_bytes, origin), body, seed: None }
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
    // A time before 1970 is sent as 0.
    let time = origin.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    own(REQUEST_TIME, digits.format(time as u64).as_bytes());
    put(&mut head, [b"\r\n"]);
    head
}

/// Returns whether the client's field of this name is dropped. The host has met `expect`,
/// and sets the other fields itself.
fn is_set_here(name: &str) -> bool {
    matches!(name, "content-length" | "expect" | REQUEST_ID | FORWARDED_FOR | REQUEST_TIME)
}

/// Appends pieces. Their number is a constant, so the compiler unrolls the loop and
/// knows the lengths of literals.
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

    // The tests of the whole server check the rest of the canonical request.
    #[test]
    fn a_tunnel_keeps_the_host_that_its_client_named() {
        let connect = Request::connect("a.example:443").header("host", "b.example:1");
        let expected = "CONNECT a.example:443 HTTP/1.1\r\nhost: b.example:1\r\nx-request-id: -\r\n";
        assert!(encoded(connect, 0).starts_with(expected));
    }
}
