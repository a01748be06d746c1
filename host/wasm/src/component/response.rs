//! Encodes the response of a component as the bytes that a module would return, so that the
//! responses of both are checked in the same way.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{Method, StatusCode};

use crate::call_error::CallError;
use crate::component::exchange::{Exchange, Part};

/// Waits for the whole response to a request with this method, and encodes it. Fails if the
/// response is longer than `max` bytes.
pub(super) async fn collect(
    exchange: &mut Exchange,
    method: &Method,
    max: usize,
) -> Result<Bytes, CallError> {
    let (parts, mut body) = exchange.head().await?.into_parts();
    let mut bytes = head(&parts);
    let start = bytes.len();
    loop {
        if bytes.len() > max {
            return Err(CallError::ResponseGrewTooLong { limit: max });
        }
        match exchange.part(&mut body).await? {
            Part::Data(data) => bytes.extend_from_slice(&data),
            Part::Finished => return Ok(bytes.into()),
            Part::GivenUp => {
                let written = bytes.len() - start;
                // The length in the head is that of the body in answer to GET, which the guest
                // need not write. wasmtime-wasi-http takes that for a mistake.
                let may_be_left_out = method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED;
                return match stated_length(&parts) {
                    Some(_) if may_be_left_out && written == 0 => Ok(bytes.into()),
                    Some(stated) if stated != written as u64 => {
                        Err(CallError::BodyLength { stated, written })
                    }
                    _ => Err(CallError::Unfinished { written }),
                };
            }
        }
    }
}

/// Encodes the head of a response.
fn head(parts: &Parts) -> Vec<u8> {
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_str()).into_bytes();
    for (name, value) in &parts.headers {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(piece);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn stated_length(parts: &Parts) -> Option<u64> {
    parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
