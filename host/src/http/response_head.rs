//! The head of a handler's response, read and checked. Handlers return the same
//! few heads all the time, so each thread keeps those that it has met last.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use super::hop_by_hop::{Listed, is_hop_by_hop};
use super::response::InvalidResponse;

/// How the status line begins.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// Most fields of a handler's response.
const FIELDS_MAX: usize = 100;

/// How many heads a thread keeps.
const KEPT: usize = 4;

/// Longer ones are not kept, in bytes.
const KEPT_LENGTH_MAX: usize = 1024;

thread_local! {
    /// The first is the one that was met last.
    static LAST: RefCell<Vec<Rc<Head>>> = const { RefCell::new(Vec::new()) };
}

/// What a head says.
pub(super) struct Head {
    /// The head itself, with its end.
    pub(super) bytes: Bytes,
    pub(super) status: StatusCode,
    /// Where it is not the one that the status has anyway.
    pub(super) reason: Option<ReasonPhrase>,
    /// Without what belongs to a connection, which is none of the handler's business.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Of the body, in bytes, if it says so.
    pub(super) stated_length: Option<u64>,
}

impl Head {
    /// Reads the head that these bytes begin with.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] says why it is none that can be sent.
    pub(super) fn read(response: &Bytes) -> Result<Rc<Head>, InvalidResponse> {
        LAST.with_borrow_mut(|last| {
            // A whole head is never the beginning of another.
            let head = match last.iter().position(|head| response.starts_with(&head.bytes)) {
                Some(place) => last.remove(place),
                None => Rc::new(Head::parse(response)?),
            };
            if head.bytes.len() <= KEPT_LENGTH_MAX {
                last.truncate(KEPT - 1);
                last.insert(0, Rc::clone(&head));
            }
            Ok(head)
        })
    }

    fn parse(response: &Bytes) -> Result<Head, InvalidResponse> {
        if response.starts_with(b"HTTP/1.0 ") {
            return Err(InvalidResponse::Version);
        }
        if !response.is_empty() && !response.starts_with(VERSION) {
            return Err(InvalidResponse::Head("it does not begin with HTTP/1.1"));
        }
        let mut places = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut head = httparse::Response::new(&mut []);
        let parser = httparse::ParserConfig::default();
        let length = match parser.parse_response_with_uninit_headers(&mut head, response, &mut places) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if response.is_empty() => return Err(InvalidResponse::Empty),
            Ok(httparse::Status::Partial) => return Err(InvalidResponse::HeadUnfinished),
            Err(error) => return Err(InvalidResponse::Head(complaint(error))),
        };
        let code = head.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).ok().filter(|_| (200..=599).contains(&code));
        let status = status.ok_or(InvalidResponse::Status(code))?;
        // What is kept holds on to its own bytes, and not to a body.
        let bytes = match response.get(..length).filter(|head| head.len() <= KEPT_LENGTH_MAX) {
            Some(head) => Bytes::copy_from_slice(head),
            None => response.slice(..length),
        };
        let part = |found: &[u8]| part(&bytes, response, found);
        let fields = fields_to_send(&head, part)?;
        let stated_length = stated_length(&fields)?;
        let reason = reason(response, status, part)?;
        Ok(Head { bytes, status, reason, fields, stated_length })
    }
}

/// What was found in a response, as a part of the bytes that its head keeps.
fn part(kept: &Bytes, response: &[u8], found: &[u8]) -> Bytes {
    let start = found.as_ptr().addr().wrapping_sub(response.as_ptr().addr());
    let range = start..start.wrapping_add(found.len());
    // What is empty may lie anywhere.
    if kept.get(range.clone()) == Some(found) { kept.slice(range) } else { Bytes::copy_from_slice(found) }
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
            name if is_hop_by_hop(name) => {}
            _ => fields.push((name, value)),
        }
    }
    if !connection.is_empty() {
        let listed = Listed::by(connection.iter());
        fields.retain(|(name, _)| !listed.contains(name.as_str()));
    }
    Ok(fields)
}

/// What stands behind the status code. httparse has found it well-formed, but
/// does not give one that holds bytes above 0x7F.
fn reason(
    response: &[u8],
    status: StatusCode,
    part: impl Fn(&[u8]) -> Bytes,
) -> Result<Option<ReasonPhrase>, InvalidResponse> {
    let start = VERSION.len() + "200 ".len();
    let end = memchr::memchr(b'\n', response).unwrap_or_default();
    let line = response.get(start..end).unwrap_or_default();
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
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|_| values.next().is_none());
    number.map(Some).ok_or(InvalidResponse::LengthMalformed)
}

/// httparse's complaint in the words of the contract.
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

    fn read(response: String) -> Result<Rc<Head>, InvalidResponse> {
        Head::read(&response.into())
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
}
