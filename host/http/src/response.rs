//! What a handler may return, and what becomes of it. Its bytes are read as one
//! HTTP/1.1 message, checked, and framed by the host; what is in doubt is
//! refused whole, because half a response is worse than a 502.

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use crate::invalid_response::InvalidResponse;
use crate::response_head::Head;

/// Fields that the host adds: the length for HEAD, the request's id, the version,
/// `connection`.
const HOSTS_OWN: usize = 4;

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
