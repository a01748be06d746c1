//! Converts the message that a module would get to a request for a component, so that both kinds of
//! handlers see the same header fields.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use handler_sdk::abi::{FORWARDED_PROTO, REQUEST_TIME};
use host_http::message::Message;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body::{Body, Frame};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use crate::call_error::CallError;

/// Empty line that ends the head.
const END: &[u8] = b"\r\n\r\n";

/// Request for a component, with facts from its head.
pub(super) struct Incoming {
    pub(super) request: Request<Pieces>,
    pub(super) scheme: Scheme,
    /// Time of the request, since the start of 1970.
    pub(super) time: Duration,
}

/// Body of a request: the pieces of a message, without the empty ones.
pub(super) struct Pieces(VecDeque<Bytes>);

impl Incoming {
    /// Converts a message to a request.
    ///
    /// # Errors
    ///
    /// When the message is not one that the host encodes.
    pub(super) fn new(message: &Message) -> Result<Incoming, CallError> {
        Incoming::read(message).ok_or(CallError::Unreadable)
    }

    fn read(message: &Message) -> Option<Incoming> {
        let end = message.head.windows(END.len()).position(|bytes| bytes == END)?;
        let (head, rest) = message.head.split_at_checked(end)?;
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut parts = lines.next()?.split(|byte| *byte == b' ');
        let (method, target) = (parts.next()?, parts.next()?);

        // A message that was recorded is one piece, with the beginning of the body in it.
        let first = Bytes::copy_from_slice(rest.get(END.len()..)?);
        let pieces = [first].into_iter().chain(message.body.iter().cloned());
        let mut request = Request::new(Pieces(pieces.filter(|piece| !piece.is_empty()).collect()));
        *request.method_mut() = Method::from_bytes(method).ok()?;
        *request.uri_mut() = uri(target)?;
        let fields = request.headers_mut();
        for line in lines {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at_checked(at)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
            fields.try_append(name, value).ok()?;
        }
        let value = |name: &str| fields.get(name).and_then(|value| value.to_str().ok());
        let scheme = match value(FORWARDED_PROTO) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => Scheme::Http,
        };
        let time = value(REQUEST_TIME).and_then(|time| time.parse().ok()).unwrap_or(0);
        // A request of HTTP/1.0 may name no server. Its authority is empty then.
        if !fields.contains_key(HOST) {
            fields.try_append(HOST, HeaderValue::from_static("")).ok()?;
        }
        Some(Incoming { request, scheme, time: Duration::from_millis(time) })
    }
}

/// Returns a request target as a URI. Encodes the grave accent in a path, the only character that
/// the host accepts there but the crate `http` does not.
fn uri(target: &[u8]) -> Option<Uri> {
    Uri::try_from(target).or_else(|_| Uri::try_from(String::from_utf8_lossy(target).replace('`', "%60"))).ok()
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Incoming, Scheme};
    use host_http::message::Message;
    use std::time::Duration;

    fn read(head: &str) -> Incoming {
        Incoming::new(&head.as_bytes().to_vec().into()).unwrap()
    }

    #[test]
    fn the_parts_of_the_head_are_those_of_the_message() {
        let head = "POST /a`b?c`d HTTP/1.1\r\nhost: a.example:1\r\nx-a:  b \r\nx-a: c\r\n\
            x-forwarded-proto: https\r\nx-request-time: 1700000000123\r\n\r\nbody";
        let found = read(head);
        assert_eq!(found.request.method(), "POST");
        assert_eq!(found.request.uri(), "/a%60b?c%60d");
        let values: Vec<_> = found.request.headers().get_all("x-a").iter().collect();
        assert_eq!(values, ["b", "c"]);
        assert!(matches!(found.scheme, Scheme::Https));
        assert_eq!(found.time, Duration::from_millis(1_700_000_000_123));
        assert_eq!(found.request.body().0, ["body"]);
    }

    #[test]
    fn pieces_of_a_body_follow_each_other_and_none_is_empty() {
        let body = ["", "one", "", "two"].map(Into::into).to_vec();
        let head = b"PUT / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
        let found = Incoming::new(&Message { head, body, seed: None }).unwrap();
        assert_eq!(found.request.body().0, ["one", "two"]);
        assert!(matches!(found.scheme, Scheme::Http));
    }

    #[test]
    fn a_request_without_a_server_and_the_other_forms_of_targets_are_read() {
        assert_eq!(read("GET / HTTP/1.1\r\n\r\n").request.headers()["host"], "");
        assert_eq!(read("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n").request.uri(), "*");
        assert_eq!(read("CONNECT a.example:443 HTTP/1.1\r\nhost: a\r\n\r\n").request.uri(), "a.example:443");
        assert_eq!(read("GET //a/b HTTP/1.1\r\nhost: a\r\n\r\n").request.uri().path(), "//a/b");
        assert!(Incoming::new(&b"GET / HTTP/1.1\r\n".to_vec().into()).is_err());
    }
}
