//! What a handler may return, and what becomes of it. Its bytes are read as one
//! HTTP/1.1 message, checked, and framed by the host; what is in doubt is
//! refused whole, because half a response is worse than a 502.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use thiserror::Error;

use super::fields::values;
use super::hop_by_hop::{Listed, is_hop_by_hop};

/// How the status line begins.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// Most fields of a handler's response.
const FIELDS_MAX: usize = 100;

/// Fields that the host adds: the length, the request's id, the version, `connection`.
const HOSTS_OWN: usize = 4;

/// Why a handler's bytes are not sent. The handler's fault, all of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResponse {
    /// There is nothing.
    #[error("it is empty; expected an HTTP/1.1 response")]
    Empty,
    /// The head does not end.
    #[error("its head has no empty line at the end")]
    HeadUnfinished,
    /// The head is no head.
    #[error("its head is malformed: {0}")]
    Head(&'static str),
    /// Another version than the contract's.
    #[error("it is HTTP/1.0; expected HTTP/1.1")]
    Version,
    /// A status that ends no exchange.
    #[error("its status is {0}; expected 200 to 599")]
    Status(u16),
    /// A success would make a tunnel of the connection.
    #[error("its status is {0} for CONNECT, and a handler cannot open a tunnel; expected 300 to 599")]
    Tunnel(u16),
    /// `transfer-encoding`, which would lie: the host frames the message.
    #[error("it has the field transfer-encoding; expected the plain body, which the host frames")]
    TransferEncoding,
    /// `content-length` twice, or not a number.
    #[error("its content-length is not one whole number")]
    LengthMalformed,
    /// `content-length` and the body disagree.
    #[error("its content-length is {stated}, and {actual} bytes follow the head")]
    LengthWrong {
        /// What the field says, in bytes.
        stated: u64,
        /// What is there, in bytes.
        actual: usize,
    },
    /// A body where HTTP has none.
    #[error("its status is {status}, which has no body, and {actual} bytes follow the head")]
    BodyForbidden {
        /// 204, 205 or 304.
        status: u16,
        /// In bytes.
        actual: usize,
    },
    /// A field value that HTTP does not allow.
    #[error("the value of one of its fields is malformed")]
    Value,
}

impl From<InvalidHeaderValue> for InvalidResponse {
    fn from(_: InvalidHeaderValue) -> Self {
        InvalidResponse::Value
    }
}

/// Reads what a handler returned for a request of this method.
///
/// # Errors
///
/// [`InvalidResponse`] says why it cannot be sent.
pub fn decode(bytes: Bytes, method: &Method) -> Result<Response<Full<Bytes>>, InvalidResponse> {
    if bytes.starts_with(b"HTTP/1.0 ") {
        return Err(InvalidResponse::Version);
    }
    if !bytes.is_empty() && !bytes.starts_with(VERSION) {
        return Err(InvalidResponse::Head("it does not begin with HTTP/1.1"));
    }
    let mut places = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let head_bytes = match parser.parse_response_with_uninit_headers(&mut head, &bytes, &mut places) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.is_empty() => return Err(InvalidResponse::Empty),
        Ok(httparse::Status::Partial) => return Err(InvalidResponse::HeadUnfinished),
        Err(error) => return Err(InvalidResponse::Head(complaint(error))),
    };
    let code = head.code.unwrap_or_default();
    let status = StatusCode::from_u16(code).ok().filter(|_| (200..=599).contains(&code));
    let status = status.ok_or(InvalidResponse::Status(code))?;
    if method == Method::CONNECT && status.is_success() {
        return Err(InvalidResponse::Tunnel(code));
    }

    let mut fields = fields_to_send(&head, &bytes)?;
    let reason = reason_phrase(&bytes);
    let reason =
        (Some(reason) != status.canonical_reason().map(str::as_bytes)).then(|| bytes.slice_ref(reason));
    let body = bytes.slice(head_bytes..);
    set_length(&mut fields, body.len(), status, method)?;

    let body = if *method == Method::HEAD { Bytes::new() } else { body };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if let Some(reason) = reason {
        let malformed = |_| InvalidResponse::Head("its reason phrase is malformed");
        response.extensions_mut().insert(ReasonPhrase::try_from(reason).map_err(malformed)?);
    }
    Ok(response)
}

/// The fields of a handler's response without what belongs to a connection,
/// which is none of the handler's business.
fn fields_to_send(head: &httparse::Response<'_, '_>, bytes: &Bytes) -> Result<HeaderMap, InvalidResponse> {
    let mut fields = HeaderMap::with_capacity(head.headers.len() + HOSTS_OWN);
    let mut connection = Vec::new();
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| InvalidResponse::Head("a field name is malformed"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))?;
        match name.as_str() {
            "transfer-encoding" => return Err(InvalidResponse::TransferEncoding),
            "connection" => connection.push(value),
            name if is_hop_by_hop(name) => {}
            _ => drop(fields.append(name, value)),
        }
    }
    if connection.is_empty() {
        return Ok(fields);
    }
    let listed = Listed::by(connection.iter());
    let ending_here: Vec<_> = fields.keys().filter(|name| listed.contains(name.as_str())).cloned().collect();
    for name in ending_here {
        fields.remove(name);
    }
    Ok(fields)
}

/// What stands behind the status code. httparse has found it well-formed, but
/// does not give one that holds bytes above 0x7F.
fn reason_phrase(bytes: &[u8]) -> &[u8] {
    let start = VERSION.len() + "200 ".len();
    let end = memchr::memchr(b'\n', bytes).unwrap_or_default();
    let line = bytes.get(start..end).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Checks the length that is stated, or states it.
fn set_length(
    fields: &mut HeaderMap,
    actual: usize,
    status: StatusCode,
    method: &Method,
) -> Result<(), InvalidResponse> {
    let stated = stated_length(fields)?;
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    if bodiless.contains(&status) && actual > 0 {
        return Err(InvalidResponse::BodyForbidden { status: status.as_u16(), actual });
    }
    // In answer to HEAD, and with 304, the length is that of the body which GET
    // would have (RFC 9110, section 8.6), and that body may be left out.
    let left_out = actual == 0 && (*method == Method::HEAD || status == StatusCode::NOT_MODIFIED);
    match stated {
        Some(stated) if stated != actual as u64 && !left_out => {
            return Err(InvalidResponse::LengthWrong { stated, actual });
        }
        // RFC 9110, section 8.6: never with 204.
        _ if status == StatusCode::NO_CONTENT => drop(fields.remove(CONTENT_LENGTH)),
        // The body that GET would have is not here to be measured.
        None if left_out => {}
        None => drop(fields.insert(CONTENT_LENGTH, HeaderValue::from(actual))),
        Some(_) => {}
    }
    Ok(())
}

fn stated_length(fields: &HeaderMap) -> Result<Option<u64>, InvalidResponse> {
    let mut values = values(fields, &CONTENT_LENGTH);
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
