//! Limits how many calls run at once to `--instances`. Some of these instances are
//! reserved for short calls, one at a time on each serving thread. A long call needs
//! a permit. Long calls take turns, so that a thread polls its sockets between them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::call_error::CallError;
use crate::limits::CallLimits;
use crate::per_thread::PerThread;
use crate::permits::{Permit, Permits};

/// Instances beyond `--instances`, in which candidates for the next version are tried
/// while all others are in use.
pub const INSTANCES_SPARE: usize = 2;

/// Interval at which a waiting short call looks for a free slot. A short call takes a
/// microsecond to some milliseconds.
const SHORT_RETRY: Duration = Duration::from_millis(1);

/// The permits for short and long calls and for candidates, with their queues.
pub(super) struct Admission {
    /// Whether a short call runs, for each thread. With a slot of its own, a thread
    /// does not wait for the short calls of others.
    short: PerThread<AtomicBool>,
    short_queue: Semaphore,
    long: Arc<Permits>,
    candidates: Arc<Permits>,
    turns: Semaphore,
    queue: usize,
    queue_timeout: Duration,
}

/// The right to make one short call, which blocks its thread. Ends on drop.
pub(super) struct Short<'a> {
    own: Option<&'a AtomicBool>,
    _other: Option<Permit>,
}

/// Numbers of running and waiting calls.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Calls that run.
    pub running: usize,
    /// Long calls that wait for a permit.
    pub waiting: usize,
}

impl Admission {
    pub(super) fn new(limits: &CallLimits, threads: usize) -> Admission {
        // At most half of the instances, so that short calls leave permits for long ones.
        let short = PerThread::new(threads.min(limits.instances / 2));
        let long = limits.instances - short.count();
        Admission {
            short,
            short_queue: Semaphore::new(limits.queue),
            long: Permits::new(long, limits.queue, limits.fair_share),
            candidates: Permits::new(INSTANCES_SPARE, INSTANCES_SPARE, false),
            turns: Semaphore::new(threads),
            queue: limits.queue,
            queue_timeout: limits.queue_timeout,
        }
    }

    /// Returns the right to make one short call, if that needs no waiting. Takes the
    /// slot of this thread, else of another thread, else a permit for long calls.
    pub(super) fn begin_short(&self) -> Option<Short<'_>> {
        let places = self.short.own().into_iter().chain(self.short.all());
        if let Some(place) = places.into_iter().find(|place| !place.swap(true, Relaxed)) {
            return Some(Short { own: Some(place), _other: None });
        }
        Some(Short { own: None, _other: Some(self.long.try_acquire(None)?) })
    }

    /// Waits for the right to make one short call. A call waits only if there are more
    /// threads than slots for short calls.
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
            sleep(SHORT_RETRY).await;
        }
    }

    /// Returns a permit for a long call if one is free.
    pub(super) fn try_begin_long(&self, client: Option<ClientNet>) -> Option<Permit> {
        self.long.try_acquire(client)
    }

    /// Waits for a permit for a long call.
    pub(super) async fn begin_long(&self, client: Option<ClientNet>) -> Result<Permit, CallError> {
        self.long.acquire(client, self.queue_timeout).await.ok_or_else(|| self.busy())
    }

    /// Waits for the right to try a candidate.
    pub(super) async fn begin_candidate(&self) -> Result<Permit, CallError> {
        self.candidates.acquire(None, self.queue_timeout).await.ok_or_else(|| self.busy())
    }

    /// Runs a long call, taking turns with the others: each time the call yields, the
    /// turn passes to the call that has waited longest.
    pub(super) async fn in_turns<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            let turn = self.turns.acquire().await;
            // The first yield lets the thread poll its sockets, the second lets it answer
            // what has arrived.
            yield_now().await;
            yield_now().await;
            let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            if let Poll::Ready(result) = polled {
                return result;
            }
            drop(turn);
        }
    }

    /// Returns whether any call runs, a candidate's included.
    pub(super) fn is_busy(&self) -> bool {
        self.running() > 0 || self.candidates.taken() > 0
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

/// Returns the number of serving threads: the workers of the current runtime, or the
/// number of cores outside of a runtime.
pub(super) fn serving_threads() -> usize {
    match Handle::try_current() {
        Ok(runtime) => runtime.metrics().num_workers(),
        Err(_) => thread::available_parallelism().map_or(1, usize::from),
    }
}
