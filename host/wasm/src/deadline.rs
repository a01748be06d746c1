//! Ends calls past their deadline, and makes long calls yield.
//!
//! While calls run, a ticker thread increments the engine's epoch every 2 ms. A call
//! that runs at a tick enters a callback, which ends the call if it is past its deadline,
//! and otherwise makes it yield to the other requests of its thread.
//!
//! Nearly all calls are shorter than a tick and never enter the callback. They run on
//! the stack of the serving thread, which cannot yield. A call that turns out to take
//! long is stopped and repeated on a fiber.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use wasmtime::{EngineWeak, Store, UpdateDeadline};

use crate::admission::Common;
use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::health;

/// Interval between ticks of the epoch. A call holds a serving thread for at most two intervals at
/// a time, or longer if other threads use its core.
const TICK: Duration = Duration::from_millis(2);

/// Number of consecutive ticks without a running call after which the ticker thread sleeps: 0.1 s.
/// A busy server never reaches this number; an idle one soon does.
const IDLE_TICKS: u32 = 50;

/// Maximum sleep of the ticker thread. A call that begins wakes the thread. If the thread misses
/// that because it is just falling asleep, this bounds the delay of the first tick.
const SLEEP: Duration = Duration::from_millis(100);

/// The error of a call that reached its deadline.
#[derive(Debug, Error)]
#[error("passed its deadline")]
pub(super) struct DeadlinePassed {
    /// Maximum duration of the call (`--deadline`).
    pub(super) limit: Duration,
}

/// The error of a call that is stopped because it takes long on the thread's stack, where it cannot
/// yield.
#[derive(Debug, Error)]
#[error("takes long")]
pub(super) struct TakesLong;

/// Minimum CPU time, counted from a call's first tick, after which a later tick stops the call on
/// the thread's stack. A thread uses more between two ticks, unless others use its core.
const RUN_MIN: Duration = Duration::from_millis(1);

/// Makes the next tick of the epoch run the callback of a store.
pub(super) fn rearm(store: &mut Store<CallState>) {
    store.set_epoch_deadline(1);
}

/// Installs the callback of a new store. The callback ends a call that is past its deadline.
/// Otherwise it makes a call on a fiber yield, and stops a call on the thread's stack if the call
/// takes long.
pub(super) fn arm(store: &mut Store<CallState>) {
    rearm(store);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        if Instant::now() >= state.deadline {
            return Err(DeadlinePassed { limit: state.deadline_limit }.into());
        }
        state.ticks = state.ticks.saturating_add(1);
        let now = thread_time();
        let ran = now.saturating_sub(*state.first_tick.get_or_insert(now));
        match state.on_fiber {
            // Not wasmtime's plain yield: tokio's makes the task wait until the thread has
            // polled its sockets. Otherwise a few endless calls would prevent the polling.
            true => Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))),
            // The call may have begun just before its first tick, and since then other threads
            // may have used the core. So it need not be long.
            false if ran < RUN_MIN => Ok(UpdateDeadline::Continue(1)),
            false => Err(TakesLong.into()),
        }
    });
}

/// Fails if the call is past its deadline. Called after the host's own work for a call.
pub(super) fn check(store: &Store<CallState>) -> Result<(), CallError> {
    let CallState { deadline, deadline_limit, .. } = *store.data();
    let late = CallError::Deadline { limit: deadline_limit, frames: Vec::new() };
    if Instant::now() < deadline { Ok(()) } else { Err(late) }
}

/// Returns the CPU time of the current thread.
fn thread_time() -> Duration {
    // CPU time is never negative. If it were, the call would run on to its deadline.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The thread that increments the epoch. It ends when the engine is dropped.
pub(super) struct Ticker {
    thread: Thread,
    asleep: Arc<AtomicBool>,
}

impl Ticker {
    /// Starts the ticker thread of an engine, with this thread name.
    pub(super) fn start(name: &'static str, engine: EngineWeak, common: Arc<Common>) -> io::Result<Ticker> {
        let asleep = Arc::new(AtomicBool::new(false));
        let its_asleep = Arc::clone(&asleep);
        let thread = health::keep_running(name, move || {
            let mut idle_ticks = 0;
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                let busy = common.is_busy();
                idle_ticks = if busy { 0 } else { idle_ticks + 1 };
                if idle_ticks < IDLE_TICKS {
                    thread::sleep(TICK);
                } else {
                    its_asleep.store(true, Relaxed);
                    thread::park_timeout(SLEEP);
                    its_asleep.store(false, Relaxed);
                    // Ticks once more before the next sleep: the call that woke the
                    // ticker may not count as running yet, or have finished.
                    idle_ticks = IDLE_TICKS - 1;
                }
            }
        })?;
        Ok(Ticker { thread, asleep })
    }

    /// Wakes the ticker if it sleeps, because a call begins.
    pub(super) fn wake(&self) {
        if self.asleep.load(Relaxed) {
            self.thread.unpark();
        }
    }
}
