//! Replies of the API: one line of JSON, a text, or a stream of events.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use serde::Serialize;

use crate::admin::choice;
use crate::admin::protocol::ErrorReply;
use crate::admin::stream::Frames;
use crate::site::directory::Site;
use crate::site::outcome::Outcome;

/// Response of the API.
pub(super) type Reply = Response<Either<Full<Bytes>, Frames>>;

/// Returns a response with one line of JSON.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut text = serde_json::to_vec(body)
        .unwrap_or_else(|error| format!("{{\"error\":\"cannot encode the reply: {error}\"}}").into());
    text.push(b'\n');
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from(text))));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Returns the response with the outcome of a swap or a rollback of a site. `if_version` is the
/// version that the client required to be current, if any.
pub(super) fn outcome(site: &Site, outcome: &Outcome, if_version: Option<u64>) -> Reply {
    let (status, current) = match outcome {
        Outcome::Serving { version, .. } => (StatusCode::CREATED, *version),
        Outcome::RollingOut { serving, .. } => (StatusCode::ACCEPTED, *serving),
        Outcome::RolloutEnded { serving: version, .. } | Outcome::Unchanged { version } => {
            (StatusCode::OK, *version)
        }
        Outcome::Rejected { serving, .. } => (StatusCode::UNPROCESSABLE_ENTITY, *serving),
        Outcome::Refused { serving, .. } if if_version.is_some_and(|expected| expected != *serving) => {
            (StatusCode::PRECONDITION_FAILED, *serving)
        }
        Outcome::Refused { serving, .. } => (StatusCode::CONFLICT, *serving),
    };
    let mut reply = json(status, outcome);
    set_tag(&mut reply, current);
    if status == StatusCode::CREATED
        && let Ok(place) = HeaderValue::try_from(choice::location(site, current))
    {
        reply.headers_mut().insert(LOCATION, place);
    }
    reply
}

/// Sets the header `etag` of a reply to the number of the current version.
pub(super) fn set_tag(reply: &mut Reply, current: u64) {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{current}\"")) {
        reply.headers_mut().insert(ETAG, tag);
    }
}

/// Media type of a plain text.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// Returns a response with `text` as its body and `media_type` as its content type.
pub(super) fn text(text: String, media_type: &'static str) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from(text))));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

/// Returns a response with a stream of events, or without a body for [`None`] (HEAD).
pub(super) fn events(frames: Option<Frames>) -> Reply {
    let mut reply = Response::new(frames.map_or_else(|| Either::Left(Full::default()), Either::Right));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without it nginx would keep events until a buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}

/// Returns a response with status 405. `methods` are the methods that the resource supports; the
/// response lists them in the header `allow`.
pub(super) fn method_not_allowed(methods: &[&'static Method]) -> Reply {
    let mut names: Vec<_> = methods.iter().map(|method| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    let list = names.join(", ");
    let error = format!("this resource has no such method; expected one of: {list}");
    let mut reply = json(StatusCode::METHOD_NOT_ALLOWED, &ErrorReply { error });
    if let Ok(list) = HeaderValue::try_from(list) {
        reply.headers_mut().insert(ALLOW, list);
    }
    reply
}
