//! How the host takes part in traces: from which clients it continues a trace (`traceparent`), if
//! any.

use clap::ValueEnum;

/// How the host takes part in traces (`--traceparent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Traceparent {
    /// Nobody's: the handler gets the client's own traceparent, as any other header
    Off,
    /// Nobody's: each request begins a new trace
    New,
    /// A request continues the trace of a peer that --trust-forwarded names; other requests begin a
    /// new trace
    Trusted,
    /// A request continues the trace of any client that sends a valid traceparent
    Accept,
}

impl Traceparent {
    /// Returns whether the host continues the trace in a peer's `traceparent`; [`None`] if the host
    /// takes no part in traces. `is_trusted` says whether `--trust-forwarded` names the peer.
    pub fn believes(self, is_trusted: bool) -> Option<bool> {
        match self {
            Traceparent::Off => None,
            Traceparent::New => Some(false),
            Traceparent::Trusted => Some(is_trusted),
            Traceparent::Accept => Some(true),
        }
    }
}
