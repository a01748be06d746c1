//! Creates the head of an HTTP/2 response.

use http::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use http::{Response, StatusCode};

use crate::response::{Checked, Own};

const REQUEST_ID: HeaderName = HeaderName::from_static(handler_sdk::abi::REQUEST_ID);
const HANDLER_VERSION: HeaderName = HeaderName::from_static("x-handler-version");

/// Creates the head that the client gets. Returns it and its length in bytes before compression.
/// Leaves out the reason phrase, and fields that HTTP/2 cannot carry.
pub fn head(checked: &Checked<'_>, own: &Own<'_>) -> (Response<()>, usize) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(checked.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut length = ":status".len() + 3;
    let mut fields = HeaderMap::with_capacity(8);
    let mut add = |name: HeaderName, value: HeaderValue| {
        length += name.as_str().len() + value.len();
        fields.append(name, value);
    };
    for (name, value) in checked.fields() {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            add(name, value);
        }
    }
    if let Some(length) = checked.length {
        add(CONTENT_LENGTH, length.into());
    }
    if let Some(number) = own.version {
        add(HANDLER_VERSION, number.into());
    }
    let has_hsts =
        || checked.fields().any(|(name, _)| name.eq_ignore_ascii_case(b"strict-transport-security"));
    if let Some(hsts) = own.hsts.filter(|_| !has_hsts())
        && let Ok(hsts) = HeaderValue::from_str(hsts)
    {
        add(STRICT_TRANSPORT_SECURITY, hsts);
    }
    if let Ok(mut id) = HeaderValue::from_bytes(own.id.as_bytes()) {
        // Each id comes once, so it has no place in the table of fields that repeat.
        id.set_sensitive(true);
        add(REQUEST_ID, id);
    }
    if let Ok(date) = HeaderValue::from_bytes(own.date) {
        add(DATE, date);
    }
    *response.headers_mut() = fields;
    (response, length)
}
