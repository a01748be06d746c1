//! State that an HTTP/2 connection, its [`Wire`](crate::serve::h2::wire::Wire) and its streams
//! share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host_http::h2::{Meter, MeterLimits};
use tokio::time::Instant;

use crate::config::connection::ConnectionLimits;

/// State that the parts of one HTTP/2 connection share.
pub(super) struct Shared {
    meter: Mutex<Meter>,
    /// Whether output is blocked, because the client does not read.
    is_blocked: AtomicBool,
    /// Number of streams that wait for their client to send or to read.
    waiting: AtomicUsize,
    /// Whether the slot of the connection has recorded that the connection waits for its client.
    is_transfer: AtomicBool,
}

/// Guard that counts a stream as waiting for its client until it is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Shared {
    pub(super) fn new(limits: &ConnectionLimits) -> Shared {
        let count = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        let (resets, control) = (count(limits.http2.h2_resets), count(limits.http2.h2_control));
        let limits = MeterLimits { resets, control, window: limits.rate_window };
        Shared {
            meter: Mutex::new(Meter::new(limits, Instant::now().into_std())),
            is_blocked: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            is_transfer: AtomicBool::new(false),
        }
    }

    /// Locks and returns the meter, which counts the frames and requests of the client.
    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Relaxed);
    }

    /// Returns whether output is blocked, because the client does not read.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// Sets whether the slot has recorded that the connection waits for its client. Returns the
    /// previous value.
    pub(super) fn set_transfer(&self, is_transfer: bool) -> bool {
        self.is_transfer.swap(is_transfer, Relaxed)
    }

    /// Returns whether the slot has recorded that the connection waits for its client.
    pub(super) fn is_transfer(&self) -> bool {
        self.is_transfer.load(Relaxed)
    }

    /// Counts a stream as waiting for its client until the returned guard is dropped.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(&self.waiting)
    }

    /// Returns the number of streams that wait for their client to send or to read.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
