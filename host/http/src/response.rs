//! Decodes and checks what a handler returned: one HTTP/1.1 message, which the host
//! frames. A doubtful message is refused as a whole, because half a response is
//! worse than a 502.

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;

use crate::invalid_response::InvalidResponse;
use crate::response_head::Head;

/// Number of fields that the host may add: the length for HEAD, the request id, the
/// version, and `connection`.
const HOSTS_OWN: usize = 4;

/// Decodes the response to a request of this method. A head longer than `head_max`
/// bytes is refused. The allocation of `fields` is reused; its content is dropped.
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

/// Checks the stated length against the body. Adds the length of a body that HEAD
/// leaves out, and removes the field from a 204. hyper adds any other missing length.
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
