//! State that all connections share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::SystemTime;

use host_http::h2::Breach;
use host_http::request_id::ConnectionIds;
use rustls::HandshakeKind;
use tokio::sync::Semaphore;

use crate::acme::runner::Acme;
use crate::config::limits::Limits;
use crate::events::hub::Events;
use crate::fault::Fault;
use crate::fault_counts::FaultCounts;
use crate::in_force::InForce;
use crate::metrics::OfSite;
use crate::record::Recorder;
use crate::serve::buffers::Buffers;
use crate::serve::ending::Ending;
use crate::serve::header_counts::HeaderCounts;
use crate::serve::settings::Settings;
use crate::site::current::Published;
use crate::site::directory::Directory;
use crate::site::notice::Notice;
use crate::tls::keeper::Tls;

/// Counters of connections.
#[derive(Default)]
pub struct ConnectionCounts {
    /// Number of connections that were accepted since the start.
    accepted: AtomicU64,
    /// Number of connections that are not parked. A parked connection is idle, and keeps only its
    /// socket.
    active: AtomicUsize,
    handshakes: Handshakes,
    /// Counters of PROXY protocol headers, by outcome.
    pub headers: HeaderCounts,
    /// Number of connections that spoke HTTP/2 since the start.
    http2: AtomicU64,
    /// Numbers of HTTP/2 connections that ended because the client exceeded a limit on frames.
    floods: Floods,
}

/// Counters of HTTP/2 connections that ended because the client exceeded a limit on frames, one
/// counter for each limit.
#[derive(Default)]
struct Floods {
    resets: AtomicU64,
    control: AtomicU64,
}

/// Counters of TLS handshakes, by result.
#[derive(Default)]
struct Handshakes {
    full: AtomicU64,
    resumed: AtomicU64,
    failed: AtomicU64,
}

/// Guard that counts a connection as active until it is dropped.
pub(super) struct Active<'a> {
    all: &'a AtomicUsize,
    /// Number of active connections, including this one, at the time when this one became active.
    pub(super) count: usize,
}

impl ConnectionCounts {
    /// Counts a connection that was accepted.
    pub(super) fn accept(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// Counts a successful TLS handshake as resumed or, for all other values of `kind`, as full.
    pub(super) fn shaken(&self, kind: Option<HandshakeKind>) {
        let of_kind = match kind {
            Some(HandshakeKind::Resumed) => &self.handshakes.resumed,
            _ => &self.handshakes.full,
        };
        of_kind.fetch_add(1, Relaxed);
    }

    /// Counts a TLS handshake that failed.
    pub(super) fn not_shaken(&self) {
        self.handshakes.failed.fetch_add(1, Relaxed);
    }

    /// Returns the numbers of TLS handshakes, by result: `full`, `resumed` or `failed`.
    pub fn handshakes(&self) -> [(&'static str, u64); 3] {
        let Handshakes { full, resumed, failed } = &self.handshakes;
        [("full", full), ("resumed", resumed), ("failed", failed)]
            .map(|(name, count)| (name, count.load(Relaxed)))
    }

    /// Counts a connection that speaks HTTP/2.
    pub(super) fn speaks_http2(&self) {
        self.http2.fetch_add(1, Relaxed);
    }

    /// Returns the number of connections that spoke HTTP/2.
    pub fn http2(&self) -> u64 {
        self.http2.load(Relaxed)
    }

    /// Counts an HTTP/2 connection that ends because its client exceeded a limit on frames. Ignores
    /// [`Breach::NoSettings`], which does not exceed a limit.
    pub(super) fn breached(&self, breach: Breach) {
        let of_kind = match breach {
            Breach::Resets => &self.floods.resets,
            Breach::Control => &self.floods.control,
            Breach::NoSettings => return,
        };
        of_kind.fetch_add(1, Relaxed);
    }

    /// Returns, for each limit on frames, the number of HTTP/2 connections that ended because their
    /// clients exceeded it.
    pub fn floods(&self) -> [(&'static str, u64); 2] {
        let Floods { resets, control } = &self.floods;
        [("resets", resets), ("control", control)].map(|(name, count)| (name, count.load(Relaxed)))
    }

    /// Counts a connection as active until the result is dropped.
    pub(super) fn one_more_active(&self) -> Active<'_> {
        Active { all: &self.active, count: self.active.fetch_add(1, Relaxed) + 1 }
    }

    /// Returns the number of connections that were accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Returns the number of active connections, which are those that are not parked.
    pub fn active(&self) -> usize {
        self.active.load(Relaxed)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

/// State shared by all connections.
pub struct App {
    /// Sites, each with its current version.
    pub sites: Published<Directory>,
    /// Settings that a reload of the configuration can change.
    pub settings: InForce<Settings>,
    /// Limits that the server was started with. `settings` has the current values of those that a
    /// reload can change.
    pub limits: Limits,
    /// Generator of connection and request ids.
    pub ids: ConnectionIds,
    /// Reason why the newest build or version does not serve. `host dev` shows it instead of the
    /// responses of the handler.
    pub notice: Notice,
    /// Counts of faults, and the latest faults.
    pub faults: FaultCounts,
    /// Metrics of requests that belong to no site.
    pub metrics: OfSite,
    /// Hub that keeps the events of the server and sends them to subscribers.
    pub events: Arc<Events>,
    /// Memory budget for request and response bodies.
    pub buffers: Buffers,
    /// Counts of connections.
    pub connections: ConnectionCounts,
    /// Certificates and settings of TLS; [`None`] if there are no certificates.
    pub tls: Option<Arc<Tls>>,
    /// Orders certificates by ACME, if TLS is on.
    pub acme: Option<Arc<Acme>>,
    /// Permits for connections. Each open connection holds one.
    pub permits: Arc<Semaphore>,
    /// Recorder of requests that end in a fault of the handler, if recording is on.
    pub recorder: Option<Recorder>,
    /// Shutdown signal.
    pub ending: Ending,
}

impl App {
    /// Returns the current limits: those that the server was started with, as changed by reloads.
    pub fn limits(&self) -> Limits {
        let settings = self.settings.get();
        let mut limits = self.limits.clone();
        limits.connection = settings.limits.clone();
        limits.server.drain = settings.drain;
        limits
    }

    /// Counts a fault. Also remembers the fault and sends it as an event, unless a client caused
    /// it. `request` is the method and the target; `place` is the name of the site and the number
    /// of the version.
    pub(super) fn failed(
        &self,
        (fault, cause): (&Fault, &str),
        time: SystemTime,
        id: String,
        request: (&str, &str),
        place: (Option<&str>, Option<u64>),
    ) {
        self.faults.add(fault);
        if let Some(recent) = self.faults.remember((fault, cause), time, id, request, place) {
            self.events.fault(&recent);
        }
    }
}
