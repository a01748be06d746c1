//! The id under which everything about one request is logged, and which the
//! client and the handler get too.
//!
//! It reads `1f3a9c07-2b-3`: this start of the server, the connection since
//! then, and the request on that connection. So it is unique without a source
//! of randomness for each request, and it tells which requests came together.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::HeaderValue;

/// Gives ids to connections.
pub struct ConnectionIds {
    start: u32,
    next: AtomicU64,
}

/// Gives ids to the requests of one connection.
pub struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

/// The id of one request.
#[derive(Clone, Debug)]
pub struct RequestId(Bytes);

impl ConnectionIds {
    /// Begins a series that differs from those of other starts.
    #[allow(clippy::new_without_default, reason = "two defaults are not equal")]
    pub fn new() -> Self {
        // A fresh hasher's keys are random: the standard library has no other
        // source of randomness, and no more than that is needed here.
        let random = RandomState::new().hash_one(std::process::id());
        ConnectionIds { start: random as u32, next: AtomicU64::new(1) }
    }

    /// For the next connection.
    pub fn connection(&self) -> RequestIds {
        let connection = self.next.fetch_add(1, Relaxed);
        RequestIds { prefix: format!("{:08x}-{connection:x}-", self.start), next: AtomicU64::new(1) }
    }
}

impl RequestIds {
    /// For the next request of the connection.
    pub fn request(&self) -> RequestId {
        let request = self.next.fetch_add(1, Relaxed);
        RequestId(format!("{}{request:x}", self.prefix).into())
    }
}

impl RequestIds {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.next.load(Relaxed) - 1
    }
}

impl RequestId {
    /// For calls that no request is the reason of.
    pub fn none() -> RequestId {
        RequestId(Bytes::from_static(b"-"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&RequestId> for HeaderValue {
    fn from(id: &RequestId) -> HeaderValue {
        HeaderValue::from_maybe_shared(id.0.clone()).unwrap_or(HeaderValue::from_static("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionIds;

    #[test]
    fn an_id_tells_start_connection_and_request() {
        let ids = ConnectionIds::new();
        let (first, second) = (ids.connection(), ids.connection());
        let all = [first.request(), first.request(), second.request()];
        let tails: Vec<_> = all.iter().map(|id| &id.as_str()[8..]).collect();
        assert_eq!(tails, ["-1-1", "-1-2", "-2-1"]);
        assert!(all.iter().all(|id| id.as_str()[..8] == all[0].as_str()[..8]));
    }
}
