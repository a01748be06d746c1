//! Parses the responses of a server as RFC 9112 defines them. A response with doubtful framing is
//! an error.

use super::rfc9112::{Fields, field_line, is_text, line, number, values};

/// Returns the reason phrase of a response that the host makes itself, or `None` for other
/// statuses. 408 is missing, because no timeout expires in these checks.
pub fn own_reason(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "Bad Request",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => return None,
    })
}

/// Returns the body of a response that the host makes itself.
#[track_caller]
pub fn own_page(status: u16) -> String {
    let reason = own_reason(status).unwrap_or_else(|| panic!("the host itself answers {status}"));
    format!("<h1>error {status} {}</h1>", reason.to_ascii_lowercase())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Minor version, the digit behind `HTTP/1.`.
    pub minor: u8,
    pub status: u16,
    pub reason: Vec<u8>,
    pub fields: Fields,
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the value of a header. Panics if the header occurs more than once.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let values = values(&self.fields, name);
        assert!(values.len() < 2, "{name} stands there {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// Returns whether the connection ends after this response, according to its version and its
    /// `connection` header.
    pub fn closes(&self) -> bool {
        match self.field("connection") {
            Some(b"close") => true,
            Some(b"keep-alive") => false,
            Some(other) => panic!("connection: {}", other.escape_ascii()),
            None => self.minor == 0,
        }
    }
}

/// Output of a server that is not parsed yet.
pub struct Output<'a> {
    rest: &'a [u8],
}

impl<'a> Output<'a> {
    pub fn new(bytes: &'a [u8]) -> Output<'a> {
        Output { rest: bytes }
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the rest of the output, escaped for a message.
    pub fn rest(&self) -> String {
        self.rest.escape_ascii().to_string()
    }

    /// Parses the next response. `method` is the method of its request.
    pub fn next(&mut self, method: &[u8]) -> Result<Reply, String> {
        let (reply, rest) = read(self.rest, method)?.ok_or("it breaks off")?;
        self.rest = rest;
        Ok(reply)
    }
}

/// Response and the bytes behind it, or `None` if the response is incomplete. The error
/// says what is wrong with its framing.
type Found<'a> = Result<Option<(Reply, &'a [u8])>, String>;

/// Parses a response. `method` is the method of its request.
pub fn read<'a>(bytes: &'a [u8], method: &[u8]) -> Found<'a> {
    let Some((mut reply, rest)) = read_head(bytes, Sender::Server)? else {
        return Ok(None);
    };
    let success = (200..300).contains(&reply.status);
    let is_bodiless = reply.status < 200 || reply.status == 204 || (method == b"CONNECT" && success);
    let is_left_out = is_bodiless || method == b"HEAD" || reply.status == 304;
    let lengths = values(&reply.fields, "content-length");
    if !values(&reply.fields, "transfer-encoding").is_empty() {
        return Err("it has a transfer-encoding".into());
    }
    if is_bodiless && !lengths.is_empty() {
        return Err(format!("{} has no length", reply.status));
    }
    let length = match lengths[..] {
        [] if is_left_out => 0,
        [length] => number(length).ok_or("its length is no number")?,
        _ => return Err(format!("it has {} lengths", lengths.len())),
    };
    let body = rest.split_at_checked(if is_left_out { 0 } else { length });
    Ok(body.map(|(body, behind)| {
        reply.body = body.to_vec();
        (reply, behind)
    }))
}

/// Who wrote a response. A module may end lines in LF alone, and omit the space before an empty
/// reason phrase.
#[derive(Clone, Copy, PartialEq)]
pub enum Sender {
    Server,
    Module,
}

/// Parses the head of a response.
pub fn read_head(bytes: &[u8], sender: Sender) -> Found<'_> {
    let mut rest = bytes;
    let mut reply = None;
    while let Some((raw, behind)) = line(rest) {
        rest = behind;
        let text = match raw.strip_suffix(b"\r") {
            Some(text) => text,
            None if sender == Sender::Module => raw,
            None => return Err(format!("a bare LF behind {}", raw.escape_ascii())),
        };
        let Some(Reply { fields, .. }) = &mut reply else {
            let found = status_line(text, sender);
            reply = Some(found.ok_or_else(|| format!("no status line: {}", text.escape_ascii()))?);
            continue;
        };
        if text.is_empty() {
            return Ok(reply.map(|reply| (reply, rest)));
        }
        if !field_line(text, fields) {
            return Err(format!("no field: {}", text.escape_ascii()));
        }
    }
    Ok(None)
}

fn status_line(text: &[u8], sender: Sender) -> Option<Reply> {
    let (minor, rest) = match text.strip_prefix(b"HTTP/1.")? {
        [b'1', b' ', rest @ ..] => (1, rest),
        // A client of HTTP/1.0 may get a response of HTTP/1.0.
        [b'0', b' ', rest @ ..] if sender == Sender::Server => (0, rest),
        _ => return None,
    };
    let (digits, reason) = rest.split_at_checked(3)?;
    let is_left_out = reason.is_empty() && sender == Sender::Module;
    let reason = if is_left_out { reason } else { reason.strip_prefix(b" ")? };
    let (fields, body) = Default::default();
    let reply = Reply { minor, status: number(digits)?, reason: reason.to_vec(), fields, body };
    reason.iter().all(is_text).then_some(reply)
}
