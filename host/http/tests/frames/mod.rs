//! Checks the handling of HTTP/2 frames from clients. The test and the fuzz target share the
//! checks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{RecvStream, server};
use host_http::h1::{BadMessage, HeadParser, MessageLimits};
use host_http::h2::{Meter, MeterLimits, PREFACE, agrees, write_head};
use host_http::request::{Origin, Tls, check_head, encode};
use host_http::request_id::RequestId;
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LIMITS: MessageLimits = MessageLimits { target_max: 64, head_max: 512, fields_max: 16, body_max: 4096 };

const METER: MeterLimits = MeterLimits { resets: 8, control: 32, window: Duration::from_secs(10) };

/// Number of iterations after which a connection counts as endless. No input needs so many.
const TURNS: usize = 100_000;

/// Returns the bytes of a connection that sends the frames of an input. In the input, each frame
/// begins with four bytes: type, flags, stream and length of the payload.
fn frames(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    // SETTINGS, which come first.
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    while let [kind, flags, stream, length, rest @ ..] = input {
        let (payload, behind) = rest.split_at(rest.len().min(usize::from(*length)));
        bytes.extend([0, 0, payload.len() as u8, *kind % 12, *flags, 0, 0, 0, *stream]);
        bytes.extend(payload);
        input = behind;
    }
    bytes
}

/// Checks that the head parser either refuses a request or reads it as the crate `h2` does, and
/// that the [`Meter`] counts the same however the bytes arrive.
///
/// Returns the canonical heads of the requests that are not refused.
pub fn connection(input: &[u8], pieces: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
    let bytes = frames(input);
    metered(&bytes, pieces);
    let mut cx = Context::from_waker(Waker::noop());
    let wire = Wire { left: bytes.into() };
    let mut handshake = Box::pin(
        server::Builder::new()
            .max_concurrent_streams(8)
            .max_header_list_size(1 << 10)
            .handshake::<_, Bytes>(wire),
    );
    let Poll::Ready(Ok(mut h2)) = handshake.as_mut().poll(&mut cx) else { return Vec::new() };
    let (mut open, mut heads): (Vec<(RecvStream, SendResponse<Bytes>)>, _) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let mut has_moved = false;
        match h2.poll_accept(&mut cx) {
            Poll::Ready(Some(Ok((request, respond)))) => {
                let (request, body) = split(request);
                heads.extend(head(&request));
                open.push((body, respond));
                has_moved = true;
            }
            Poll::Ready(_) => return heads,
            Poll::Pending => {}
        }
        open.retain_mut(|(body, respond)| match body.poll_data(&mut cx) {
            Poll::Ready(Some(Ok(data))) => {
                has_moved = true;
                let _ = body.flow_control().release_capacity(data.len());
                true
            }
            Poll::Ready(Some(Err(_))) => false,
            Poll::Ready(None) => {
                let _ = respond.send_response(Response::new(()), true);
                false
            }
            Poll::Pending => true,
        });
        if !has_moved {
            return heads;
        }
    }
    panic!("the connection does not end: {}", input.escape_ascii());
}

fn split(request: Request<RecvStream>) -> (Parts, RecvStream) {
    request.into_parts()
}

/// Checks the head of one request. Returns its canonical form, unless it is refused.
fn head(parts: &Parts) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    write_head(&mut bytes, parts);
    let mut parser = HeadParser::default();
    let length = match parser.read(&bytes, &LIMITS) {
        Ok(Some((length, _))) => length,
        Ok(None) => panic!("the head has no end: {}", bytes.escape_ascii()),
        Err(BadMessage::Tls | BadMessage::Version) => panic!("no request: {}", bytes.escape_ascii()),
        Err(_) => return None,
    };
    assert_eq!(length, bytes.len(), "the head ends early: {}", bytes.escape_ascii());
    let head = parser.head(&bytes);
    assert_eq!(head.method, parts.method.as_str());
    assert_eq!(head.fields.iter().count(), fields(&parts.headers, parts.uri.authority().is_some()));
    agrees(parts, Tls::Off).ok()?;
    let target = check_head(&head, Tls::Off).ok()?;
    let origin = Origin {
        id: &RequestId::none(),
        client: "-",
        time: std::time::SystemTime::UNIX_EPOCH,
        tls: Tls::Off,
        trace: None,
    };
    let mut canonical = Vec::new();
    encode(&mut canonical, &head, target, 0, 0, &origin);
    let mut again = HeadParser::default();
    let wide = MessageLimits { head_max: 4096, fields_max: 100, ..LIMITS };
    assert!(
        matches!(again.read(&canonical, &wide), Ok(Some((length, _))) if length == canonical.len()),
        "a handler cannot read {}",
        canonical.escape_ascii()
    );
    Some(canonical)
}

/// Returns how many fields an HTTP/2 head has after its conversion to HTTP/1.1: cookies are joined,
/// and the authority becomes `host`.
fn fields(headers: &HeaderMap, has_authority: bool) -> usize {
    let hosts = headers.get_all(http::header::HOST).iter().count();
    let cookies = headers.get_all(COOKIE).iter().count();
    let others = headers.len() - hosts - cookies;
    others + cookies.min(1) + if has_authority { 1 } else { hosts }
}

fn metered(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) {
    let now = Instant::now();
    let [mut whole, mut cut] = [(); 2].map(|()| Meter::new(METER, now));
    whole.received(bytes, || now);
    let (mut left, mut pieces) = (bytes, pieces.into_iter());
    while !left.is_empty() {
        let (piece, rest) = left.split_at(left.len().min(pieces.next().unwrap_or(1).max(1)));
        cut.received(piece, || now);
        left = rest;
    }
    assert_eq!(whole.breach(), cut.breach());
    assert_eq!(whole.is_in_head(), cut.is_in_head());
    assert_eq!(whole.part_of_body(), cut.part_of_body());
}

/// Connection of a client that has already sent all of its bytes, reads everything that it gets,
/// and then keeps the connection open.
struct Wire {
    left: Bytes,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left.is_empty() {
            return Poll::Pending;
        }
        let length = self.left.len().min(into.remaining());
        into.put_slice(&self.left[..length]);
        self.left.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
