//! The bytes that a handler gets: one canonical HTTP/1.1 message, however the
//! request came in.
//!
//! The target is in origin form, field names are in lower case, the body is not
//! chunked and has one correct length, what belongs to the connection is gone,
//! and what the host vouches for is added. A client's own fields of those names
//! are dropped, so that a handler can believe what it reads there.

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use handler_sdk::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME};
use http::header::{CONTENT_LENGTH, EXPECT, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use super::fault::Fault;
use super::hop_by_hop::is_hop_by_hop;
use crate::limits::Limits;
use crate::request_id::RequestId;

/// What the host knows of a request beside what the client sent.
pub(super) struct Origin<'a> {
    pub(super) id: &'a RequestId,
    pub(super) peer: IpAddr,
    pub(super) time: SystemTime,
}

/// Checks the head against its limits, before the body is waited for.
pub(super) fn check_head(parts: &Parts, limits: &Limits) -> Result<(), Fault> {
    let length = target(&parts.method, &parts.uri).len();
    if length > limits.target_max {
        return Err(Fault::TargetTooLong { length, limit: limits.target_max });
    }
    Ok(())
}

/// Reads the body whole. A body that says at once that it is too long is not
/// waited for.
pub(super) async fn read_body(mut body: Incoming, limits: &Limits) -> Result<Vec<Bytes>, Fault> {
    let limit = limits.body_max;
    let too_long = || Fault::BodyTooLong { limit };
    let mut pieces = Vec::new();
    if body.is_end_stream() {
        return Ok(pieces);
    }
    if body.size_hint().lower() > limit as u64 {
        return Err(too_long());
    }
    let mut left = limit;
    loop {
        let frame = timeout(limits.body_timeout, body.frame()).await.map_err(|_| Fault::BodyTooSlow)?;
        match frame {
            None => return Ok(pieces),
            Some(Err(error)) => return Err(Fault::BodyUnreadable(error.to_string())),
            // Trailers are not merged into the fields (RFC 9110, section 6.5.1).
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    left = left.checked_sub(piece.len()).ok_or_else(too_long)?;
                    pieces.push(piece);
                }
            }
        }
    }
}

/// The canonical message in pieces: its head, then the body as it came.
pub(super) fn encode(parts: &Parts, body: Vec<Bytes>, origin: &Origin<'_>) -> Vec<Bytes> {
    let body_bytes = body.iter().map(Bytes::len).sum();
    let mut message = Vec::with_capacity(1 + body.len());
    message.push(encode_head(parts, body_bytes, origin));
    message.extend(body);
    message
}

fn encode_head(parts: &Parts, body_bytes: usize, origin: &Origin<'_>) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| head.extend_from_slice(piece));

    let target = target(&parts.method, &parts.uri);
    put(&[parts.method.as_str().as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1\r\n"]);
    // In absolute form the target has the authority, and it is the one that
    // counts (RFC 9112, section 3.2.2).
    let authority = parts.uri.authority().filter(|_| parts.method != Method::CONNECT);
    if let Some(authority) = authority {
        put(&[b"host: ", authority.as_str().as_bytes(), b"\r\n"]);
    }
    for (name, value) in &parts.headers {
        let replaced = authority.is_some() && *name == http::header::HOST;
        if !replaced && is_passed_on(name, &parts.headers) {
            put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
        }
    }
    if body_bytes > 0 {
        put(&[b"content-length: ", body_bytes.to_string().as_bytes(), b"\r\n"]);
    }
    let time = origin.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    put(&[REQUEST_ID.as_bytes(), b": ", origin.id.as_str().as_bytes(), b"\r\n"]);
    put(&[FORWARDED_FOR.as_bytes(), b": ", origin.peer.to_canonical().to_string().as_bytes(), b"\r\n"]);
    put(&[REQUEST_TIME.as_bytes(), b": ", time.to_string().as_bytes(), b"\r\n\r\n"]);
    head.freeze()
}

/// The target as the handler gets it: path and query, `*`, or the authority of
/// a CONNECT.
pub(super) fn target<'a>(method: &Method, uri: &'a Uri) -> &'a str {
    match uri.path_and_query() {
        Some(path_and_query) => path_and_query.as_str(),
        None if method == Method::CONNECT => uri.authority().map_or("", |authority| authority.as_str()),
        None => "/",
    }
}

/// Whether a field that a client sent reaches the handler.
fn is_passed_on(name: &HeaderName, fields: &HeaderMap) -> bool {
    // The host frames the message, and has met the expectation already.
    let met_here = [CONTENT_LENGTH, EXPECT].contains(name);
    let vouched_for = [REQUEST_ID, FORWARDED_FOR, REQUEST_TIME].contains(&name.as_str());
    !met_here && !vouched_for && !is_hop_by_hop(name, fields)
}

#[cfg(test)]
mod tests {
    use super::{Origin, encode_head};
    use crate::request_id::RequestId;
    use http::{Request, request};
    use std::net::Ipv4Addr;
    use std::time::{Duration, SystemTime};

    fn encoded(request: request::Builder, body_bytes: usize) -> String {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let origin = Origin {
            id: &RequestId::none(),
            peer: Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
        };
        String::from_utf8(encode_head(&parts, body_bytes, &origin).to_vec()).unwrap()
    }

    const VOUCHED: &str = "x-request-id: -\r\nx-forwarded-for: 127.0.0.1\r\nx-request-time: 1500\r\n\r\n";

    #[test]
    fn fields_keep_their_order_and_repetitions() {
        let request = Request::get("/a?b=c").header("host", "h").header("Cookie", "1").header("cookie", "2");
        let expected = format!("GET /a?b=c HTTP/1.1\r\nhost: h\r\ncookie: 1\r\ncookie: 2\r\n{VOUCHED}");
        assert_eq!(encoded(request, 0), expected);
    }

    #[test]
    fn a_chunked_body_becomes_one_with_a_length() {
        let request = Request::post("/").header("transfer-encoding", "chunked").header("trailer", "x");
        assert_eq!(encoded(request, 7), format!("POST / HTTP/1.1\r\ncontent-length: 7\r\n{VOUCHED}"));
    }

    #[test]
    fn what_belongs_to_the_connection_ends_here() {
        let request = Request::get("/")
            .header("connection", "close, X-Private")
            .header("keep-alive", "timeout=5")
            .header("te", "trailers")
            .header("upgrade", "h2c")
            .header("expect", "100-continue")
            .header("x-private", "1")
            .header("x-public", "2");
        assert_eq!(encoded(request, 0), format!("GET / HTTP/1.1\r\nx-public: 2\r\n{VOUCHED}"));
    }

    #[test]
    fn host_cannot_be_taken_away_by_connection() {
        let request = Request::get("/").header("host", "h").header("connection", "host");
        assert_eq!(encoded(request, 0), format!("GET / HTTP/1.1\r\nhost: h\r\n{VOUCHED}"));
    }

    #[test]
    fn what_the_host_vouches_for_cannot_be_claimed() {
        let request = Request::get("/")
            .header("x-request-id", "mine")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-request-time", "0");
        assert_eq!(encoded(request, 0), format!("GET / HTTP/1.1\r\n{VOUCHED}"));
    }

    #[test]
    fn each_form_of_the_target_becomes_what_a_route_can_match() {
        let absolute = Request::get("http://a.example/x?y").header("host", "b.example");
        assert!(encoded(absolute, 0).starts_with("GET /x?y HTTP/1.1\r\nhost: a.example\r\nx-request-id"));
        assert!(encoded(Request::options("*"), 0).starts_with("OPTIONS * HTTP/1.1\r\nx-"));
        assert!(encoded(Request::get("/?"), 0).starts_with("GET /? HTTP/1.1\r\nx-"));
        let connect = Request::connect("a.example:443").header("host", "a.example:443");
        assert!(
            encoded(connect, 0).starts_with("CONNECT a.example:443 HTTP/1.1\r\nhost: a.example:443\r\nx-")
        );
    }
}
