//! Checks the response of a handler: one HTTP/1.1 message, for which the host chooses the framing.
//! Refuses a doubtful message as a whole, because half a response is worse than a 502.

use handler_sdk::HttpDate;
use handler_sdk::abi::{REQUEST_ID, SINGLE_FIELDS};

use crate::field::{Field, Fields, Name, is, put};
use crate::h1::grammar::{is_value, number, split_field};
use crate::hop_by_hop::{Listed, OPTIONS_MAX, has_too_many_options};
use crate::invalid_response::InvalidResponse;
use crate::request_id::RequestId;

/// Start of the status line.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// Field that tells browsers to use HTTPS only.
const HSTS: &str = "strict-transport-security";

/// Maximum number of fields in the head of a handler's response.
pub const FIELDS_MAX: usize = 100;

/// Byte ranges of the fields of one response. The memory is reused for the next response.
#[derive(Debug, Default)]
pub struct Places(Vec<Field>);

/// Response that has passed [`check`].
pub struct Checked<'a> {
    /// Status: 200 to 599.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'a [u8],
    /// Content after the head. Not sent in answer to HEAD.
    pub content: &'a [u8],
    /// Value of `content-length` that the client gets, in bytes; [`None`] if the client gets no
    /// such field.
    pub length: Option<u64>,
    fields: Fields<'a>,
    listed: Listed<'a>,
    is_for_head: bool,
}

/// Fields that the host adds to a response.
pub struct Own<'a> {
    /// Id of the request.
    pub id: &'a RequestId,
    /// Number of the version of the handler that was called, for `x-handler-version`; [`None`]
    /// leaves out the field.
    pub version: Option<u64>,
    /// Value of `connection`; [`None`] leaves out the field.
    pub connection: Option<&'static str>,
    /// Value of `strict-transport-security`, unless the handler has set it.
    pub hsts: Option<&'a str>,
    /// Value of `date`.
    pub date: &'a [u8; HttpDate::LENGTH],
}

/// Checks the response of a handler to a request with this method. Refuses a head longer than
/// `head_max` bytes.
///
/// # Errors
///
/// [`InvalidResponse`] says why the response is refused.
pub fn check<'a>(
    response: &'a [u8],
    method: &str,
    head_max: usize,
    places: &'a mut Places,
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
    let (status, reason, length) = read_head(response, head_max, &mut places.0)?;
    if !(200..=599).contains(&status) {
        return Err(InvalidResponse::Status(status));
    }
    if method == "CONNECT" && status < 300 {
        return Err(InvalidResponse::Tunnel(status));
    }
    let (fields, content) = (Fields::new(response, &places.0), response.get(length..).unwrap_or_default());
    if has_too_many_options(fields.values(Name::Connection)) {
        return Err(InvalidResponse::TooManyOptions { limit: OPTIONS_MAX });
    }
    let listed = Listed::by(fields.values(Name::Connection));
    let is_for_head = method == "HEAD";
    let length = content_length(status, stated_length(fields)?, content.len(), is_for_head)?;
    Ok(Checked { status, reason, content, length, fields, listed, is_for_head })
}

impl<'a> Checked<'a> {
    /// Returns the fields for the client: without hop-by-hop fields, and without those that the
    /// host sets itself, such as `content-length` and `date`.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let is_sent =
            |(known, name, _): &(Name, &[u8], &[u8])| is_sent(*known) && !self.listed.contains(name);
        self.fields.named().filter(is_sent).map(|(_, name, value)| (name, value))
    }

    /// Returns the body for the client, which is empty in response to HEAD.
    pub fn body(&self) -> &'a [u8] {
        if self.is_for_head { &[] } else { self.content }
    }

    /// Appends the head for the client to `out`.
    pub fn write_head(&self, out: &mut Vec<u8>, own: &Own<'_>) {
        let mut digits = itoa::Buffer::new();
        put(out, [VERSION, digits.format(self.status).as_bytes(), b" ", self.reason, b"\r\n"]);
        self.fields.write(out, &self.listed, is_sent);
        if let Some(length) = self.length {
            put(out, [b"content-length: ", digits.format(length).as_bytes(), b"\r\n"]);
        }
        if let Some(number) = own.version {
            put(out, [b"x-handler-version: ", digits.format(number).as_bytes(), b"\r\n"]);
        }
        if let Some(option) = own.connection {
            put(out, [b"connection: ", option.as_bytes(), b"\r\n"]);
        }
        if let Some(hsts) = own.hsts.filter(|_| self.fields.first(HSTS).is_none()) {
            put(out, [HSTS.as_bytes(), b": ", hsts.as_bytes(), b"\r\n"]);
        }
        put(out, [REQUEST_ID.as_bytes(), b": ", own.id.as_bytes(), b"\r\ndate: ", own.date, b"\r\n\r\n"]);
    }
}

/// Returns whether fields of this name are passed on from a handler to the client.
fn is_sent(name: Name) -> bool {
    !matches!(name, Name::Date | Name::ContentLength | Name::RequestId | Name::HandlerVersion)
        && !name.is_hop_by_hop()
}

/// Reads the head of a response. Returns the status, the reason phrase and the length of the head
/// in bytes. Lines may end in LF alone.
fn read_head<'a>(
    response: &'a [u8],
    max: usize,
    places: &mut Vec<Field>,
) -> Result<(u16, &'a [u8], usize), InvalidResponse> {
    let searched = response.get(..max).unwrap_or(response);
    let mut read = 0;
    let mut next_line = || {
        let start = read;
        let rest = searched.get(start..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return Err(match response.len() > max {
                true => InvalidResponse::HeadTooLong { limit: max },
                false => InvalidResponse::HeadUnfinished,
            });
        };
        read += end + 1;
        let line = rest.get(..end).unwrap_or_default();
        Ok((start, line.strip_suffix(b"\r").unwrap_or(line)))
    };
    let (status, reason) = status_line(next_line()?.1)?;
    places.clear();
    let mut singles = 0_u16;
    loop {
        let (start, line) = next_line()?;
        if line.is_empty() {
            return Ok((status, reason, read));
        }
        let (name, value) = split_field(line).ok_or(InvalidResponse::Head("a field name is malformed"))?;
        if !is_value(value) {
            return Err(InvalidResponse::Head("a field value is malformed"));
        }
        if places.len() >= FIELDS_MAX {
            return Err(InvalidResponse::Head("it has more than 100 fields"));
        }
        let known = Name::of(name);
        match known {
            Name::TransferEncoding => return Err(InvalidResponse::TransferEncoding),
            Name::Other => check_single(name, &mut singles)?,
            _ => {}
        }
        places.push(Field::at(start, line, name, value.trim_ascii(), known));
    }
}

/// Parses `HTTP/1.1 SP status [SP reason]`, and returns status and reason. The caller has checked
/// that the line begins with [`VERSION`].
fn status_line(line: &[u8]) -> Result<(u16, &[u8]), InvalidResponse> {
    let malformed = || InvalidResponse::Head("the status line is malformed");
    let behind = line.get(VERSION.len()..).unwrap_or_default();
    let (code, rest) = behind.split_at_checked(3).ok_or_else(malformed)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let status = code.iter().fold(0, |number, digit| 10 * number + u16::from(digit - b'0'));
    let reason = match rest {
        [] => rest,
        [b' ', reason @ ..] => reason,
        _ => return Err(malformed()),
    };
    if !is_value(reason) {
        return Err(InvalidResponse::Head("its reason phrase is malformed"));
    }
    Ok((status, reason))
}

/// Refuses a field of [`SINGLE_FIELDS`] that occurs a second time. `seen` has one bit for each of
/// these fields, which is set once the field has occurred.
fn check_single(name: &[u8], seen: &mut u16) -> Result<(), InvalidResponse> {
    let mut singles = SINGLE_FIELDS.into_iter().enumerate();
    let Some((place, name)) = singles.find(|(_, single)| is(name, single)) else {
        return Ok(());
    };
    let bit = 1 << place;
    if *seen & bit != 0 {
        return Err(InvalidResponse::Repeated { name });
    }
    *seen |= bit;
    Ok(())
}

/// Returns the value of the handler's `content-length` field; `Ok(None)` if the field is missing.
fn stated_length(fields: Fields<'_>) -> Result<Option<u64>, InvalidResponse> {
    let mut values = fields.values(Name::ContentLength);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Recipients differ on what they make of leading zeros and of numbers that do
    // not fit a signed integer, so neither is sent.
    let length = if matches!(value, [] | [b'0', _, ..]) { None } else { number(value) };
    length.filter(|_| values.next().is_none()).map(Some).ok_or(InvalidResponse::LengthMalformed)
}

/// Checks the `content-length` of the handler (`stated`) against the length of its body (`actual`).
/// Returns the `content-length` for the client, also for a response to HEAD, whose body is not
/// sent. Returns none for a response with status 204.
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

#[cfg(test)]
mod tests {
    use super::{Checked, InvalidResponse, OPTIONS_MAX, Places, check};
    use handler_sdk::abi::SINGLE_FIELDS;

    const MAX: usize = 64 << 10;

    /// Checks a response, and returns what `part` takes from the result.
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
                found
                    .fields()
                    .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.len()))
                    .collect::<Vec<_>>(),
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
