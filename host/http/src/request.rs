//! Encodes a request for the handler. Requests of HTTP/1.0, HTTP/1.1 and HTTP/2 all become one
//! canonical HTTP/1.1 message.
//!
//! The target is in origin form, except for `*` and with CONNECT. Field names are in lower case.
//! The body is not chunked and has one correct length. The host removes hop-by-hop fields, and adds
//! fields whose values it guarantees. It drops fields of the client with the same names, so that a
//! handler can trust the values.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use handler_sdk::abi::{
    CLIENT_CERT_SHA256, CLIENT_CERT_SUBJECT, FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID, REQUEST_TIME,
    TRACEPARENT,
};
use thiserror::Error;

use crate::authority::{self, BadHost};
use crate::field::{Name, put};
use crate::h1::BadMessage;
use crate::hop_by_hop::Listed;
use crate::request_head::RequestHead;
use crate::request_id::RequestId;
use crate::target::{BadTarget, Target};
use crate::trace::Trace;

/// Facts about a request that the host adds to its head for a handler.
pub struct Origin<'a> {
    /// Id of the request.
    pub id: &'a RequestId,
    /// Address of the client as text, for `x-forwarded-for`.
    pub client: &'a str,
    /// Time at which the head of the request was complete.
    pub time: SystemTime,
    /// Whether the client uses TLS, and with which certificate.
    pub tls: Tls<'a>,
    /// Trace span of the host for the request. If it is [`None`], the `traceparent` and
    /// `tracestate` of the client are passed on unchanged.
    pub trace: Option<&'a Trace>,
}

/// Whether a client uses TLS, and with which certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls<'a> {
    /// The client does not use TLS.
    Off,
    /// The client uses TLS. It has presented this certificate, which was verified, or none.
    On(Option<&'a ClientCert>),
    /// The peer is a trusted proxy, so its fields `x-forwarded-proto` and `x-client-cert-…` are
    /// passed on.
    AsSent,
}

impl Tls<'_> {
    /// Returns the schemes that are allowed in a target that is a URL.
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Tls::Off => &["http"],
            Tls::On(_) => &["https"],
            // The proxy may pass on what its client has sent.
            Tls::AsSent => &["http", "https"],
        }
    }

    /// Returns whether a scheme is allowed in a target that is a URL, ignoring case.
    pub(crate) fn has_scheme(self, scheme: &str) -> bool {
        self.schemes().iter().any(|each| scheme.eq_ignore_ascii_case(each))
    }
}

/// Verified certificate of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// SHA-256 hash of the certificate, in hexadecimal digits.
    pub sha256: String,
    /// Subject of the certificate: visible ASCII characters and spaces.
    pub subject: String,
}

/// Reason for refusing the head of a request.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// The message is malformed or ambiguous, or exceeds a limit.
    #[error("the request is refused: {0}")]
    Message(#[from] BadMessage),
    /// The target is malformed, or its form is not allowed for the method.
    #[error("the target is malformed: {0}")]
    Target(#[from] BadTarget),
    /// The `host` field is missing, repeated or malformed, or contradicts the authority in the
    /// target.
    #[error("the request is malformed: {0}")]
    Host(#[from] BadHost),
    /// The `expect` field has an unknown value.
    #[error("the request has an unknown expectation in the field expect; expected 100-continue")]
    ExpectationUnknown,
}

/// Checks the target and the fields `host` and `expect` of a request before its body is read.
/// Returns the parsed target.
///
/// # Errors
///
/// [`BadRequest`] says what is wrong with the target or the fields.
pub fn check_head<'a>(head: &RequestHead<'a>, tls: Tls<'_>) -> Result<Target<'a>, BadRequest> {
    let target = Target::new(head.method, head.target, tls.schemes())?;
    authority::check(head)?;
    // RFC 9110, section 10.1.1 defines only this expectation.
    if !head.fields.values(Name::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Err(BadRequest::ExpectationUnknown);
    }
    Ok(target)
}

/// Returns the host that a request names, with the port if the request names one. Empty if an
/// HTTP/1.0 request names no host.
pub fn host<'a>(head: &RequestHead<'a>, target: &Target<'a>) -> &'a [u8] {
    match *target {
        Target::Absolute(authority, _) => authority.as_bytes(),
        _ => head.fields.values(Name::Host).next().unwrap_or_default(),
    }
}

/// Returns the target of a request in the form for handlers: path and query, `*`, or, with CONNECT,
/// the authority. The path includes the part that the site removes for its handler (`strip-path`).
/// Returns an invalid target unchanged.
pub fn canonical_target<'a>(head: &RequestHead<'a>) -> Cow<'a, str> {
    // Nearly every target, which is what the handler gets.
    if head.target.starts_with('/') {
        return Cow::Borrowed(head.target);
    }
    Target::new(head.method, head.target, Tls::AsSent.schemes())
        .map_or(Cow::Borrowed(head.target), |target| target.canonical(head.method))
}

/// Appends the head of the canonical message to `to`. The message has a body of `body_bytes` bytes.
/// Leaves out the first `strip` bytes of the path, unless the target is `*` or an authority.
pub fn encode(
    to: &mut Vec<u8>,
    head: &RequestHead<'_>,
    target: Target<'_>,
    strip: usize,
    body_bytes: usize,
    origin: &Origin<'_>,
) {
    let canonical = target.canonical(head.method);
    let rest = canonical.get(strip..).filter(|_| canonical.starts_with('/')).unwrap_or(&canonical);
    let slash: &[u8] =
        if strip == 0 || rest.starts_with('/') || rest.len() == canonical.len() { b"" } else { b"/" };
    put(to, [head.method.as_bytes(), b" ", slash, rest.as_bytes(), b" HTTP/1.1\r\n"]);
    let authority = match target {
        Target::Absolute(authority, _) => Some(authority),
        _ => None,
    };
    if let Some(authority) = authority {
        put(to, [b"host: ", authority.as_bytes(), b"\r\n"]);
    }
    let listed = Listed::by(head.fields.values(Name::Connection));
    head.fields.write(to, &listed, |name| match name {
        Name::Host => authority.is_none(),
        // The host has met `expect`, and sets the others itself.
        Name::Expect | Name::ContentLength | Name::RequestId | Name::ForwardedFor | Name::RequestTime => {
            false
        }
        Name::ForwardedProto | Name::ClientCert => origin.tls == Tls::AsSent,
        Name::TraceParent => origin.trace.is_none(),
        // What another system has added to its trace means nothing in a new one.
        Name::TraceState => origin.trace.is_none_or(Trace::is_continued),
        name => !name.is_hop_by_hop(),
    });
    let mut digits = itoa::Buffer::new();
    if body_bytes > 0 {
        put(to, [b"content-length: ", digits.format(body_bytes).as_bytes(), b"\r\n"]);
    }
    // A time before 1970 is sent as 0.
    let time = origin.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis();
    let time = digits.format(time as u64).as_bytes();
    let mut own = |name: &str, value: &[u8]| put(to, [name.as_bytes(), b": ", value, b"\r\n"]);
    own(REQUEST_ID, origin.id.as_bytes());
    own(FORWARDED_FOR, origin.client.as_bytes());
    own(REQUEST_TIME, time);
    if let Tls::On(cert) = origin.tls {
        own(FORWARDED_PROTO, b"https");
        if let Some(ClientCert { sha256, subject }) = cert {
            own(CLIENT_CERT_SHA256, sha256.as_bytes());
            own(CLIENT_CERT_SUBJECT, subject.as_bytes());
        }
    }
    if let Some(trace) = origin.trace {
        own(TRACEPARENT, trace.as_bytes());
    }
    put(to, [b"\r\n"]);
}

#[cfg(test)]
mod tests {
    use super::{Origin, Tls, check_head, encode};
    use crate::h1::{HeadParser, MessageLimits};
    use crate::request_id::RequestId;
    use std::time::{Duration, SystemTime};

    const LIMITS: MessageLimits =
        MessageLimits { target_max: 1024, head_max: 1024, fields_max: 16, body_max: 32 };

    // The tests of the whole server check the rest of the canonical request.
    #[test]
    fn a_tunnel_keeps_the_host_that_its_client_named() {
        let bytes = b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:1\r\n\r\n";
        let mut parser = HeadParser::default();
        assert!(parser.read(bytes, &LIMITS).unwrap().is_some());
        let head = parser.head(bytes);
        let origin = Origin {
            id: &RequestId::none(),
            client: "127.0.0.1",
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            tls: Tls::Off,
            trace: None,
        };
        let mut canonical = Vec::new();
        encode(&mut canonical, &head, check_head(&head, Tls::Off).unwrap(), 0, 0, &origin);
        let expected = "CONNECT a.example:443 HTTP/1.1\r\nhost: b.example:1\r\nx-request-id: -\r\n";
        assert!(String::from_utf8(canonical).unwrap().starts_with(expected));
    }
}
