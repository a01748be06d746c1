//! The request as a view: slices of the bytes that the host copied in.
//!
//! Parsing is total. Any bytes at all are either a request or [`Malformed`],
//! and nothing here panics, because a trap would cost the client a clear 400.

use core::str;

/// One HTTP request, borrowed from its bytes.
///
/// ```
/// use handler_sdk::Request;
/// let bytes = b"POST /notes?draft=1 HTTP/1.1\r\nhost: example\r\ncontent-length: 2\r\n\r\nhi";
/// let request = Request::parse(bytes).unwrap();
/// assert_eq!(request.method(), "POST");
/// assert_eq!(request.path(), "/notes");
/// assert_eq!(request.query(), Some("draft=1"));
/// assert_eq!(request.field("Host"), Some(&b"example"[..]));
/// assert_eq!(request.body(), b"hi");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    method: &'a str,
    target: &'a str,
    field_lines: &'a [u8],
    body: &'a [u8],
}

/// The bytes are not a request of the form that the contract promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Request<'a> {
    /// Reads a request's canonical bytes: a request line, field lines, an
    /// empty line, and a body as long as `content-length` says (no field, no
    /// body).
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes are anything else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (request_line, rest) = split_line(bytes).ok_or(Malformed)?;
        let (method, target) = parse_request_line(request_line).ok_or(Malformed)?;
        let (field_lines, body) = split_fields(rest).ok_or(Malformed)?;
        let request = Request {
            method,
            target,
            field_lines,
            body,
        };
        match request.content_length() {
            Some(length) if length == body.len() => Ok(request),
            _ => Err(Malformed),
        }
    }

    /// The method, in the case in which the client sent it.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The request target as it stood in the request line: path and query.
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The target up to the first `?`, which is what routes are matched with.
    pub fn path(&self) -> &'a str {
        match self.target.split_once('?') {
            Some((path, _)) => path,
            None => self.target,
        }
    }

    /// The target after the first `?`, or `None` where there is no `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The value of the first field of this name, in any case of letters.
    ///
    /// A value is bytes rather than text: HTTP lets it hold any byte above 0x7F.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields()
            .find(|(each, _)| each.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields in the order in which they came, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        // `parse` has been through these lines, so none of them is skipped.
        let mut rest = self.field_lines;
        core::iter::from_fn(move || {
            let (line, after) = split_line(rest)?;
            rest = after;
            parse_field(line)
        })
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body's length as the fields state it: 0 without a `content-length`,
    /// `None` when it is no number or stands there twice.
    fn content_length(&self) -> Option<usize> {
        let mut stated = self
            .fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let Some((_, value)) = stated.next() else {
            return Some(0);
        };
        if stated.next().is_some() || !value.iter().all(u8::is_ascii_digit) {
            return None;
        }
        str::from_utf8(value).ok()?.parse().ok()
    }
}

/// Splits off the first line and its CRLF.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end + 1)?;
    Some((line.strip_suffix(b"\r\n")?, rest))
}

/// Splits the field lines, all of them checked, from the body.
fn split_fields(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    loop {
        let (line, after) = split_line(rest)?;
        if line.is_empty() {
            let fields = bytes.get(..bytes.len() - rest.len())?;
            return Some((fields, after));
        }
        parse_field(line)?;
        rest = after;
    }
}

/// `METHOD SP target SP HTTP/1.1` (RFC 9112, section 3).
fn parse_request_line(line: &[u8]) -> Option<(&str, &str)> {
    let line = str::from_utf8(line.strip_suffix(b" HTTP/1.1")?).ok()?;
    let (method, target) = line.split_once(' ')?;
    let sound = is_token(method) && !target.is_empty() && target.bytes().all(|b| b.is_ascii_graphic());
    sound.then_some((method, target))
}

/// `name ":" OWS value OWS` (RFC 9112, section 5).
fn parse_field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = str::from_utf8(name).ok()?;
    let value = value.strip_prefix(b":")?.trim_ascii();
    (is_token(name) && is_field_value(value)).then_some((name, value))
}

/// Whether this is a token, the form of methods and field names (RFC 9110,
/// section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether these bytes may stand in a field's value: anything but control
/// bytes, of which only the tab is allowed (RFC 9110, section 5.5).
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Request};

    #[test]
    fn a_request_is_seen_whole() {
        let bytes =
            b"PUT /a?b?c HTTP/1.1\r\nhost: h\r\ncookie: a\r\ncookie: b\r\ncontent-length: 3\r\n\r\n\x00\r\n";
        let request = Request::parse(bytes).unwrap();
        assert_eq!((request.method(), request.target()), ("PUT", "/a?b?c"));
        assert_eq!((request.path(), request.query()), ("/a", Some("b?c")));
        assert_eq!(request.field("COOKIE"), Some(&b"a"[..]));
        assert_eq!(request.field("missing"), None);
        assert_eq!(request.fields().count(), 4);
        assert_eq!(request.body(), b"\x00\r\n");
    }

    #[test]
    fn white_space_around_a_value_is_not_part_of_it() {
        let request = Request::parse(b"GET / HTTP/1.1\r\na: \t b c\t \r\nempty:\r\n\r\n").unwrap();
        assert_eq!(request.field("a"), Some(&b"b c"[..]));
        assert_eq!(request.field("empty"), Some(&b""[..]));
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"GET",
            b"GET / HTTP/1.1",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\n\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET HTTP/1.1\r\n\r\n",
            b" / HTTP/1.1\r\n\r\n",
            b"G(T / HTTP/1.1\r\n\r\n",
            b"GET /\x80 HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
            b"GET / HTTP/1.1\r\na : b\r\n\r\n",
            b"GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\na: \0\r\n\r\n",
            b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\nbody without a length",
            b"GET / HTTP/1.1\r\ncontent-length: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\ncontent-length: 1\r\n\r\n12",
            b"GET / HTTP/1.1\r\ncontent-length: +1\r\n\r\n1",
            b"GET / HTTP/1.1\r\ncontent-length: \r\n\r\n",
            b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n1",
            b"GET / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n1",
        ] {
            assert_eq!(
                Request::parse(bytes).map(|_| ()),
                Err(Malformed),
                "{:?}",
                bytes.escape_ascii()
            );
        }
    }
}
