//! Sends requests that do not come from a client to a module: probes, requests in files, and
//! requests on the command line. Encodes requests and decodes responses exactly as for clients.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use host_http::h1::{HeadParser, MessageLimits};
use host_http::message::Message;
use host_http::request::{BadRequest, Origin, Tls, check_head, encode};
use host_http::request_head::RequestHead;
use host_http::request_id::RequestId;
use host_http::response::{self, Places};
use host_wasm::{CallError, Handler, Usage, Values};
use http::header::{CONTENT_LENGTH, HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};

use crate::fault::Fault;
use crate::seed::{self, Seed};

/// Default value of the header field `host`.
const LOCALHOST: HeaderValue = HeaderValue::from_static("localhost");

/// Response as a client would get it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Reason phrase.
    pub reason: String,
    /// Header fields, including the `content-length` that a client would get.
    pub fields: HeaderMap,
    /// Body; empty in answer to HEAD.
    pub body: Bytes,
}

/// Facts that the server adds to a request: its time, its id and its client.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Time of the request; [`None`] stands for the current time.
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

/// Creates a request without header fields or a body.
///
/// # Errors
///
/// One line that says what is wrong with the method or the target.
pub fn request(method: &str, target: &str) -> Result<Request<Bytes>, String> {
    let known = Method::from_str(method).ok();
    let known = known.ok_or_else(|| format!("expected a method such as GET, found `{method}`"))?;
    if target.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return Err(format!(
            "expected a URL with http://, because this call uses no TLS (-H 'x-forwarded-proto: https' is what a handler sees of it), found `{target}`"
        ));
    }
    let request = Request::builder().method(known).uri(target).body(Bytes::new()).ok();
    let is_valid =
        |request: &Request<Bytes>| with_head(request, |head| check_head(head, Tls::AsSent).map(drop)).is_ok();
    request.filter(is_valid).ok_or_else(|| {
        format!("expected a target that begins with /, such as /path?query, or a URL, found `{target}`")
    })
}

/// Adds a header field, written as `name: value`, to a request.
///
/// # Errors
///
/// One line that says that the field is malformed.
pub fn add_field(request: &mut Request<Bytes>, line: &str) -> Result<(), String> {
    let wrong = || format!("expected a field such as accept: text/html, found `{line}`");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?;
    request.headers_mut().append(name, value);
    Ok(())
}

/// Sends a request to a module. Returns the response, or the fault with which the host would answer
/// a client instead, and the resources that the call used.
pub async fn send(request: &Request<Bytes>, module: &Handler) -> (Result<Answer, Fault>, Usage) {
    send_with(request, &Facts::default(), module).await
}

/// Sends a request to a module, with the given facts. Returns the response, or the fault with which
/// the host would answer a client instead, and the resources that the call used.
pub async fn send_with(
    request: &Request<Bytes>,
    facts: &Facts,
    module: &Handler,
) -> (Result<Answer, Fault>, Usage) {
    match encoded(request, facts) {
        Ok(message) => call(module, &message, request.method()).await,
        Err(refused) => (Err(refused.into()), Usage::default()),
    }
}

/// Encodes a request as the bytes that the handler gets.
fn encoded(request: &Request<Bytes>, facts: &Facts) -> Result<Message, BadRequest> {
    let body = if request.body().is_empty() { Vec::new() } else { vec![request.body().clone()] };
    let time = facts.time.unwrap_or_else(SystemTime::now);
    let origin = Origin { id: &facts.id, client: &facts.client, time, tls: Tls::AsSent, trace: None };
    let mut head = Vec::new();
    with_head(request, |parsed| {
        encode(&mut head, parsed, check_head(parsed, Tls::AsSent)?, 0, request.body().len(), &origin);
        Ok(())
    })?;
    let seed = request.extensions().get::<Seed>().map(|seed| seed.0).or_else(seed::draw);
    Ok(Message { head, body, seed })
}

/// Limits that no request reaches, because an operator's own requests have none.
const NO_LIMITS: MessageLimits = MessageLimits {
    target_max: usize::MAX / 2,
    head_max: usize::MAX,
    fields_max: usize::MAX,
    body_max: u64::MAX,
};

/// Writes the head of a request as a client would, with a field `host` if the request has none.
/// Then parses the head as the server does, and passes it to `use_head`.
fn with_head<T>(
    request: &Request<Bytes>,
    use_head: impl FnOnce(&RequestHead<'_>) -> Result<T, BadRequest>,
) -> Result<T, BadRequest> {
    let target = match request.uri().path_and_query() {
        // `Uri` leaves the path of `*` and the slash of a URL to the reader.
        Some(path) if request.uri().authority().is_none() => path.to_string(),
        _ => request.uri().to_string(),
    };
    let mut bytes = format!("{} {target} HTTP/1.1\r\n", request.method()).into_bytes();
    let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    let host = authority.unwrap_or(LOCALHOST);
    let given = request.headers().iter().map(|(name, value)| (name.as_str(), value));
    let added = (!request.headers().contains_key(HOST)).then_some((HOST.as_str(), &host));
    for (name, value) in given.chain(added) {
        for piece in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(piece);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    let mut parser = HeadParser::default();
    // The head is complete, and its parts were checked when the request was built.
    parser.read(&bytes, &NO_LIMITS)?;
    use_head(&parser.head(&bytes))
}

/// Calls a module with the encoded bytes of a request, and decodes the response. `method` is the
/// method of the request. Returns the response, or the fault with which the host would answer a
/// client instead, and the resources that the call used.
pub async fn call(module: &Handler, message: &Message, method: &Method) -> (Result<Answer, Fault>, Usage) {
    let (returned, usage) = module.call_and_measure(message, RequestId::none()).await;
    (answer(module, returned, method), usage)
}

/// Calls a module with a request that was served before. Drops the log lines of the module. Returns
/// the response, or the fault with which the host would answer a client instead, and the resources
/// that the call used.
pub async fn call_again(
    module: &Handler,
    message: &Message,
    method: &Method,
) -> (Result<Answer, Fault>, Usage) {
    let (returned, usage) = module.call_again(message).await;
    (answer(module, returned, method), usage)
}

fn answer(module: &Handler, returned: Result<Bytes, CallError>, method: &Method) -> Result<Answer, Fault> {
    let head_max = module.limits().response_head_max;
    returned.map_err(Fault::from).and_then(|bytes| Answer::new(&bytes, method, head_max))
}

impl Answer {
    /// Returns whether the response contains a secret of `values`.
    pub(super) fn has_secret_of(&self, values: &Values) -> bool {
        let has = |bytes: &[u8]| matches!(values.mask_bytes(bytes), Cow::Owned(_));
        has(&self.body)
            || has(self.reason.as_bytes())
            || self.fields.values().any(|value| has(value.as_bytes()))
    }

    fn new(bytes: &Bytes, method: &Method, head_max: usize) -> Result<Answer, Fault> {
        let mut places = Places::default();
        let checked = response::check(bytes, method.as_str(), head_max, &mut places)?;
        let mut fields = HeaderMap::new();
        for (name, value) in checked.fields() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                fields.append(name, value);
            }
        }
        if let Some(length) = checked.length {
            fields.insert(CONTENT_LENGTH, length.into());
        }
        Ok(Answer {
            status: StatusCode::from_u16(checked.status).unwrap_or_default(),
            reason: String::from_utf8_lossy(checked.reason).into_owned(),
            fields,
            body: bytes.slice_ref(checked.body()),
        })
    }

    /// Returns the values of all header fields with this name.
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
