//! Receives the body of a request of the API, within bounds on its size and its time.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::admin::protocol::{BODY_MAX, REQUEST_TIMEOUT};
use crate::admin::refusal::{Refusal, error, refuse};

/// Longest time to drain a body that was not asked for. Without draining, the client might
/// lose the reply.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);

/// Most bytes of a body that are drained.
pub(crate) const DRAIN_MAX: usize = 16 << 20;

/// Receives a module of at most `max` bytes. Returns `None` for a longer one.
pub(super) async fn module(body: &mut Incoming, max: usize) -> Result<Option<Vec<u8>>, Refusal> {
    let length = body.size_hint().exact();
    let receive = async {
        let mut module = Vec::with_capacity(length.map_or(0, |length| length as usize));
        while let Some(frame) = body.frame().await {
            let broken = |broken| error(StatusCode::BAD_REQUEST, format!("cannot read the module: {broken}"));
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

/// Receives a body in JSON. An empty one stands for an empty object.
pub(super) async fn json<T: DeserializeOwned>(body: &mut Incoming) -> Result<T, Refusal> {
    let Ok(collected) = timeout(REQUEST_TIMEOUT, Limited::new(body, BODY_MAX).collect()).await else {
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
    let malformed = |cause| refuse(StatusCode::BAD_REQUEST, format!("the body is malformed: {cause}"));
    serde_json::from_slice(bytes).or_else(malformed)
}

fn late<T>(what: &str) -> Result<T, Refusal> {
    let seconds = REQUEST_TIMEOUT.as_secs();
    refuse(StatusCode::REQUEST_TIMEOUT, format!("{what} did not arrive within {seconds} s"))
}

/// Reads and drops the rest of a body, within bounds.
pub(super) async fn drain(mut body: Incoming) {
    let drain = async {
        let mut left = DRAIN_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // A slower client is not waited for.
    let _ = timeout(DRAIN, drain).await;
}
