//! Checks what a handler returned: one HTTP/1.1 message, which the host frames. A
//! doubtful message is refused as a whole, because half a response is worse than a 502.

use std::mem::MaybeUninit;

use handler_sdk::HttpDate;
use handler_sdk::abi::{REQUEST_ID, SINGLE_FIELDS};
use httparse::Header;

use crate::hop_by_hop::{Listed, OPTIONS_MAX, has_too_many_options, is_hop_by_hop};
use crate::invalid_response::InvalidResponse;
use crate::request_id::RequestId;

/// Start of the status line.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// Most fields in the head of a handler's response.
pub const FIELDS_MAX: usize = 100;

/// Name of the field with the number of the handler's version.
pub const HANDLER_VERSION: &str = "x-handler-version";

const CONTENT_LENGTH: &str = "content-length";

/// Room for the fields of one response.
pub struct Places<'a>([MaybeUninit<Header<'a>>; FIELDS_MAX]);

impl Default for Places<'_> {
    fn default() -> Self {
        Places([const { MaybeUninit::uninit() }; FIELDS_MAX])
    }
}

/// A response that was checked.
pub struct Checked<'a> {
    /// Status: 200 to 599.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'a [u8],
    /// Content after the head. Not sent in answer to HEAD.
    pub content: &'a [u8],
    /// Length that the response states, in bytes.
    pub length: Option<u64>,
    fields: &'a [Header<'a>],
    listed: Listed<'a>,
    is_for_head: bool,
}

/// Fields that the host adds to a response.
pub struct Own<'a> {
    /// Id of the request.
    pub id: &'a RequestId,
    /// Number of the version that was called.
    pub version: Option<u64>,
    /// Value of `connection`.
    pub connection: Option<&'static str>,
    /// Value of `date`.
    pub date: &'a [u8; HttpDate::LENGTH],
}

/// Checks the response to a request of this method. A head longer than `head_max` bytes
/// is refused.
///
/// # Errors
///
/// The reason for which the response is refused.
pub fn check<'a>(
    response: &'a [u8],
    method: &str,
    head_max: usize,
    places: &'a mut Places<'a>,
) -> Result<Checked<'a>, InvalidResponse> {
    if response.is_empty() {
        return Err(InvalidResponse::Empty);
    }
    if response.starts_with(b"HTTP/1.0 ") {
        return Err(InvalidResponse::Version);
    }
    if !response.starts_with(VERSION) {
        return Err(InvalidResponse::Head("it does not begin with HTTP/1.1"));
    }
    let text = head(response, head_max)?;
    let mut head = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut head, text, &mut places.0) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Err(InvalidResponse::HeadUnfinished),
        Err(error) => return Err(InvalidResponse::Head(complaint(error))),
    };
    let status = head.code.unwrap_or_default();
    if !(200..=599).contains(&status) {
        return Err(InvalidResponse::Status(status));
    }
    if method == "CONNECT" && status < 300 {
        return Err(InvalidResponse::Tunnel(status));
    }
    let (fields, content) = (&*head.headers, response.get(length..).unwrap_or_default());
    let listed = check_fields(fields)?;
    let is_for_head = method == "HEAD";
    let length = content_length(status, stated_length(fields)?, content.len(), is_for_head)?;
    Ok(Checked { status, reason: reason(text)?, content, length, fields, listed, is_for_head })
}

impl<'a> Checked<'a> {
    /// Returns the fields to be sent: without hop-by-hop fields, and without those that
    /// the host states itself, such as `content-length` and `date`.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let is_sent =
            |field: &&Header<'_>| !is_dropped(field.name) && !self.listed.contains(field.name.as_bytes());
        self.fields.iter().filter(is_sent).map(|field| (field.name, field.value))
    }

    /// Returns the bytes to be sent after the head.
    pub fn body(&self) -> &'a [u8] {
        if self.is_for_head { &[] } else { self.content }
    }

    /// Appends the head that a client gets.
    pub fn write_head(&self, out: &mut Vec<u8>, own: &Own<'_>) {
        let mut digits = itoa::Buffer::new();
        put(out, [VERSION, digits.format(self.status).as_bytes(), b" ", self.reason, b"\r\n"]);
        for (name, value) in self.fields() {
            let start = out.len();
            out.extend_from_slice(name.as_bytes());
            out.get_mut(start..).unwrap_or_default().make_ascii_lowercase();
            put(out, [b": ", value, b"\r\n"]);
        }
        if let Some(length) = self.length {
            put(out, [b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        put(out, [REQUEST_ID.as_bytes(), b": ", own.id.as_bytes(), b"\r\n"]);
        if let Some(number) = own.version {
            put(out, [HANDLER_VERSION.as_bytes(), b": ", digits.format(number).as_bytes(), b"\r\n"]);
        }
        if let Some(option) = own.connection {
            put(out, [b"connection: ", option.as_bytes(), b"\r\n"]);
        }
        put(out, [b"date: ", own.date, b"\r\n\r\n"]);
    }
}

/// Appends pieces. Their number is a constant, so the compiler unrolls the loop and
/// knows the lengths of literals.
pub(crate) fn put<const N: usize>(to: &mut Vec<u8>, pieces: [&[u8]; N]) {
    pieces.into_iter().for_each(|piece| to.extend_from_slice(piece));
}

/// Returns whether a field of a handler is never sent.
fn is_dropped(name: &str) -> bool {
    // No such name is longer than this room.
    let mut room = [0; 24];
    let Some(lower) = room.get_mut(..name.len()) else {
        return false;
    };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    matches!(&*lower, b"date" | b"content-length")
        || [REQUEST_ID, HANDLER_VERSION].iter().any(|own| lower == own.as_bytes())
        || is_hop_by_hop(lower)
}

/// Returns the bytes of a response's head, with the empty line at its end. Searches
/// the first `max` bytes only.
fn head(response: &[u8], max: usize) -> Result<&[u8], InvalidResponse> {
    let searched = response.get(..max).unwrap_or(response);
    let end = memchr::memchr_iter(b'\n', searched).find_map(|at| match searched.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    });
    match end.and_then(|end| searched.get(..end)) {
        Some(head) => Ok(head),
        None if response.len() > max => Err(InvalidResponse::HeadTooLong { limit: max }),
        None => Err(InvalidResponse::HeadUnfinished),
    }
}

/// Refuses `transfer-encoding` and repeated fields that may stand once. Returns the names
/// that `connection` lists.
fn check_fields<'a>(fields: &'a [Header<'a>]) -> Result<Listed<'a>, InvalidResponse> {
    for (index, field) in fields.iter().enumerate() {
        let same = |name: &str| field.name.eq_ignore_ascii_case(name);
        if same("transfer-encoding") {
            return Err(InvalidResponse::TransferEncoding);
        }
        if let Some(single) = SINGLE_FIELDS.into_iter().find(|single| same(single)) {
            let earlier = fields.get(..index).unwrap_or_default();
            if earlier.iter().any(|earlier| same(earlier.name)) {
                return Err(InvalidResponse::Repeated { name: single });
            }
        }
    }
    let options = || {
        let named = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection"));
        named.map(|field| field.value)
    };
    if has_too_many_options(options()) {
        return Err(InvalidResponse::TooManyOptions { limit: OPTIONS_MAX });
    }
    Ok(Listed::by(options()))
}

/// Returns the reason phrase. Takes it from the status line: httparse has checked it, but
/// returns an empty one in its place if it has bytes above 0x7F.
fn reason(head: &[u8]) -> Result<&[u8], InvalidResponse> {
    let start = VERSION.len() + "200 ".len();
    let end = memchr::memchr(b'\n', head).unwrap_or_default();
    let line = head.get(start..end).unwrap_or_default();
    let reason = line.strip_suffix(b"\r").unwrap_or(line);
    match reason.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7F) {
        true => Ok(reason),
        false => Err(InvalidResponse::Head("its reason phrase is malformed")),
    }
}

/// Returns the value of `content-length`, if the handler has given one.
fn stated_length(fields: &[Header<'_>]) -> Result<Option<u64>, InvalidResponse> {
    let named = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(CONTENT_LENGTH));
    let mut values = named.map(|field| field.value);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Recipients differ on what they make of leading zeros and of numbers that do
    // not fit a signed integer, so neither is sent.
    let is_plain = |digits: &&str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
    };
    let number = std::str::from_utf8(value).ok().filter(is_plain).and_then(|digits| digits.parse().ok());
    let number = number.filter(|number| *number <= i64::MAX as u64 && values.next().is_none());
    number.map(Some).ok_or(InvalidResponse::LengthMalformed)
}

/// Checks the stated length against the content. Returns the length to be sent: also of
/// content that HEAD leaves out, and never with 204.
fn content_length(
    status: u16,
    stated: Option<u64>,
    actual: usize,
    is_for_head: bool,
) -> Result<Option<u64>, InvalidResponse> {
    if matches!(status, 204 | 205 | 304) && actual > 0 {
        return Err(InvalidResponse::BodyForbidden { status, actual });
    }
    // With HEAD and 304, the length is that of the body in answer to GET (RFC 9110,
    // section 8.6), and the body may be left out.
    let left_out = actual == 0 && (is_for_head || status == 304);
    match stated {
        Some(stated) if stated != actual as u64 && !left_out => {
            Err(InvalidResponse::LengthWrong { stated, actual })
        }
        // RFC 9110, section 8.6 forbids a length with 204.
        _ if status == 204 => Ok(None),
        Some(stated) => Ok(Some(stated)),
        None if left_out => Ok(None),
        None => Ok(Some(actual as u64)),
    }
}

/// Describes an error of httparse to the author of a handler.
fn complaint(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field name is malformed",
        httparse::Error::HeaderValue => "a field value is malformed",
        httparse::Error::NewLine => "a line ends in a lone CR",
        httparse::Error::Status => "the status line is malformed",
        httparse::Error::Token => "it does not begin with HTTP/1.1",
        httparse::Error::TooManyHeaders => "it has more than 100 fields",
        httparse::Error::Version => "it does not begin with HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::{Checked, InvalidResponse, OPTIONS_MAX, Places, check};
    use handler_sdk::abi::SINGLE_FIELDS;

    const MAX: usize = 64 << 10;

    /// Checks a response, and returns a part of the result.
    fn checked<T>(
        response: &str,
        method: &str,
        max: usize,
        part: impl for<'a> FnOnce(Checked<'a>) -> T,
    ) -> Result<T, InvalidResponse> {
        check(response.as_bytes(), method, max, &mut Places::default()).map(part)
    }

    #[test]
    fn a_field_that_may_stand_once_is_refused_when_it_is_repeated() {
        for name in SINGLE_FIELDS {
            let twice = |second: &str| {
                checked(&format!("HTTP/1.1 200 OK\n{name}: a\nvary: b\n{second}: a\n\n"), "GET", MAX, |_| ())
            };
            for second in [name, &name.to_uppercase()] {
                assert_eq!(twice(second).err(), Some(InvalidResponse::Repeated { name }), "{second}");
            }
            assert!(twice("vary").is_ok() && twice("set-cookie").is_ok(), "{name}");
        }
    }

    #[test]
    fn what_concerns_a_connection_or_is_stated_by_the_host_is_not_sent() {
        let response = "HTTP/1.1 200 Fine\r\nX-A: 1\r\nconnection: X-B, close\r\nX-b: 2\r\nDate: x\r\nTE: x\r\n\
            Keep-Alive: 1\r\nX-Handler-Version: 7\r\nContent-Length: 4\r\nx-c:\r\n\r\nbody";
        let fields = |found: Checked<'_>| {
            (
                found.reason == b"Fine",
                found.length,
                found.fields().map(|(name, value)| format!("{name}={}", value.len())).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            checked(response, "GET", MAX, fields),
            Ok((true, Some(4), vec!["X-A=1".into(), "x-c=0".into()]))
        );
    }

    #[test]
    fn a_head_is_taken_up_to_its_limit_whatever_follows_it() {
        let whole = "HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\n";
        for body in ["", "body"] {
            let response = format!("{whole}{body}");
            assert!(checked(&response, "GET", whole.len(), |_| ()).is_ok());
            let limit = whole.len() - 1;
            assert_eq!(checked(&response, "GET", limit, |_| ()), Err(InvalidResponse::HeadTooLong { limit }));
        }
        let unfinished = checked("HTTP/1.1 200 OK\r\nx-a: 1\r\n", "GET", MAX, |_| ());
        assert_eq!(unfinished, Err(InvalidResponse::HeadUnfinished));
        for end in ["\n\n", "\n\r\n", "\r\n\n"] {
            let response = format!("HTTP/1.1 200 OK\nx-a: 1{end}body");
            assert_eq!(checked(&response, "GET", MAX, |found| found.content == b"body"), Ok(true));
        }
    }

    #[test]
    fn a_length_is_one_number_as_http_writes_it() {
        let stated = |length: &str| {
            let response = format!("HTTP/1.1 200 OK\ncontent-length: {length}\n\n");
            checked(&response, "HEAD", MAX, |found| found.length)
        };
        assert_eq!(stated("0"), Ok(Some(0)));
        assert_eq!(stated("9223372036854775807"), Ok(Some(i64::MAX as u64)));
        for length in ["007", "00", "+7", "7,7", "", "9223372036854775808", "18446744073709551616"] {
            assert_eq!(stated(length), Err(InvalidResponse::LengthMalformed), "{length}");
        }
    }

    #[test]
    fn a_client_is_told_the_length_of_what_get_returns() {
        for (method, response, length) in [
            ("GET", "HTTP/1.1 200 OK\r\n\r\nbody", Some(4)),
            ("HEAD", "HTTP/1.1 200 OK\r\n\r\nbody", Some(4)),
            ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", Some(4)),
            ("GET", "HTTP/1.1 200 OK\r\n\r\n", Some(0)),
            ("GET", "HTTP/1.1 205 Reset Content\r\n\r\n", Some(0)),
            // A response to HEAD has no body, so the length for GET is unknown.
            ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
            ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", None),
            ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
            ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", Some(9)),
        ] {
            assert_eq!(
                checked(response, method, MAX, |found| found.length),
                Ok(length),
                "{method} {response}"
            );
        }
    }

    #[test]
    fn options_are_taken_up_to_their_limit() {
        let with = |count: usize| {
            checked(
                &format!("HTTP/1.1 200 OK\nconnection: {}\n\n", ",".repeat(count - 1)),
                "GET",
                MAX,
                |_| (),
            )
        };
        assert!(with(OPTIONS_MAX).is_ok());
        assert_eq!(with(OPTIONS_MAX + 1), Err(InvalidResponse::TooManyOptions { limit: OPTIONS_MAX }));
    }
}
