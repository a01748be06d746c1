//! Parses and checks the head of a handler's response. Handlers return the same few
//! heads all the time, so each thread caches the parsed heads that it used last.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::rc::Rc;

use bytes::Bytes;
use handler_sdk::abi::SINGLE_FIELDS;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::hop_by_hop::{Listed, OPTIONS_MAX, has_too_many_options, is_hop_by_hop};
use crate::invalid_response::InvalidResponse;

/// Start of the status line.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// Most fields in the head of a handler's response.
pub const FIELDS_MAX: usize = 100;

/// Name of the field with the number of the handler's version.
pub const HANDLER_VERSION: &str = "x-handler-version";

/// Most heads that a thread caches.
pub const KEPT: usize = 4;

/// Longest head that is cached, in bytes.
pub const KEPT_LENGTH_MAX: usize = 1024;

thread_local! {
    /// The cached heads of this thread, the most recently used one first.
    static LAST: RefCell<Vec<Rc<Head>>> = const { RefCell::new(Vec::new()) };
}

/// A parsed and checked head.
pub(super) struct Head {
    /// Bytes of the head, with the empty line at its end.
    pub(super) bytes: Bytes,
    pub(super) status: StatusCode,
    /// Reason phrase, if it is not the usual one of the status.
    pub(super) reason: Option<ReasonPhrase>,
    /// Fields to be sent: without hop-by-hop fields, `date` and [`HANDLER_VERSION`].
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Value of `content-length` in bytes, if the head has that field.
    pub(super) stated_length: Option<u64>,
}

impl Head {
    /// Returns the head of a response, parsed now or taken from the cache. A head longer
    /// than `max` bytes is refused.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] says why the head is refused.
    pub(super) fn read(response: &Bytes, max: usize) -> Result<Rc<Head>, InvalidResponse> {
        LAST.with_borrow_mut(|last| {
            // A complete head is never a prefix of another one, so the match is the head.
            let is_known = |head: &Rc<Head>| response.starts_with(&head.bytes) && head.bytes.len() <= max;
            let head = match last.iter().position(is_known) {
                Some(place) => last.remove(place),
                None => Rc::new(Head::parse(response, max)?),
            };
            if head.bytes.len() <= KEPT_LENGTH_MAX {
                last.truncate(KEPT - 1);
                last.insert(0, Rc::clone(&head));
            }
            Ok(head)
        })
    }

    fn parse(response: &Bytes, max: usize) -> Result<Head, InvalidResponse> {
        if response.is_empty() {
            return Err(InvalidResponse::Empty);
        }
        if response.starts_with(b"HTTP/1.0 ") {
            return Err(InvalidResponse::Version);
        }
        if !response.starts_with(VERSION) {
            return Err(InvalidResponse::Head("it does not begin with HTTP/1.1"));
        }
        let text = head(response, max)?;
        let mut places = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let length = match parser.parse_response_with_uninit_headers(&mut head, text, &mut places) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Err(InvalidResponse::HeadUnfinished),
            Err(error) => return Err(InvalidResponse::Head(complaint(error))),
        };
        let code = head.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).ok().filter(|_| (200..=599).contains(&code));
        let status = status.ok_or(InvalidResponse::Status(code))?;
        // A head that will be cached gets a copy of its bytes, because a slice would
        // keep the whole response in memory.
        let bytes = match response.get(..length).filter(|head| head.len() <= KEPT_LENGTH_MAX) {
            Some(head) => Bytes::copy_from_slice(head),
            None => response.slice(..length),
        };
        let part = |found: &[u8]| part(&bytes, response, found);
        let fields = fields_to_send(&head, part)?;
        let stated_length = stated_length(&fields)?;
        let reason = reason(text, status, part)?;
        Ok(Head { bytes, status, reason, fields, stated_length })
    }
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

/// Returns `found`, a part of `response`, as a slice of `kept`, the bytes of its head.
fn part(kept: &Bytes, response: &[u8], found: &[u8]) -> Bytes {
    let start = found.as_ptr().addr().wrapping_sub(response.as_ptr().addr());
    let range = start..start.wrapping_add(found.len());
    // An empty slice may point outside of the head. Copying it allocates nothing.
    if kept.get(range.clone()) == Some(found) { kept.slice(range) } else { Bytes::copy_from_slice(found) }
}

/// Returns the name of a field that may stand once.
fn single(name: &HeaderName) -> Option<&'static str> {
    SINGLE_FIELDS.into_iter().find(|single| name == single)
}

fn fields_to_send(
    head: &httparse::Response<'_, '_>,
    part: impl Fn(&[u8]) -> Bytes,
) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidResponse> {
    let mut fields = Vec::with_capacity(head.headers.len());
    let mut connection = Vec::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| InvalidResponse::Head("a field name is malformed"))?;
        let value = HeaderValue::from_maybe_shared(part(field.value))?;
        match name.as_str() {
            "transfer-encoding" => return Err(InvalidResponse::TransferEncoding),
            "connection" => connection.push(value),
            // The host states the time and the version itself.
            "date" | HANDLER_VERSION => {}
            name if is_hop_by_hop(name) => {}
            _ => match single(&name) {
                Some(single) if fields.iter().any(|(other, _)| *other == name) => {
                    return Err(InvalidResponse::Repeated { name: single });
                }
                _ => fields.push((name, value)),
            },
        }
    }
    if has_too_many_options(connection.iter()) {
        return Err(InvalidResponse::TooManyOptions { limit: OPTIONS_MAX });
    }
    if !connection.is_empty() {
        let listed = Listed::by(connection.iter());
        fields.retain(|(name, _)| !listed.contains(name.as_str()));
    }
    Ok(fields)
}

/// Returns the reason phrase, if it is not the usual one of the status. Takes it from
/// the status line: httparse has checked it, but returns an empty one in its place if
/// it has bytes above 0x7F.
fn reason(
    head: &[u8],
    status: StatusCode,
    part: impl Fn(&[u8]) -> Bytes,
) -> Result<Option<ReasonPhrase>, InvalidResponse> {
    let start = VERSION.len() + "200 ".len();
    let end = memchr::memchr(b'\n', head).unwrap_or_default();
    let line = head.get(start..end).unwrap_or_default();
    let reason = line.strip_suffix(b"\r").unwrap_or(line);
    if Some(reason) == status.canonical_reason().map(str::as_bytes) {
        return Ok(None);
    }
    let malformed = |_| InvalidResponse::Head("its reason phrase is malformed");
    ReasonPhrase::try_from(part(reason)).map(Some).map_err(malformed)
}

fn stated_length(fields: &[(HeaderName, HeaderValue)]) -> Result<Option<u64>, InvalidResponse> {
    let mut values = fields.iter().filter(|(name, _)| *name == CONTENT_LENGTH).map(|(_, value)| value);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    // Recipients differ on what they make of leading zeros and of numbers that do
    // not fit a signed integer, so neither is sent.
    let is_plain = |digits: &&str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (*digits == "0" || !digits.starts_with('0'))
    };
    let number = value.to_str().ok().filter(is_plain).and_then(|digits| digits.parse().ok());
    let number = number.filter(|number| *number <= i64::MAX as u64 && values.next().is_none());
    number.map(Some).ok_or(InvalidResponse::LengthMalformed)
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
    use super::{Head, InvalidResponse, KEPT, KEPT_LENGTH_MAX};
    use std::rc::Rc;

    const MAX: usize = 64 << 10;

    fn read(response: String) -> Result<Rc<Head>, InvalidResponse> {
        Head::read(&response.into(), MAX)
    }

    fn head(field: &str) -> Rc<Head> {
        read(format!("HTTP/1.1 200 Fine\r\nx-a: {field}\r\nx-b:\r\n\r\nbody")).unwrap()
    }

    #[test]
    fn the_last_heads_are_kept_and_each_says_what_it_says() {
        let first = head("first");
        for number in 0..2 * KEPT {
            let number = number.to_string();
            for _ in 0..2 {
                let [(_, value), (_, empty)] = &head(&number).fields[..] else { panic!("two fields") };
                assert_eq!((value.as_bytes(), empty.as_bytes()), (number.as_bytes(), &b""[..]));
            }
            assert!(Rc::ptr_eq(&first, &head("first")), "it was met just before");
        }
        (0..KEPT).for_each(|number| drop(head(&number.to_string())));
        assert!(!Rc::ptr_eq(&first, &head("first")), "others took its place");
        assert_eq!(head("first").reason.as_ref().unwrap().as_bytes(), b"Fine");
    }

    #[test]
    fn a_field_that_may_stand_once_is_refused_when_it_is_repeated() {
        for name in super::SINGLE_FIELDS {
            let twice = |second: &str| read(format!("HTTP/1.1 200 OK\n{name}: a\nvary: b\n{second}: a\n\n"));
            for second in [name, &name.to_uppercase()] {
                assert_eq!(twice(second).err(), Some(InvalidResponse::Repeated { name }), "{second}");
            }
            assert!(twice("vary").is_ok() && twice("set-cookie").is_ok(), "{name}");
        }
    }

    #[test]
    fn long_heads_are_not_kept() {
        let field = "x".repeat(KEPT_LENGTH_MAX);
        assert!(!Rc::ptr_eq(&head(&field), &head(&field)));
        assert_eq!(head(&field).fields, head(&field).fields);
        assert_eq!(head(&field).fields[0].1, field);
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for _ in 0..2 {
            let response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            assert_eq!(read(response.into()).err(), Some(InvalidResponse::TransferEncoding));
        }
    }

    #[test]
    fn a_head_is_taken_up_to_its_limit_whatever_follows_it() {
        let whole = "HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\n";
        for body in ["", "body"] {
            let response = bytes::Bytes::from(format!("{whole}{body}"));
            assert!(Head::read(&response, whole.len()).is_ok());
            // Refused, although the previous call has cached this head.
            let limit = whole.len() - 1;
            assert_eq!(Head::read(&response, limit).err(), Some(InvalidResponse::HeadTooLong { limit }));
        }
        let unfinished = read("HTTP/1.1 200 OK\r\nx-a: 1\r\n".into());
        assert_eq!(unfinished.err(), Some(InvalidResponse::HeadUnfinished));
        let ends = |end: &str| read(format!("HTTP/1.1 200 OK\nx-a: 1{end}body")).unwrap().bytes.len();
        assert_eq!((ends("\n\n"), ends("\n\r\n"), ends("\r\n\n")), (24, 25, 25));
    }

    #[test]
    fn a_length_is_one_number_as_http_writes_it() {
        let stated = |length: &str| {
            read(format!("HTTP/1.1 200 OK\ncontent-length: {length}\n\n")).map(|head| head.stated_length)
        };
        assert_eq!(stated("0"), Ok(Some(0)));
        assert_eq!(stated("9223372036854775807"), Ok(Some(i64::MAX as u64)));
        for length in ["007", "00", "+7", "7,7", "", "9223372036854775808", "18446744073709551616"] {
            assert_eq!(stated(length), Err(InvalidResponse::LengthMalformed), "{length}");
        }
    }

    #[test]
    fn options_are_taken_up_to_their_limit() {
        let with = |count: usize| read(format!("HTTP/1.1 200 OK\nconnection: {}\n\n", ",".repeat(count - 1)));
        assert!(with(64).is_ok());
        assert_eq!(with(65).err(), Some(InvalidResponse::TooManyOptions { limit: 64 }));
    }
}
