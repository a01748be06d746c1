//! State that all connections share.

use std::sync::Arc;

use host_http::forwarded::Trusted;
use host_http::request_id::ConnectionIds;
use tokio::sync::Semaphore;

use crate::config::limits::Limits;
use crate::fault_counts::FaultCounts;
use crate::record::Recorder;
use crate::serve::buffers::Buffers;
use crate::serve::ending::Ending;
use crate::site::notice::Notice;
use crate::site::swapper::Swapper;

/// State shared by all connections.
pub struct App {
    /// Source of the current version.
    pub swapper: Swapper,
    /// Whether responses name the version that answered.
    pub tell_version: bool,
    /// Limits of the server.
    pub limits: Limits,
    /// Generator of connection and request ids.
    pub ids: ConnectionIds,
    /// Whether the response to a fault shows its cause (`--dev`).
    pub tell_cause: bool,
    /// Reason for which the newest version does not serve, shown by `host dev`.
    pub notice: Notice,
    /// Fault counts.
    pub faults: FaultCounts,
    /// Memory budget for bodies.
    pub buffers: Buffers,
    /// Permits for connections.
    pub permits: Arc<Semaphore>,
    /// Recorder of requests that end in a fault of the handler, if recording is on.
    pub recorder: Option<Recorder>,
    /// Proxies whose `x-forwarded-for` header is trusted.
    pub trusted: Vec<Trusted>,
    /// Shutdown signal.
    pub ending: Ending,
}
