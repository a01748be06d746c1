//! Requests without a client, and their responses: probes, requests in files, and
//! requests on the command line. They are encoded and decoded exactly like those of
//! clients.

use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use host_http::message::Message;
use host_http::request::Origin;
use host_http::request_id::RequestId;
use host_http::{request, response};
use host_wasm::{HandlerModule, Usage};
use http::header::{CONTENT_LENGTH, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;

use crate::fault::Fault;
use crate::seed;

/// Default value of the `host` field.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

/// Request without a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Method of the request.
    pub method: Method,
    target: Uri,
    fields: HeaderMap,
    body: Bytes,
    /// Seed of random bits; drawn for each call without one.
    seed: Option<[u8; 32]>,
}

/// Response, as a client would see it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Reason phrase.
    pub reason: String,
    /// Fields, including the length that the host sets.
    pub fields: HeaderMap,
    /// Body; empty in answer to HEAD.
    pub body: Bytes,
}

impl Asked {
    /// Creates a request without fields and body.
    ///
    /// # Errors
    ///
    /// One line: what is wrong with the method or the target.
    pub fn new(method: &str, target: &str) -> Result<Asked, String> {
        let known = Method::from_str(method).ok();
        let method = known.ok_or_else(|| format!("expected a method such as GET, found `{method}`"))?;
        let wrong = || format!("expected a target such as /path?query, found `{target}`");
        let asked = Uri::from_str(target).map_err(|_| wrong())?;
        let asked = Asked { method, target: asked, fields: HeaderMap::new(), body: Bytes::new(), seed: None };
        match request::check_head(&asked.parts()) {
            Ok(_) => Ok(asked),
            Err(_) => Err(wrong()),
        }
    }

    /// Adds a field, written `name: value`.
    ///
    /// # Errors
    ///
    /// One line, when the field is malformed.
    pub fn add_field(&mut self, line: &str) -> Result<(), String> {
        let wrong = || format!("expected a field such as accept: text/html, found `{line}`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?;
        self.fields.append(name, value);
        Ok(())
    }

    /// Sets the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
    }

    /// Sets the seed of random bits.
    pub fn set_seed(&mut self, seed: [u8; 32]) {
        self.seed = Some(seed);
    }

    /// Sends the request to a module.
    ///
    /// # Errors
    ///
    /// The fault for which the host would answer instead.
    pub async fn send(&self, module: &HandlerModule) -> Result<Answer, Fault> {
        self.send_and_measure(module).await.0
    }

    /// Sends the request to a module, and returns the response and the usage of the
    /// call.
    pub async fn send_and_measure(&self, module: &HandlerModule) -> (Result<Answer, Fault>, Usage) {
        let message = match self.message() {
            Ok(message) => message,
            Err(fault) => return (Err(fault), Usage::default()),
        };
        call(module, &message, &self.method).await
    }

    /// Encodes the request as the handler gets it.
    fn message(&self) -> Result<Message, Fault> {
        let parts = self.parts();
        let target = request::check_head(&parts)?;
        let body = if self.body.is_empty() { Vec::new() } else { vec![self.body.clone()] };
        let origin = Origin { id: &RequestId::none(), client: "127.0.0.1", time: SystemTime::now() };
        let message = request::encode(&parts, target, body, &origin);
        Ok(Message { seed: self.seed.or_else(seed::draw), ..message })
    }

    fn parts(&self) -> Parts {
        let mut parts = Request::new(()).into_parts().0;
        (parts.method, parts.uri) = (self.method.clone(), self.target.clone());
        parts.headers = self.fields.clone();
        if !parts.headers.contains_key(HOST) {
            let authority =
                self.target.authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
            parts.headers.insert(HOST, authority.unwrap_or(LOCALHOST));
        }
        parts
    }
}

/// Calls a module with the canonical bytes of a request, and decodes the response.
/// `method` is the request's.
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
    async fn new(response: http::Response<http_body_util::Full<Bytes>>, method: &Method) -> Answer {
        let (mut parts, body) = response.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&parts.status);
        if *method != Method::HEAD && !bodiless {
            // Set here because hyper does so for clients.
            parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| body.len().into());
        }
        let reason = match parts.extensions.get::<ReasonPhrase>() {
            Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
            None => parts.status.canonical_reason().unwrap_or("").to_owned(),
        };
        Answer { status: parts.status, reason, fields: parts.headers, body }
    }

    /// Returns the status code and the reason phrase, as in a status line.
    pub fn status_text(&self) -> String {
        format!("{} {}", self.status.as_str(), self.reason).trim_end().to_owned()
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
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
            // The length of the body that GET would have is unknown.
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
