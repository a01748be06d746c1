//! Limits the number of calls that run at once to `--instances`. Some of these instances are
//! reserved for short calls, of which each serving thread runs one at a time. A long call needs a
//! permit. Long calls take turns, so that a thread polls its sockets between them.

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
use crate::permits::{Bounds, Permit, Permits, Share};

/// Number of instances beyond `--instances`. Candidates for the next version run in them, even
/// while requests use all others.
pub const INSTANCES_SPARE: usize = 2;

/// Maximum number of calls of one site's candidates that wait for an instance.
pub const CANDIDATES_QUEUE: usize = 64;

/// Time that a call of a candidate waits for an instance, in addition to two deadlines: calls of
/// other candidates may use all [`INSTANCES_SPARE`] instances, and the machine may be busy.
const CANDIDATE_WAIT: Duration = Duration::from_secs(10);

/// Interval at which a waiting short call checks for a free slot. A short call takes a microsecond
/// to some milliseconds.
const SHORT_RETRY: Duration = Duration::from_millis(1);

/// Permits that all sites of a server share.
pub(super) struct Common {
    /// Slot of each serving thread for a short call: whether the slot is in use. With a slot of its
    /// own, a thread does not wait for the short calls of other threads.
    short: PerThread<AtomicBool>,
    long: Arc<Permits>,
    candidates: Arc<Permits>,
    turns: Arc<Permits>,
}

/// The permits of one site for short and long calls and for candidates, with their queues.
pub(super) struct Admission {
    common: Arc<Common>,
    short_queue: Semaphore,
    long: Share,
    candidates: Share,
    turns: Share,
    queue_timeout: Duration,
    candidate_timeout: Duration,
}

/// Right to make one short call, which blocks its thread. Dropping it frees the slot or permit.
pub(super) struct Short<'a> {
    own: Option<&'a AtomicBool>,
    _other: Option<Permit>,
}

/// Numbers of running and waiting calls.
#[derive(Clone, Copy, Debug)]
pub struct Calls {
    /// Number of running calls.
    pub running: usize,
    /// Number of long calls that wait for a permit.
    pub waiting: usize,
}

impl Common {
    /// Creates the permits of a server with these limits.
    pub(super) fn new(limits: &CallLimits, threads: usize) -> Arc<Common> {
        // At most half of the instances, so that short calls leave permits for long ones.
        let short = PerThread::new(threads.min(limits.instances / 2));
        let long = Permits::new(limits.instances - short.count(), true);
        let (candidates, turns) = (Permits::new(INSTANCES_SPARE, true), Permits::new(threads, false));
        Arc::new(Common { short, long, candidates, turns })
    }

    /// Returns whether any call runs, including the calls of candidates.
    pub(super) fn is_busy(&self) -> bool {
        self.long.taken() > 0 || self.short_running() > 0 || self.candidates.taken() > 0
    }

    /// Returns the numbers of running and waiting calls of all sites, without the calls of
    /// candidates.
    pub(super) fn calls(&self) -> Calls {
        Calls { running: self.long.taken() + self.short_running(), waiting: self.long.waiting() }
    }

    fn short_running(&self) -> usize {
        self.short.all().filter(|runs| runs.load(Relaxed)).count()
    }
}

impl Admission {
    /// Creates the permits of one site.
    pub(super) fn new(common: &Arc<Common>, limits: &CallLimits) -> Admission {
        let max = limits.instances.min(common.long.max());
        let bounds = Bounds { max, queue: limits.queue, fair: limits.fair_share };
        let for_candidates = Bounds { max: INSTANCES_SPARE, queue: CANDIDATES_QUEUE, fair: false };
        let for_turns = Bounds { max: usize::MAX, queue: usize::MAX, fair: false };
        Admission {
            common: Arc::clone(common),
            short_queue: Semaphore::new(limits.queue),
            long: common.long.share(bounds),
            candidates: common.candidates.share(for_candidates),
            turns: common.turns.share(for_turns),
            queue_timeout: limits.queue_timeout,
            candidate_timeout: limits.deadline.saturating_mul(2).saturating_add(CANDIDATE_WAIT),
        }
    }

    /// Returns the right to make one short call; [`None`] if the call would have to wait. Takes the
    /// slot of this thread, or else that of another thread, or else a permit for a long call.
    pub(super) fn begin_short(&self) -> Option<Short<'_>> {
        let short = &self.common.short;
        let places = short.own().into_iter().chain(short.all());
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

    /// Waits for a permit to call a candidate.
    pub(super) async fn begin_candidate(&self) -> Result<Permit, CallError> {
        let waited = self.candidate_timeout;
        let permit = self.candidates.acquire(None, waited).await;
        permit.ok_or(CallError::CandidatesBusy { max: INSTANCES_SPARE, waited })
    }

    /// Runs a long call in turns with the other long calls. Each time the call yields, the turn
    /// passes to the next site, and there to the call that has waited longest.
    pub(super) async fn in_turns<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        loop {
            let turn = self.turns.acquire_at_last().await;
            let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
            if let Poll::Ready(result) = polled {
                return result;
            }
            drop(turn);
            // Until the call is woken, because a turn that is free would be taken again at once: a
            // call that yields is woken when the other calls of the thread have run, and one that
            // waits when it can go on.
            woken().await;
        }
    }

    /// Returns the numbers of running and waiting long calls of the site.
    pub(super) fn long_calls(&self) -> Calls {
        Calls { running: self.long.taken(), waiting: self.long.waiting() }
    }

    fn busy(&self) -> CallError {
        let Bounds { max, queue, .. } = self.long.bounds();
        CallError::Busy { calls: max, queue }
    }
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        if let Some(runs) = self.own {
            runs.store(false, Relaxed);
        }
    }
}

/// Waits until the task is woken.
async fn woken() {
    let mut is_first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) })
        .await;
}

/// Returns the number of serving threads: the workers of the current runtime, or the
/// number of cores outside of a runtime.
pub(super) fn serving_threads() -> usize {
    match Handle::try_current() {
        Ok(runtime) => runtime.metrics().num_workers(),
        Err(_) => thread::available_parallelism().map_or(1, usize::from),
    }
}
