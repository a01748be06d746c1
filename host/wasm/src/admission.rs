//! Which calls may run at once: no more than there are instances, of which some
//! are for short calls, one at a time on each thread that serves. Long calls need
//! a permit, and take turns, so that no thread works off many of them before it
//! looks at its sockets again.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

use crate::failure::CallError;
use crate::limits::CallLimits;
use crate::per_thread::PerThread;
use crate::permits::{Permit, Permits};

/// Instances beyond those that serve: a candidate is tried in one of these
/// while the others are taken.
pub(super) const INSTANCES_SPARE: usize = 2;

/// How long a short call waits before it looks again for a place, where threads
/// share places. A short call lasts a microsecond, or at the most some
/// milliseconds.
const SHORT_REST: Duration = Duration::from_millis(1);

/// Which calls may run at once, and which may wait for that.
pub(super) struct Admission {
    /// Whether a call runs that holds its thread. That each thread knows this for
    /// itself is why short calls do not wait for each other.
    short: PerThread<AtomicBool>,
    short_queue: Semaphore,
    long: Permits,
    candidates: Semaphore,
    candidates_queue: Semaphore,
    turns: Semaphore,
    queue: usize,
    queue_timeout: Duration,
}

/// A call that holds its thread, until this is dropped.
pub(super) struct Short<'a> {
    own: Option<&'a AtomicBool>,
    _other: Option<Permit<'a>>,
}

/// How many calls there are, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Calls that run.
    pub running: usize,
    /// Calls that wait for a permit.
    pub waiting: usize,
}

impl Admission {
    pub(crate) fn new(limits: &CallLimits, threads: usize) -> Admission {
        // Half of them at the most: a long call is not to wait for short ones.
        let short = PerThread::new(threads.min(limits.instances / 2));
        let long = limits.instances - short.count();
        Admission {
            short,
            short_queue: Semaphore::new(limits.queue),
            long: Permits::new(long, limits.queue, limits.fair_share),
            candidates: Semaphore::new(INSTANCES_SPARE),
            candidates_queue: Semaphore::new(INSTANCES_SPARE),
            turns: Semaphore::new(threads),
            queue: limits.queue,
            queue_timeout: limits.queue_timeout,
        }
    }

    /// Returns the right to make one call that ends, or is ended, before this thread
    /// does anything else: the place of this thread; where that is taken, of another;
    /// or a permit of those that long calls need.
    pub(super) fn begin_short(&self) -> Option<Short<'_>> {
        let places = self.short.own().into_iter().chain(self.short.all());
        if let Some(place) = places.into_iter().find(|place| !place.swap(true, Relaxed)) {
            return Some(Short { own: Some(place), _other: None });
        }
        Some(Short { own: None, _other: Some(self.long.try_acquire(None)?) })
    }

    /// Waits for the right to make a short call. That is needed where there are
    /// more threads than places for short calls.
    pub(super) async fn wait_for_short(&self) -> Result<Short<'_>, CallError> {
        let _place = self.short_queue.try_acquire().map_err(|_| self.busy())?;
        let end = Instant::now() + self.queue_timeout;
        yield_now().await;
        loop {
            if let Some(short) = self.begin_short() {
                return Ok(short);
            }
            if Instant::now() >= end {
                return Err(self.busy());
            }
            sleep(SHORT_REST).await;
        }
    }

    /// Returns a permit for a long call if one is free.
    pub(super) fn try_begin_long(&self, client: Option<ClientNet>) -> Option<Permit<'_>> {
        self.long.try_acquire(client)
    }

    /// Waits for a permit for a long call.
    pub(super) async fn begin_long(&self, client: Option<ClientNet>) -> Result<Permit<'_>, CallError> {
        self.long.acquire(client, self.queue_timeout).await.map_err(|_| self.busy())
    }

    /// Waits for the right to try a module before it serves.
    pub(super) async fn begin_candidate(&self) -> Result<SemaphorePermit<'_>, CallError> {
        let _place = self.candidates_queue.try_acquire().map_err(|_| self.busy())?;
        match timeout(self.queue_timeout, self.candidates.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.busy()),
        }
    }

    /// Runs a long call in turn with the others: each time that it gives way, the
    /// turn passes to the call that has waited for the longest time.
    pub(super) async fn in_turns<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            let turn = self.turns.acquire().await;
            // First the thread looks at its sockets, then it answers what has come.
            yield_now().await;
            yield_now().await;
            let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            if let Poll::Ready(result) = polled {
                return result;
            }
            drop(turn);
        }
    }

    /// Returns whether a call runs now.
    pub(super) fn is_busy(&self) -> bool {
        self.running() > 0 || self.candidates.available_permits() < INSTANCES_SPARE
    }

    pub(super) fn calls(&self) -> Calls {
        Calls { running: self.running(), waiting: self.long.waiting() }
    }

    fn running(&self) -> usize {
        self.long.taken() + self.short.all().filter(|runs| runs.load(Relaxed)).count()
    }

    fn busy(&self) -> CallError {
        CallError::Busy { calls: self.long.max(), queue: self.queue }
    }
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        if let Some(runs) = self.own {
            runs.store(false, Relaxed);
        }
    }
}

/// Returns how many threads serve: those of this runtime, or as many as there are
/// cores.
pub(super) fn serving_threads() -> usize {
    match Handle::try_current() {
        Ok(runtime) => runtime.metrics().num_workers(),
        Err(_) => thread::available_parallelism().map_or(1, usize::from),
    }
}
