//! Counters of PROXY protocol headers, by outcome.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Outcome of reading the PROXY protocol header of one connection.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The header names the client for which the proxy has connected.
    Client,
    /// The proxy has made the connection for itself (command LOCAL), for example for a health
    /// check.
    Local,
    /// The header does not name the client.
    Unknown,
    /// The peer has closed the connection without sending a header.
    None,
    /// The peer is not a trusted proxy, so the host has not read its PROXY protocol header.
    Untrusted,
    /// The header is malformed or incomplete.
    Bad,
    /// The header did not arrive within `--head-timeout`.
    Late,
}

/// Names of the outcomes, in the order of [`Outcome`].
const NAMES: [&str; 7] = ["client", "local", "unknown", "none", "untrusted", "bad", "late"];

/// Number of connections for each [`Outcome`] of reading a PROXY protocol header.
#[derive(Default)]
pub struct HeaderCounts([AtomicU64; NAMES.len()]);

impl HeaderCounts {
    /// Returns the name of each outcome, with the number of connections that had this outcome.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed))).collect()
    }

    pub(super) fn count(&self, outcome: Outcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Relaxed);
        }
    }
}
