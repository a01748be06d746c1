//! Receives the body of a request to the API, with limits on its size and its time.

use std::time::Duration;

use http::StatusCode;
use http::header::EXPECT;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::admin::protocol::{BODY_MAX, REQUEST_TIMEOUT};
use crate::admin::refusal::{Refusal, error, refuse};

/// Maximum time to drain the part of a body that no operation has read. Without draining, the
/// client might lose the reply.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Body of a request to the API.
pub(super) struct Body {
    body: Incoming,
    /// Whether the client sends the body: it does not wait for `100 Continue`, or no longer waits
    /// because reading has begun.
    is_sent: bool,
}

impl Body {
    pub(super) fn new(body: Incoming, parts: &Parts) -> Body {
        Body { body, is_sent: !parts.headers.contains_key(EXPECT) }
    }

    /// Returns the length of the body, if the head states it.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// Receives a module. Returns `None` if it is longer than `max` bytes.
    pub(super) async fn module(&mut self, max: usize) -> Result<Option<Vec<u8>>, Refusal> {
        let length = self.length();
        self.is_sent = true;
        let receive = async {
            let mut module = Vec::with_capacity(length.map_or(0, |length| length as usize));
            while let Some(frame) = self.body.frame().await {
                let broken =
                    |broken| error(StatusCode::BAD_REQUEST, format!("cannot read the module: {broken}"));
                let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
                if module.len() + data.len() > max {
                    return Ok(None);
                }
                module.extend_from_slice(&data);
            }
            Ok(Some(module))
        };
        timeout(REQUEST_TIMEOUT, receive).await.unwrap_or_else(|_| late("the module"))
    }

    /// Receives a JSON object. Reads an empty body as an empty object.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        self.is_sent = true;
        let Ok(collected) = timeout(REQUEST_TIMEOUT, Limited::new(&mut self.body, BODY_MAX).collect()).await
        else {
            return late("the body");
        };
        let bytes = match collected {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let cause = format!("the body is too long; expected at most {BODY_MAX} bytes of JSON");
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, cause);
            }
            Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("cannot read the body: {error}")),
        };
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        // An object first: an array would be taken for the values of one.
        let object = serde_json::from_slice(bytes).map(Value::Object);
        let malformed = |cause| refuse(StatusCode::BAD_REQUEST, format!("the body is malformed: {cause}"));
        object.and_then(serde_json::from_value).or_else(malformed)
    }

    /// Reads and drops the rest of the body, at most `max` bytes. Does nothing if the client still
    /// waits for `100 Continue`.
    pub(super) async fn drain(mut self, max: usize) {
        if !self.is_sent {
            return;
        }
        let drain = async {
            let mut left = max;
            while let Some(Ok(frame)) = self.body.frame().await {
                let length = frame.data_ref().map_or(0, |data| data.len());
                let Some(rest) = left.checked_sub(length) else { return };
                left = rest;
            }
        };
        // A slower client is not waited for.
        let _ = timeout(DRAIN, drain).await;
    }
}

fn late<T>(what: &str) -> Result<T, Refusal> {
    let seconds = REQUEST_TIMEOUT.as_secs();
    refuse(StatusCode::REQUEST_TIMEOUT, format!("{what} did not arrive within {seconds} s"))
}
