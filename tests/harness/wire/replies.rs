//! Reads the responses of a server by RFC 9112. Everything that is not exactly
//! framed is wrong.

use super::rfc9112::{Fields, field_line, is_text, values};

/// Returns the reason phrase of a response that the host makes itself.
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

/// Returns the page of a response that the host makes itself.
#[track_caller]
pub fn own_page(status: u16) -> String {
    let reason = own_reason(status).unwrap_or_else(|| panic!("the host itself answers {status}"));
    format!("<h1>error {status} {}</h1>", reason.to_ascii_lowercase())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The digit behind `HTTP/1.`.
    pub minor: u8,
    pub status: u16,
    pub reason: Vec<u8>,
    pub fields: Fields,
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the value of the only field of this name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let values = values(&self.fields, name);
        assert!(values.len() < 2, "{name} stands there {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// Returns whether the server announces the end of the connection.
    pub fn closes(&self) -> bool {
        match self.field("connection") {
            Some(b"close") => true,
            Some(b"keep-alive") => false,
            Some(other) => panic!("connection: {}", other.escape_ascii()),
            None => self.minor == 0,
        }
    }
}

/// Output of a server that was not read yet.
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

    /// Returns the unread output, for a message.
    pub fn rest(&self) -> String {
        self.rest.escape_ascii().to_string()
    }

    /// Reads the next response, to a request of this method.
    pub fn next(&mut self, method: &[u8]) -> Result<Reply, String> {
        let mut reply = self.head()?;
        let success = (200..300).contains(&reply.status);
        let bodiless = reply.status < 200 || reply.status == 204 || (method == b"CONNECT" && success);
        let lengths = values(&reply.fields, "content-length");
        if !values(&reply.fields, "transfer-encoding").is_empty() {
            return Err("it has a transfer-encoding".into());
        }
        if bodiless && !lengths.is_empty() {
            return Err(format!("{} has no length", reply.status));
        }
        let length = match lengths[..] {
            [] if bodiless || method == b"HEAD" || reply.status == 304 => 0,
            [length] if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
                let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
                length.ok_or("its length is no number")?
            }
            _ => return Err(format!("it has {} lengths, or none that is a number", lengths.len())),
        };
        let follows = !(bodiless || method == b"HEAD" || reply.status == 304);
        if follows {
            let (body, behind) = self.rest.split_at_checked(length).ok_or("its body breaks off")?;
            reply.body = body.to_vec();
            self.rest = behind;
        }
        Ok(reply)
    }

    fn line(&mut self) -> Result<&'a [u8], String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').ok_or("a line does not end")?;
        let line = self.rest[..end].strip_suffix(b"\r").ok_or("a bare LF")?;
        self.rest = &self.rest[end + 1..];
        Ok(line)
    }

    fn head(&mut self) -> Result<Reply, String> {
        let line = self.line()?;
        // A client of HTTP/1.0 may get a response of HTTP/1.0.
        let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "));
        let (digits, rest) = rest.and_then(|rest| rest.split_at_checked(3)).ok_or("no status line")?;
        let reason = rest.strip_prefix(b" ").ok_or("no space behind the status")?;
        if !digits.iter().all(u8::is_ascii_digit) || !reason.iter().all(is_text) {
            return Err(format!("a status line that is none: {}", line.escape_ascii()));
        }
        let status = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let mut reply = Reply {
            minor: line[7] - b'0',
            status: status.ok_or("no status")?,
            reason: reason.to_vec(),
            fields: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(reply);
            }
            if !field_line(line, &mut reply.fields).is_empty() {
                return Err(format!("no field: {}", line.escape_ascii()));
            }
        }
    }
}
