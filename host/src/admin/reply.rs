//! Replies of the API.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Serialize;

/// Response of the API.
pub(super) type Reply = Response<Full<Bytes>>;

/// Returns a response with one line of JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(body)
        .unwrap_or_else(|error| format!("{{\"error\":\"cannot encode the reply: {error}\"}}").into());
    text.push(b'\n');
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Returns a response with a text.
pub(super) fn text(text: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}
