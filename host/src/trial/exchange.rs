//! Sends requests to a module without a client: probes, requests in files, and requests
//! on the command line. Encodes requests and decodes responses exactly as for clients.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use host_http::message::Message;
use host_http::request::{BadRequest, Origin, check_head, encode};
use host_http::request_id::RequestId;
use host_http::response;
use host_wasm::{HandlerModule, Usage};
use http::header::{CONTENT_LENGTH, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::ext::ReasonPhrase;

use crate::fault::Fault;
use crate::seed::{self, Seed};

/// Default value of the `host` header.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

/// Response as a client would get it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Reason phrase.
    pub reason: String,
    /// Headers, including the `content-length` that a client would get.
    pub fields: HeaderMap,
    /// Body; empty in answer to HEAD.
    pub body: Bytes,
}

/// What a server adds to a request.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Time of the request; [`None`] is now.
    pub time: Option<SystemTime>,
    /// Id of the request.
    pub id: RequestId,
    /// Address of the client.
    pub client: String,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts { time: None, id: RequestId::none(), client: "127.0.0.1".into() }
    }
}

/// Creates a request without headers or body.
///
/// # Errors
///
/// One line that says what is wrong with the method or the target.
pub fn request(method: &str, target: &str) -> Result<Request<Bytes>, String> {
    let known = Method::from_str(method).ok();
    let known = known.ok_or_else(|| format!("expected a method such as GET, found `{method}`"))?;
    let request = Request::builder().method(known).uri(target).body(Bytes::new()).ok();
    request.filter(|request| check_head(&parts(request)).is_ok()).ok_or_else(|| {
        format!("expected a target that begins with /, such as /path?query, or a URL, found `{target}`")
    })
}

/// Adds a header, written as `name: value`, to a request.
///
/// # Errors
///
/// One line, when the header is malformed.
pub fn add_field(request: &mut Request<Bytes>, line: &str) -> Result<(), String> {
    let wrong = || format!("expected a field such as accept: text/html, found `{line}`");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?;
    request.headers_mut().append(name, value);
    Ok(())
}

/// Sends a request to a module. Returns the response, or the fault with which the host
/// would answer a client instead. Also returns the resources that the call used.
pub async fn send(request: &Request<Bytes>, module: &HandlerModule) -> (Result<Answer, Fault>, Usage) {
    send_with(request, &Facts::default(), module).await
}

/// Sends a request to a module with these facts. Returns what [`send`] returns.
pub async fn send_with(
    request: &Request<Bytes>,
    facts: &Facts,
    module: &HandlerModule,
) -> (Result<Answer, Fault>, Usage) {
    match encoded(request, facts) {
        Ok(message) => call(module, &message, request.method()).await,
        Err(refused) => (Err(refused.into()), Usage::default()),
    }
}

/// Encodes a request as the bytes that the handler gets.
fn encoded(request: &Request<Bytes>, facts: &Facts) -> Result<Message, BadRequest> {
    let parts = parts(request);
    let target = check_head(&parts)?;
    let body = if request.body().is_empty() { Vec::new() } else { vec![request.body().clone()] };
    let time = facts.time.unwrap_or_else(SystemTime::now);
    let origin = Origin { id: &facts.id, client: &facts.client, time };
    let seed = request.extensions().get::<Seed>().map(|seed| seed.0).or_else(seed::draw);
    Ok(Message { seed, ..encode(&parts, target, body, &origin) })
}

/// Returns the head of a request, with a `host` header.
fn parts(request: &Request<Bytes>) -> Parts {
    let mut parts = request.clone().into_parts().0;
    if !parts.headers.contains_key(HOST) {
        let authority = parts.uri.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
        parts.headers.insert(HOST, authority.unwrap_or(LOCALHOST));
    }
    parts
}

/// Calls a module with the encoded bytes of a request, and decodes the response.
/// `method` is the method of the request.
pub async fn call(
    module: &HandlerModule,
    message: &Message,
    method: &Method,
) -> (Result<Answer, Fault>, Usage) {
    let (returned, usage) = module.call_and_measure(message, RequestId::none()).await;
    let head_max = module.limits().response_head_max;
    let answer = async {
        let response = response::decode(returned?, method, head_max, HeaderMap::new())?;
        Ok(Answer::new(response, method).await)
    };
    (answer.await, usage)
}

impl Answer {
    async fn new(response: Response<Full<Bytes>>, method: &Method) -> Answer {
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
        if *method != Method::HEAD && !bodiless {
            // For clients, hyper adds this header.
            parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| body.len().into());
        }
        let reason = match parts.extensions.get::<ReasonPhrase>() {
            Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
            None => parts.status.canonical_reason().unwrap_or("").to_owned(),
        };
        Answer { status: parts.status, reason, fields: parts.headers, body }
    }

    /// Returns the values of all headers with a name.
    pub fn values(&self, name: &HeaderName) -> impl Iterator<Item = Cow<'_, str>> {
        self.fields.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// Returns the body as text. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Returns the status code and the reason phrase, as in a status line.
    pub fn status_text(&self) -> String {
        format!("{} {}", self.status.as_str(), self.reason).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, response};
    use http::{HeaderMap, Method};

    #[tokio::test]
    async fn an_answer_has_the_length_that_a_client_would_be_told() {
        for (method, returned, length) in [
            ("GET", "HTTP/1.1 200 OK\r\n\r\nbody", Some("4")),
            ("HEAD", "HTTP/1.1 200 OK\r\n\r\nbody", Some("4")),
            ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", Some("4")),
            ("GET", "HTTP/1.1 200 OK\r\n\r\n", Some("0")),
            ("GET", "HTTP/1.1 205 Reset Content\r\n\r\n", Some("0")),
            // A response to HEAD has no body, so the length for GET is unknown.
            ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
            ("GET", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", None),
            ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
        ] {
            let method: Method = method.parse().unwrap();
            let response = response::decode(returned.into(), &method, 1024, HeaderMap::new()).unwrap();
            let answer = Answer::new(response, &method).await;
            let stated = answer.fields.get("content-length").map(|length| length.to_str().unwrap());
            assert_eq!(stated, length, "{method} {returned}");
        }
    }
}
