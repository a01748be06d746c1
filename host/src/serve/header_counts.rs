//! Counts of the headers of the PROXY protocol.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What came of a header of the PROXY protocol.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// It names a client.
    Client,
    /// The proxy has connected for itself.
    Local,
    /// It does not say whose connection it is.
    Unknown,
    /// The peer has sent none, and closed the connection.
    None,
    /// The peer may send none.
    Untrusted,
    /// It is wrong, or breaks off.
    Bad,
    /// It took too long.
    Late,
}

/// Names of the outcomes, in their order.
const NAMES: [&str; 7] = ["client", "local", "unknown", "none", "untrusted", "bad", "late"];

/// Numbers of headers of the PROXY protocol, by what came of them.
#[derive(Default)]
pub struct HeaderCounts([AtomicU64; NAMES.len()]);

impl HeaderCounts {
    /// Returns the numbers.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed))).collect()
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Relaxed);
        }
    }
}
