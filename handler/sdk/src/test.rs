//! Client for native tests of a handler: it calls the handler as the host does,
//! without a socket and without WebAssembly.
//!
//! ```
//! use handler_sdk::test::Client;
//! # use handler_sdk::prelude::*;
//! # const ROUTES: Router = Router::new(&[get("/", index)]);
//! # fn index(_: Request) -> Response { Response::text(Status::OK, "hello") }
//! # fn answer(request: Request) -> Response { ROUTES.answer(request) }
//!
//! let client = Client::new(answer);
//! assert_eq!(client.get("/").status(), 200);
//! assert_eq!(client.get("/").text(), "hello");
//! let reply = client.request("GET", "/").field("accept", "text/html").send();
//! assert_eq!(reply.field("content-type"), Some("text/plain; charset=utf-8"));
//! ```
//!
//! Sending a request panics if the request line is malformed, or if the response has a body
//! although its status forbids one. The client does not detect other responses that the host
//! refuses.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::borrow::ToOwned as _;
use std::net::IpAddr;
use std::string::String;
use std::time::Duration;
use std::vec::Vec;
use std::{format, vec};

use crate::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME, VALUES_MAX, is_value_name};
use crate::{Action, Pairs, native, percent_encoded, respond};

/// Client of one handler; see the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Client {
    answer: Action,
    client: IpAddr,
    time: Duration,
    /// Values of the site, encoded as in [`abi`](crate::abi).
    values: &'static str,
}

impl Client {
    /// Creates a client of `answer`, the function that the handler passes to `export!`. By default,
    /// requests come from `127.0.0.1` at the beginning of 2026.
    pub fn new(answer: Action) -> Client {
        let (client, time) = (IpAddr::from([127, 0, 0, 1]), Duration::from_secs(1_767_225_600));
        Client { answer, client, time, values: "" }
    }

    /// Sets the address of the client.
    #[must_use]
    pub fn with_address(self, client: impl Into<IpAddr>) -> Client {
        Client { client: client.into(), ..self }
    }

    /// Sets the time of the requests, since the Unix epoch.
    #[must_use]
    pub fn with_time(self, time: Duration) -> Client {
        Client { time, ..self }
    }

    /// Sets the [values](crate::values) of the site, as pairs of name and text. Replaces all values
    /// that were set before. The memory of the values is never freed. A [`State`](crate::State)
    /// that reads values is computed once, with the values of the first client that uses the state.
    ///
    /// # Panics
    ///
    /// When a name is repeated or invalid, a text contains a zero byte, or the values take up more
    /// than [`VALUES_MAX`] bytes. The host refuses such values, too.
    #[must_use]
    pub fn with_values(self, values: &[(&str, &str)]) -> Client {
        let mut values = values.to_vec();
        values.sort_unstable();
        let mut encoded = String::new();
        for (at, (name, text)) in values.iter().enumerate() {
            assert!(is_value_name(name), "`{name}` is no name of a value");
            assert!(!text.contains('\0'), "the value `{name}` has a zero byte");
            let is_first = values.iter().position(|(other, _)| other == name) == Some(at);
            assert!(is_first, "two values have the name `{name}`");
            encoded.extend([name, "\0", text, "\0"]);
        }
        assert!(encoded.len() <= VALUES_MAX, "the values take more than {VALUES_MAX} bytes");
        Client { values: encoded.leak(), ..self }
    }

    /// Begins a request, to which fields and a body can be added.
    pub fn request(&self, method: &str, target: &str) -> RequestBuilder {
        RequestBuilder {
            client: *self,
            line: format!("{method} {target} HTTP/1.1"),
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Sends GET.
    pub fn get(&self, target: &str) -> Reply {
        self.request("GET", target).send()
    }

    /// Sends HEAD.
    pub fn head(&self, target: &str) -> Reply {
        self.request("HEAD", target).send()
    }

    /// Sends OPTIONS.
    pub fn options(&self, target: &str) -> Reply {
        self.request("OPTIONS", target).send()
    }

    /// Sends DELETE.
    pub fn delete(&self, target: &str) -> Reply {
        self.request("DELETE", target).send()
    }

    /// Sends POST with a body.
    pub fn post(&self, target: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("POST", target).body(body).send()
    }

    /// Sends PUT with a body.
    pub fn put(&self, target: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("PUT", target).body(body).send()
    }

    /// Sends PATCH with a body.
    pub fn patch(&self, target: &str, body: impl AsRef<[u8]>) -> Reply {
        self.request("PATCH", target).body(body).send()
    }

    /// Sends the names and values of an HTML form by POST.
    pub fn post_form(&self, target: &str, pairs: &[(&str, &str)]) -> Reply {
        let encode = |text: &str| percent_encoded(text).collect::<String>();
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        self.request("POST", target).field("content-type", Pairs::MEDIA_TYPE).body(pairs.join("&")).send()
    }

    /// Sends a value as JSON by POST.
    ///
    /// # Panics
    ///
    /// When the value cannot be encoded as JSON, or [`RequestBuilder::send`] panics.
    #[cfg(feature = "json")]
    pub fn post_json(&self, target: &str, value: &(impl serde::Serialize + ?Sized)) -> Reply {
        let json = serde_json::to_vec(value).expect("a value with a form in JSON");
        self.request("POST", target).field("content-type", "application/json").body(json).send()
    }
}

/// Request that is being built; see [`Client::request`].
#[derive(Clone, Debug)]
#[must_use = "a request goes out by `send`"]
pub struct RequestBuilder {
    client: Client,
    line: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl RequestBuilder {
    /// Adds a field.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> RequestBuilder {
        self.fields.push((name.to_ascii_lowercase(), value.as_ref().to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> RequestBuilder {
        self.body = body.as_ref().to_owned();
        self
    }

    /// Sends the request, encoded as the host encodes it: with `content-length`, and with the
    /// fields that the host adds, [`REQUEST_ID`], [`FORWARDED_FOR`] and [`REQUEST_TIME`].
    ///
    /// # Panics
    ///
    /// When the method or the target is malformed, or the response has a body that its
    /// status forbids.
    pub fn send(self) -> Reply {
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        let mut put = |name: &str, value: &[u8]| {
            [name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|piece| bytes.extend_from_slice(piece));
        };
        if !self.fields.iter().any(|(name, _)| name == "host") {
            put("host", b"localhost");
        }
        self.fields.iter().for_each(|(name, value)| put(name, value));
        if !self.body.is_empty() {
            put("content-length", format!("{}", self.body.len()).as_bytes());
        }
        put(REQUEST_ID, b"test-1");
        put(FORWARDED_FOR, format!("{}", self.client.client).as_bytes());
        put(REQUEST_TIME, format!("{}", self.client.time.as_millis()).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        assert!(
            crate::Request::parse(&bytes).is_ok_and(
                |request| self.line == format!("{} {} HTTP/1.1", request.method(), request.target())
            ),
            "`{}` is no request line; expected a method, and a target without spaces",
            self.line
        );
        let response = native::with_values(self.client.values, || respond(&bytes, self.client.answer));
        let mut message = vec![0; response.encoded_len()];
        response.encode(&mut message).expect("a response of the length that it said");
        Reply::parse(&message, self.line.starts_with("HEAD "))
    }
}

/// Response that a client would get, without the fields that the host adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    reason: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn parse(message: &[u8], is_head: bool) -> Reply {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n").expect("a head with an end");
        let (head, rest) = message.split_at(end);
        let head = String::from_utf8_lossy(head).into_owned();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let (code, reason) =
            line.strip_prefix("HTTP/1.1 ").and_then(|line| line.split_once(' ')).expect("a status line");
        let status = code.parse().expect("a status");
        let fields = lines.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut body = rest.get(4..).unwrap_or_default().to_owned();
        assert!(
            body.is_empty() || !matches!(status, 204 | 205 | 304),
            "a response {status} has {} bytes of body; the host refuses it",
            body.len()
        );
        if is_head {
            body.clear();
        }
        Reply { status, reason: reason.to_owned(), fields, body }
    }

    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the reason phrase.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the value of the first field of this name. Case does not matter in the
    /// name. Bytes of the value that are not UTF-8 are replaced.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    /// Returns the values of all fields of this name. Case does not matter in the name.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns the body. It is empty in a reply to HEAD, because the host leaves it out.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the body as text.
    ///
    /// # Panics
    ///
    /// When the body is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// Parses the body as JSON.
    ///
    /// # Panics
    ///
    /// When the body is not JSON of this type.
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not of this type: {error}; found {}", self.body.escape_ascii()),
        }
    }
}
