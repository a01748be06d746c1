//! The request, as slices of the bytes that the host copied into the module's memory.
//!
//! Only the request line is parsed before a handler runs. Fields and body are located
//! on demand, because most routes need few or none of them. They are not checked again:
//! the host has validated every byte, and encoded the request canonically.
//!
//! No function panics on any input, because a panic would trap, and the client would get status 500
//! instead of a clear response.

use core::fmt;
use core::str;

use crate::bytes::{find, graphic_run, is_token_byte};

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
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Bytes of a token, which are ASCII. Never empty.
    method: &'a [u8],
    /// Printable ASCII without spaces. Never empty.
    target: &'a [u8],
    /// Length of the path within the target, in bytes.
    path_length: usize,
    /// Bytes after the request line: field lines, an empty line and the body.
    after_line: &'a [u8],
    /// Pattern of the chosen route; empty before a route is chosen.
    route: &'static str,
}

/// Error of [`Request::parse`]: the bytes do not begin with a request line as the host writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Request<'a> {
    /// Parses a request as the host encodes it. Only the request line is parsed: a method, a target
    /// of printable ASCII without spaces, and `HTTP/1.1`, up to CR LF.
    ///
    /// Fields and body are not checked, because the host has checked them. [`Request::fields`] and
    /// [`Request::body`] say how they treat malformed bytes that did not come from the host.
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes begin with anything else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        parse(bytes).ok_or(Malformed)
    }

    /// Returns the method, in upper or lower case as the client sent it.
    pub fn method(&self) -> &'a str {
        text(self.method)
    }

    /// Returns the request target: path and query; `*` with OPTIONS; or host and port with CONNECT.
    pub fn target(&self) -> &'a str {
        text(self.target)
    }

    /// Returns the path, which a [`Router`](crate::Router) compares with its routes: the target up
    /// to the first `?`.
    pub fn path(&self) -> &'a str {
        text(self.path_bytes())
    }

    /// Returns the query, which is the target after the first `?`. `None` if the target has no `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.target.get(self.path_length + 1..).map(text)
    }

    pub(crate) fn query_bytes(&self) -> &'a [u8] {
        self.target.get(self.path_length + 1..).unwrap_or_default()
    }

    /// Returns the value of the first field of this name. Case does not matter in the name.
    ///
    /// Values are bytes rather than text, because HTTP allows any byte above 0x7F
    /// in them.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// Returns the value of the first field of this name as text. Case does not matter in
    /// the name. `None` if there is no such field, or its value is not UTF-8.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET / HTTP/1.1\r\nhost: a\r\nx: \xff\r\n\r\n").unwrap();
    /// assert_eq!(request.field_text("Host"), Some("a"));
    /// assert_eq!(request.field_text("x"), None);
    /// ```
    pub fn field_text(&self, name: &str) -> Option<&'a str> {
        str::from_utf8(self.field(name)?).ok()
    }

    /// Returns the values of all fields of this name. Case does not matter in the name.
    pub fn field_values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        Lines::of(self).filter_map(move |line| value_of(line, name))
    }

    /// Returns all fields in order, with names in lower case.
    ///
    /// Fields end at the first empty line. Malformed lines, which the host never
    /// writes, are skipped: those without a colon, and those whose name is empty or
    /// not UTF-8.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        Lines::of(self).filter_map(|line| {
            let (name, value) = line.split_at_checked(find(b':', line).filter(|length| *length > 0)?)?;
            Some((str::from_utf8(name).ok()?, value.get(1..)?.trim_ascii()))
        })
    }

    /// Returns the body; empty if there is none.
    ///
    /// The body is what follows the first empty line, cut to `content-length` if more bytes
    /// follow. The host passes exactly `content-length` bytes.
    pub fn body(&self) -> &'a [u8] {
        let mut lines = Lines::of(self);
        let mut stated = None;
        for line in &mut lines {
            stated = stated.or_else(|| value_of(line, "content-length").and_then(parse_length));
        }
        let body = lines.body.unwrap_or_default();
        stated.and_then(|length| body.get(..length)).unwrap_or(body)
    }

    /// Returns the path pattern of the chosen route, such as `/users/{id}`; empty
    /// if no [`Router`](crate::Router) has chosen one.
    pub const fn route(&self) -> &'static str {
        self.route
    }

    pub(crate) const fn of_route(&self, route: &'static str) -> Self {
        Request { route, ..*self }
    }

    /// Parses the body as JSON. Text without escapes can be borrowed from the body.
    ///
    /// # Errors
    ///
    /// The error of serde_json, when the body is not JSON or not of this type.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body())
    }

    pub(crate) const fn method_bytes(&self) -> &'a [u8] {
        self.method
    }

    pub(crate) fn path_bytes(&self) -> &'a [u8] {
        self.target.get(..self.path_length).unwrap_or(self.target)
    }
}

impl fmt::Debug for Request<'_> {
    /// Shows the request line only: fields and body may be secret or long.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}

/// Parses `METHOD SP target SP HTTP/1.1 CRLF` (RFC 9112, section 3).
fn parse(bytes: &[u8]) -> Option<Request<'_>> {
    let method_length = bytes.iter().position(|byte| !is_token_byte(*byte))?;
    let (method, rest) = bytes.split_at_checked(method_length)?;
    let rest = rest.strip_prefix(b" ")?;
    let path_length = graphic_run(rest, b'?');
    let query_length = graphic_run(rest.get(path_length..)?, b' ');
    let (target, rest) = rest.split_at_checked(path_length + query_length)?;
    let after_line = rest.strip_prefix(b" HTTP/1.1\r\n")?;
    if method.is_empty() || target.is_empty() {
        return None;
    }
    Some(Request { method, target, path_length, after_line, route: "" })
}

/// Converts bytes of the request line to text. [`parse`] has checked that they are ASCII, but does
/// not convert them, so that a module that works with bytes only contains no check of UTF-8.
fn text(ascii: &[u8]) -> &str {
    str::from_utf8(ascii).unwrap_or("")
}

/// Returns the value of a field line if the line has this name. Case does not matter in the name.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    (!name.is_empty() && found.eq_ignore_ascii_case(name.as_bytes())).then(|| value.trim_ascii())
}

/// Parses a length in decimal digits; `None` for other text, and for numbers that do not fit.
fn parse_length(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0usize, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// Iterator over the field lines up to the first empty line.
struct Lines<'a> {
    rest: &'a [u8],
    /// Bytes after the empty line, once the iterator has reached the empty line.
    body: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    const fn of(request: &Request<'a>) -> Lines<'a> {
        Lines { rest: request.after_line, body: None }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.body.is_some() {
            return None;
        }
        let end = find(b'\n', self.rest)?;
        let (line, after) = (self.rest.get(..end)?, self.rest.get(end + 1..)?);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.body = Some(after);
            return None;
        }
        self.rest = after;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::prelude::rust_2024::*;

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
    fn path_and_query_part_at_the_first_question_mark() {
        for (target, path, query) in [
            ("/", "/", None),
            ("/?", "/", Some("")),
            ("?", "", Some("")),
            ("*", "*", None),
            (
                "/a-long-path/of/segments?and=a&long=query",
                "/a-long-path/of/segments",
                Some("and=a&long=query"),
            ),
        ] {
            let bytes = format!("GET {target} HTTP/1.1\r\n\r\n");
            let request = Request::parse(bytes.as_bytes()).unwrap();
            assert_eq!((request.target(), request.path(), request.query()), (target, path, query));
        }
    }

    #[test]
    fn white_space_around_a_value_is_not_part_of_it() {
        let request = Request::parse(b"GET / HTTP/1.1\r\na: \t b c\t \r\nempty:\r\n\r\n").unwrap();
        assert_eq!(request.field("a"), Some(&b"b c"[..]));
        assert_eq!(request.field("empty"), Some(&b""[..]));
    }

    #[test]
    fn what_begins_with_no_request_line_is_malformed() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"GET",
            b"GET / HTTP/1.1",
            b"GET / HTTP/1.1\n\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /a b HTTP/1.1\r\n\r\n",
            b"GET HTTP/1.1\r\n\r\n",
            b" / HTTP/1.1\r\n\r\n",
            b"G(T / HTTP/1.1\r\n\r\n",
            b"GET /\x80 HTTP/1.1\r\n\r\n",
            b"GET /?\x80 HTTP/1.1\r\n\r\n",
            b"GET /\x7f HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(Request::parse(bytes).map(|_| ()), Err(Malformed), "{:?}", bytes.escape_ascii());
        }
    }

    /// Checks requests that the host never sends, but for which results are defined.
    #[test]
    fn what_follows_the_request_line_is_read_as_far_as_it_goes() {
        let fields = |lines: &str| {
            let bytes = format!("GET / HTTP/1.1\r\n{lines}").into_bytes();
            let request = Request::parse(&bytes).unwrap();
            let fields = request.fields().map(|(name, _)| name.to_owned()).collect::<Vec<_>>().join(" ");
            (fields, String::from_utf8_lossy(request.body()).into_owned())
        };
        for (lines, names, body) in [
            ("", "", ""),
            ("a: b", "", ""),
            ("a: b\r\n", "a", ""),
            ("a: b\r\n\r\n", "a", ""),
            ("a: b\r\nno colon\r\n: no name\r\nc: d\r\n\r\n", "a c", ""),
            ("a: b\nc: d\n\nbody", "a c", "body"),
            ("\r\na: b\r\n\r\n", "", "a: b\r\n\r\n"),
            ("content-length: 2\r\n\r\nbody", "content-length", "bo"),
            ("content-length: 9\r\n\r\nbody", "content-length", "body"),
            ("content-length: +1\r\n\r\nbody", "content-length", "body"),
            ("content-length: \r\n\r\nbody", "content-length", "body"),
            ("content-length: 99999999999999999999\r\n\r\nbody", "content-length", "body"),
        ] {
            assert_eq!(fields(lines), (names.to_owned(), body.to_owned()), "{lines:?}");
        }
    }
}
