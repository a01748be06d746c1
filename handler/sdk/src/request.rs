//! The request as a view: slices of the bytes that the host copied in.
//!
//! Only the request line is read before a handler runs; fields and body are
//! looked for when they are asked for, since most routes need few of them or
//! none. The host has validated every byte of a request and written it anew in
//! one canonical form, so what is beyond the request line is located here and
//! not checked again.
//!
//! All of it is total. Any bytes at all can be asked for anything, and nothing
//! here panics, because a trap would cost the client a clear answer.

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
    /// Token bytes, so ASCII; never empty.
    method: &'a [u8],
    /// Graphic ASCII; never empty.
    target: &'a [u8],
    /// How much of the target is the path, in bytes.
    path_length: usize,
    /// Field lines, an empty line, the body.
    after_line: &'a [u8],
    /// Empty where none is chosen yet.
    route: &'static str,
}

/// The bytes do not begin with a request line of the form that the contract
/// promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Request<'a> {
    /// Reads the request line of a request's canonical bytes: a method, a
    /// target of graphic ASCII, and `HTTP/1.1`, up to its CR LF.
    ///
    /// What follows is not checked. The host has done that, and a request that
    /// is not as the host promises is read as far as it goes: see
    /// [`Request::fields`] and [`Request::body`].
    ///
    /// # Errors
    ///
    /// [`Malformed`] when the bytes begin with anything else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        parse(bytes).ok_or(Malformed)
    }

    /// The method, in the case in which the client sent it.
    pub fn method(&self) -> &'a str {
        text(self.method)
    }

    /// The request target as it stood in the request line: path and query.
    pub fn target(&self) -> &'a str {
        text(self.target)
    }

    /// The target up to the first `?`, which is what routes are matched with.
    pub fn path(&self) -> &'a str {
        text(self.path_bytes())
    }

    /// The target after the first `?`, or `None` where there is no `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.target.get(self.path_length + 1..).map(text)
    }

    pub(crate) fn query_bytes(&self) -> &'a [u8] {
        self.target.get(self.path_length + 1..).unwrap_or_default()
    }

    /// The value of the first field of this name, in any case of letters.
    ///
    /// A value is bytes rather than text: HTTP lets it hold any byte above 0x7F.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.field_values(name).next()
    }

    /// The values of all fields of this name, in any case of letters.
    pub fn field_values<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        Lines::of(self).filter_map(move |line| value_of(line, name))
    }

    /// All fields in the order in which they came, names in lower case.
    ///
    /// They end at the first empty line. A line that is no field, as the host
    /// never writes one, is passed over: one without a colon, or with nothing
    /// or no UTF-8 before it.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        Lines::of(self).filter_map(|line| {
            let (name, value) = line.split_at_checked(find(b':', line).filter(|length| *length > 0)?)?;
            Some((str::from_utf8(name).ok()?, value.get(1..)?.trim_ascii()))
        })
    }

    /// The body; empty where there is none.
    ///
    /// It is what follows the first empty line, and of that as much as
    /// `content-length` says, where there is one and it says less. The host
    /// hands over neither more nor less than that.
    pub fn body(&self) -> &'a [u8] {
        let mut lines = Lines::of(self);
        let mut stated = None;
        for line in &mut lines {
            stated = stated.or_else(|| value_of(line, "content-length").and_then(parse_length));
        }
        let body = lines.body.unwrap_or_default();
        stated.and_then(|length| body.get(..length)).unwrap_or(body)
    }

    /// The path of the route that answers this request, as the table has it:
    /// `/users/{id}`. Empty where no [`Router`](crate::Router) has chosen one.
    pub const fn route(&self) -> &'static str {
        self.route
    }

    pub(crate) const fn of_route(&self, route: &'static str) -> Self {
        Request { route, ..*self }
    }

    /// Reads the body as JSON. Text without escapes can be borrowed from it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, when it is not JSON or not of this type.
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
    /// The request line, without what may be secret or long.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .finish_non_exhaustive()
    }
}

/// METHOD SP target SP HTTP/1.1 CRLF (RFC 9112, section 3)
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

/// As text what `parse` has found to be ASCII. It is made when asked for: the
/// code that checks it is left out of a module that works with bytes.
fn text(ascii: &[u8]) -> &str {
    str::from_utf8(ascii).unwrap_or("")
}

/// The value in a field line, when it is one of a field of this name.
fn value_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    (!name.is_empty() && found.eq_ignore_ascii_case(name.as_bytes())).then(|| value.trim_ascii())
}

/// Decimal digits and nothing else, as a number that an address can have.
fn parse_length(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0usize, |length, digit| {
        let digit = digit.is_ascii_digit().then(|| usize::from(digit - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    })
}

/// The field lines, up to the first empty line.
struct Lines<'a> {
    rest: &'a [u8],
    /// What follows the empty line, once that is reached.
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

    /// The host writes none of these. What is asked of them has an answer.
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
