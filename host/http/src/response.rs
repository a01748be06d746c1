//! What a handler may return, and what becomes of it. Its bytes are read as one
//! HTTP/1.1 message, checked, and framed by the host; what is in doubt is
//! refused whole, because half a response is worse than a 502.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use thiserror::Error;

use crate::response_head::Head;

/// Fields that the host adds: the length for HEAD, the request's id, the version,
/// `connection`.
const HOSTS_OWN: usize = 4;

/// Why a handler's bytes are not sent. The handler's fault, all of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResponse {
    /// There is nothing.
    #[error("it is empty; expected an HTTP/1.1 response")]
    Empty,
    /// The head does not end within its limit.
    #[error("its head is longer than {limit} bytes (--response-head-max)")]
    HeadTooLong {
        /// In bytes.
        limit: usize,
    },
    /// `connection` lists more than anybody means.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// How many are looked at.
        limit: usize,
    },
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
    /// `content-length` twice, or not a number as HTTP writes it.
    #[error("its content-length is not one whole number without leading zeros and below 2^63")]
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

/// Reads what a handler returned for a request of this method, whose head is at
/// most this long. The fields are put into a map that was used for something else
/// before, and has room.
///
/// # Errors
///
/// [`InvalidResponse`] says why it cannot be sent.
pub fn decode(
    mut bytes: Bytes,
    method: &Method,
    head_max: usize,
    mut fields: HeaderMap,
) -> Result<Response<Full<Bytes>>, InvalidResponse> {
    let head = Head::read(&bytes, head_max)?;
    if method == Method::CONNECT && head.status.is_success() {
        return Err(InvalidResponse::Tunnel(head.status.as_u16()));
    }
    fields.clear();
    fields.reserve(head.fields.len() + HOSTS_OWN);
    for (name, value) in &head.fields {
        fields.append(name.clone(), value.clone());
    }
    bytes.advance(head.bytes.len());
    set_length(&mut fields, &head, bytes.len(), method)?;

    let body = if *method == Method::HEAD { Bytes::new() } else { bytes };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = fields;
    if let Some(reason) = &head.reason {
        response.extensions_mut().insert(reason.clone());
    }
    Ok(response)
}

/// Checks the length that is stated, and states that of a body which HEAD leaves
/// out. Of all others hyper does.
fn set_length(
    fields: &mut HeaderMap,
    head: &Head,
    actual: usize,
    method: &Method,
) -> Result<(), InvalidResponse> {
    let status = head.status;
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    if bodiless.contains(&status) && actual > 0 {
        return Err(InvalidResponse::BodyForbidden { status: status.as_u16(), actual });
    }
    // In answer to HEAD, and with 304, the length is that of the body which GET
    // would have (RFC 9110, section 8.6), and that body may be left out.
    let left_out = actual == 0 && (*method == Method::HEAD || status == StatusCode::NOT_MODIFIED);
    match head.stated_length {
        Some(stated) if stated != actual as u64 && !left_out => {
            return Err(InvalidResponse::LengthWrong { stated, actual });
        }
        // RFC 9110, section 8.6: never with 204.
        _ if status == StatusCode::NO_CONTENT => drop(fields.remove(CONTENT_LENGTH)),
        None if *method == Method::HEAD && !left_out => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(actual));
        }
        _ => {}
    }
    Ok(())
}
