//! One request over HTTP/1.1 and over HTTP/2, and what of the responses is to be the same.

use super::client::{Answer, H2};
use super::frames::{END, WHOLE, frame, headers};
use super::hpack::{block, literal};
use crate::harness::Reply;

/// Request that both versions can carry. Its host stands apart from its fields.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub host: Option<String>,
    /// Fields, those of one name together. Over HTTP/2 they stand so in any case.
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    /// Whether the length of the body is stated.
    pub has_length: bool,
}

/// Response without what differs by request or by version.
#[derive(Debug, PartialEq, Eq)]
pub struct Same {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Request {
    /// Returns the bytes of HTTP/1.1. The body is in one piece, or in one chunk.
    pub fn in_http1(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut put =
            |name: &str, value: &[u8]| bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        if let Some(host) = &self.host {
            put("host", host.as_bytes());
        }
        for (name, value) in &self.fields {
            put(name, value);
        }
        match &self.body {
            None => bytes.extend(b"\r\n"),
            Some(body) if self.has_length => {
                put("content-length", body.len().to_string().as_bytes());
                bytes.extend([b"\r\n", &body[..]].concat());
            }
            Some(body) => {
                put("transfer-encoding", b"chunked");
                let chunk = format!("\r\n{:x}\r\n", body.len());
                let (before, behind) =
                    if body.is_empty() { ("\r\n0\r\n\r\n", "") } else { (&*chunk, "\r\n0\r\n\r\n") };
                bytes.extend([before.as_bytes(), body, behind.as_bytes()].concat());
            }
        }
        bytes
    }

    /// Returns the block of HTTP/2, and the fields as they are split over it. `split` says for a cookie
    /// whether it is sent in pieces.
    pub fn in_http2(&self, scheme: &str, mut split: impl FnMut() -> bool) -> Vec<u8> {
        let mut found = block(&[(":method", &*self.method), (":scheme", scheme), (":path", &*self.target)]);
        if let Some(host) = &self.host {
            found.extend(literal(b":authority", host.as_bytes()));
        }
        for (name, value) in &self.fields {
            let name = name.to_ascii_lowercase();
            let mut rest = &value[..];
            while let Some(end) = rest.windows(2).position(|bytes| bytes == b"; ")
                && name == "cookie"
                && split()
            {
                found.extend(literal(name.as_bytes(), &rest[..end]));
                rest = &rest[end + 2..];
            }
            found.extend(literal(name.as_bytes(), rest));
        }
        if let Some(body) = self.body.as_ref().filter(|_| self.has_length) {
            found.extend(literal(b"content-length", body.len().to_string().as_bytes()));
        }
        found
    }

    /// Sends the request over HTTP/2, and waits for the response.
    pub fn ask(&self, client: &mut H2, stream: u32, block: &[u8]) -> Answer {
        let flags = if self.body.is_none() { END } else { 0 };
        // A longer block needs more frames than one.
        match block.split_at_checked(16_000) {
            None => client.send(headers(stream, flags, block)),
            Some((first, rest)) => {
                client.send(frame(super::frames::HEADERS, flags, stream, first));
                let count = rest.chunks(16_000).count();
                for (place, piece) in rest.chunks(16_000).enumerate() {
                    let whole = if place + 1 == count { WHOLE } else { 0 };
                    client.send(super::frames::continuation(stream, whole, piece));
                }
            }
        }
        if let Some(body) = &self.body {
            client.send_body(stream, body, true);
        }
        client.until("a response", |client| {
            client.streams.get(&stream).is_some_and(|answer| answer.is_whole || answer.reset.is_some())
        });
        client.streams.remove(&stream).unwrap()
    }
}

impl Same {
    /// Takes a response of HTTP/1.1. `shows` says whether the handler shows its request, in which the
    /// id and the time are others each time.
    pub fn of_http1(reply: &Reply, shows: bool) -> Same {
        Same::new(reply.status, &reply.fields, &reply.body, shows)
    }

    /// Takes a response of HTTP/2.
    pub fn of_http2(answer: &Answer, shows: bool) -> Same {
        Same::new(answer.status, &answer.fields, &answer.body, shows)
    }

    fn new(status: u16, fields: &[(String, String)], body: &[u8], shows: bool) -> Same {
        // The id and the date are others for each request, and HTTP/2 has no such field.
        let is_own = |name: &str| ["x-request-id", "date", "connection"].contains(&name);
        let body = body.escape_ascii().to_string();
        // Only TLS adds the last one.
        let own = ["x-request-id: ", "x-request-time: ", "x-forwarded-proto: "];
        let lines =
            body.split_inclusive("\\r\\n").filter(|line| !own.iter().any(|name| line.starts_with(name)));
        let is_kept = |name: &str| !(is_own(name) || (shows && name == "content-length"));
        Same {
            status,
            fields: fields.iter().filter(|(name, _)| is_kept(name)).cloned().collect(),
            body: if shows { lines.collect() } else { body.clone() },
        }
    }
}
