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
        parse(bytes).ok_or(Malformed)
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
        self.split_target().0
    }

    /// The target after the first `?`, or `None` where there is no `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.split_target().1
    }

    /// The value of the first field of this name, in any case of letters.
    ///
    /// A value is bytes rather than text: HTTP lets it hold any byte above 0x7F.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.fields().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields in the order in which they came, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        // `parse` has been through these lines, so each of them is a field.
        let mut rest = self.field_lines;
        core::iter::from_fn(move || {
            let field = Field::parse(rest)?;
            rest = field.rest;
            Some((str::from_utf8(field.name).ok()?, field.value))
        })
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    fn split_target(&self) -> (&'a str, Option<&'a str>) {
        let mark = self.target.bytes().position(|byte| byte == b'?');
        let parts = mark.and_then(|mark| Some((self.target.get(..mark)?, self.target.get(mark + 1..)?)));
        parts.map_or((self.target, None), |(path, query)| (path, Some(query)))
    }
}

fn parse(bytes: &[u8]) -> Option<Request<'_>> {
    // METHOD SP target SP HTTP/1.1 CRLF (RFC 9112, section 3)
    let (method, rest) = split_at(bytes, run(bytes, is_token_byte))?;
    let rest = rest.strip_prefix(b" ")?;
    let (target, rest) = split_at(rest, run(rest, u8::is_ascii_graphic))?;
    let field_lines = rest.strip_prefix(b" HTTP/1.1\r\n")?;
    if method.is_empty() || target.is_empty() {
        return None;
    }

    let mut rest = field_lines;
    let mut stated_length = None;
    while !rest.starts_with(b"\r\n") {
        let field = Field::parse(rest)?;
        if field.name.eq_ignore_ascii_case(b"content-length") {
            let length = parse_length(field.value)?;
            if stated_length.replace(length).is_some() {
                return None;
            }
        }
        rest = field.rest;
    }
    let (field_lines, _) = split_at(field_lines, field_lines.len() - rest.len())?;
    let body = rest.strip_prefix(b"\r\n")?;
    if stated_length.unwrap_or(0) != body.len() {
        return None;
    }
    let (method, target) = (str::from_utf8(method).ok()?, str::from_utf8(target).ok()?);
    Some(Request { method, target, field_lines, body })
}

/// One field line, and what follows it.
struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Field<'a> {
    /// `name ":" OWS value OWS CRLF` (RFC 9112, section 5).
    fn parse(bytes: &'a [u8]) -> Option<Field<'a>> {
        let (name, rest) = split_at(bytes, run(bytes, is_token_byte))?;
        let rest = rest.strip_prefix(b":")?;
        let (value, rest) = split_at(rest, text_run(rest))?;
        let rest = rest.strip_prefix(b"\r\n")?;
        (!name.is_empty()).then(|| Field { name, value: value.trim_ascii(), rest })
    }
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

fn split_at(bytes: &[u8], middle: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(middle)
}

/// How many bytes at the beginning are of this kind.
fn run(bytes: &[u8], kind: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().position(|byte| !kind(byte)).unwrap_or(bytes.len())
}

/// How many bytes at the beginning may stand in a field's value. Values are
/// most of a request's head, so eight bytes are looked at together for as long
/// as none of them is a control byte.
fn text_run(bytes: &[u8]) -> usize {
    let plain = |eight: &&[u8]| <[u8; 8]>::try_from(*eight).is_ok_and(|eight| !has_control(eight));
    let start = 8 * bytes.chunks_exact(8).take_while(plain).count();
    start + bytes.get(start..).map_or(0, |rest| run(rest, is_text_byte))
}

/// Whether one of the bytes is below 0x20, or is 0x7F: a subtraction borrows
/// into the top bit of each byte for which that holds. Where it borrows on into
/// the next byte there was one that it holds for, so the answer stays right.
fn has_control(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_ne_bytes(bytes);
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | is_delete) & (ONES * 0x80) != 0
}

/// Whether this byte may stand in a token, the form of methods and field names
/// (RFC 9110, section 5.6.2).
#[allow(clippy::indexing_slicing, reason = "the table has a place for every byte")]
fn is_token_byte(byte: &u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut rest: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [byte, after @ ..] = rest {
            table[*byte as usize] = true;
            rest = after;
        }
        table
    };
    TABLE[usize::from(*byte)]
}

/// Whether this byte may stand in a field's value: anything but control bytes,
/// of which only the tab is allowed (RFC 9110, section 5.5).
fn is_text_byte(byte: &u8) -> bool {
    *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f)
}

pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(is_token_byte)
}

pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    text_run(bytes) == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Request, has_control, is_text_byte, text_run};

    #[test]
    fn eight_bytes_together_are_judged_like_each_alone() {
        for place in 0..8 {
            for around in [b' ', b'a', 0x7e, 0x80, 0xff] {
                for byte in 0..=u8::MAX {
                    let mut eight = [around; 8];
                    eight[place] = byte;
                    let expected = byte < b' ' || byte == 0x7f;
                    assert_eq!(has_control(eight), expected, "{eight:?}");
                    let run = if is_text_byte(&byte) { 8 } else { place };
                    assert_eq!(text_run(&eight), run, "{eight:?}");
                }
            }
        }
    }

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
            assert_eq!(Request::parse(bytes).map(|_| ()), Err(Malformed), "{:?}", bytes.escape_ascii());
        }
    }
}
