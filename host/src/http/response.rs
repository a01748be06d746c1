//! Decodes and checks what a handler returned: one HTTP/1.1 message, which the host
//! frames. A doubtful message is refused as a whole, because half a response is
//! worse than a 502.

use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use thiserror::Error;

use super::response_head::Head;

/// Number of fields that the host may add: the length for HEAD, the request id, the
/// version, and `connection`.
const HOSTS_OWN: usize = 4;

/// Reason for which a handler's response is refused; always a fault of the handler.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidResponse {
    /// The response is empty.
    #[error("it is empty; expected an HTTP/1.1 response")]
    Empty,
    /// The head is longer than its limit.
    #[error("its head is longer than {limit} bytes (--response-head-max)")]
    HeadTooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The `connection` field has too many options.
    #[error("it has more than {limit} options in connection")]
    TooManyOptions {
        /// Most options.
        limit: usize,
    },
    /// The head does not end.
    #[error("its head has no empty line at the end")]
    HeadUnfinished,
    /// The head is malformed.
    #[error("its head is malformed: {0}")]
    Head(&'static str),
    /// The version is not HTTP/1.1.
    #[error("it is HTTP/1.0; expected HTTP/1.1")]
    Version,
    /// The status is not final or not a status.
    #[error("its status is {0}; expected 200 to 599")]
    Status(u16),
    /// A success status for CONNECT, which would turn the connection into a tunnel.
    #[error("its status is {0} for CONNECT, and a handler cannot open a tunnel; expected 300 to 599")]
    Tunnel(u16),
    /// The `transfer-encoding` field, which would be false: the host frames the
    /// message.
    #[error("it has the field transfer-encoding; expected the plain body, which the host frames")]
    TransferEncoding,
    /// The `content-length` field is repeated or malformed.
    #[error("its content-length is not one whole number without leading zeros and below 2^63")]
    LengthMalformed,
    /// The `content-length` field differs from the length of the body.
    #[error("its content-length is {stated}, and {actual} bytes follow the head")]
    LengthWrong {
        /// Stated length in bytes.
        stated: u64,
        /// Length of the body in bytes.
        actual: usize,
    },
    /// A body with a status that has none.
    #[error("its status is {status}, which has no body, and {actual} bytes follow the head")]
    BodyForbidden {
        /// 204, 205 or 304.
        status: u16,
        /// Length of the body in bytes.
        actual: usize,
    },
    /// A field value has bytes that HTTP does not allow.
    #[error("the value of one of its fields is malformed")]
    Value,
}

impl From<InvalidHeaderValue> for InvalidResponse {
    fn from(_: InvalidHeaderValue) -> Self {
        InvalidResponse::Value
    }
}

/// Decodes the response to a request of this method, with a head of at most
/// `head_max` bytes. `fields` is a map whose allocation is reused.
///
/// # Errors
///
/// The reason for which the response is refused.
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

/// Checks the stated length, and sets the length of a body that HEAD leaves out.
/// hyper sets all other lengths.
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
    // With HEAD and 304, the length is that of the body in answer to GET (RFC 9110,
    // section 8.6), and the body may be left out.
    let left_out = actual == 0 && (*method == Method::HEAD || status == StatusCode::NOT_MODIFIED);
    match head.stated_length {
        Some(stated) if stated != actual as u64 && !left_out => {
            return Err(InvalidResponse::LengthWrong { stated, actual });
        }
        // RFC 9110, section 8.6 forbids a length with 204.
        _ if status == StatusCode::NO_CONTENT => drop(fields.remove(CONTENT_LENGTH)),
        None if *method == Method::HEAD && !left_out => {
            fields.insert(CONTENT_LENGTH, HeaderValue::from(actual));
        }
        _ => {}
    }
    Ok(())
}
