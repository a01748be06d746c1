//! What stops a call that takes too long, and makes a long one give way.
//!
//! A thread moves the engine's epoch on every few milliseconds while there are
//! calls. A call that is still running then is asked: past its deadline it
//! ends, before it yields to the other requests of its thread. Short calls,
//! which are nearly all, never see a tick and pay for none of this: they run on
//! the stack of the thread that serves, and only what turns out to take long is
//! made again on a stack of its own, from where it can yield.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use wasmtime::{EngineWeak, Store, UpdateDeadline};

use super::admission::Admission;
use super::failure::CallError;
use super::instance::CallState;
use crate::health;

/// Half of the longest that a call holds a serving thread at a time.
const TICK: Duration = Duration::from_millis(2);

/// Ticks in a row that find no call running, after which the thread sleeps. A
/// tenth of a second: a busy server never gets there, an idle one soon does.
const IDLE_TICKS: u32 = 50;

/// How long the thread sleeps when nobody wakes it. It is woken by a call; this
/// bounds how late the first tick can be when that races with falling asleep.
const SLEEP: Duration = Duration::from_millis(100);

/// The call ran into its deadline.
#[derive(Debug, Error)]
#[error("passed its deadline")]
pub(super) struct DeadlinePassed;

/// The call takes long, and cannot give way where it runs.
#[derive(Debug, Error)]
#[error("takes long")]
pub(super) struct TakesLong;

/// What a call does when a tick finds it running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtTick {
    /// It goes on: it may have begun just before the tick.
    GoOn,
    /// It ends, to be made again where it can give way, unless its thread has hardly
    /// run since it had used this much time: then something else was running.
    End(Duration),
    /// It gives way to the other requests of its thread.
    GiveWay,
    /// The same for a call that has given way before.
    GiveWayAgain,
}

/// The least time that a thread has run between two ticks if nothing else did.
const RUN: Duration = Duration::from_millis(1);

/// Arms a store that was armed before, for another call.
pub(super) fn rearm(store: &mut Store<CallState>) {
    store.set_epoch_deadline(1);
}

/// Arms a store, whose state says when its deadline is.
pub(super) fn arm(store: &mut Store<CallState>) {
    rearm(store);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        if Instant::now() >= state.deadline {
            return Err(DeadlinePassed.into());
        }
        match state.at_tick {
            AtTick::GoOn => {
                state.at_tick = AtTick::End(thread_time());
                Ok(UpdateDeadline::Continue(1))
            }
            AtTick::End(since) if thread_time().saturating_sub(since) < RUN => {
                Ok(UpdateDeadline::Continue(1))
            }
            AtTick::End(_) => Err(TakesLong.into()),
            // Not wasmtime's plain yield: the task is to wait until the thread has
            // looked at its sockets, or a few endless calls would keep it from them.
            AtTick::GiveWay | AtTick::GiveWayAgain => {
                state.at_tick = AtTick::GiveWayAgain;
                Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
            }
        }
    });
}

/// Whether a call is in time still, after the host has worked for it.
pub(super) fn check(store: &Store<CallState>) -> Result<(), CallError> {
    if Instant::now() < store.data().deadline { Ok(()) } else { Err(CallError::Deadline) }
}

/// Returns for how long this thread has run on a core.
fn thread_time() -> Duration {
    // CPU time is never negative. If it were, the call would run on to its deadline.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The thread that moves the epoch on. It ends when the engine is dropped.
pub(super) struct Ticker {
    thread: Thread,
    asleep: Arc<AtomicBool>,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engine: EngineWeak, admission: Arc<Admission>) -> io::Result<Ticker> {
        let asleep = Arc::new(AtomicBool::new(false));
        let its_asleep = Arc::clone(&asleep);
        let thread = health::keep_running("epoch", move || {
            let mut idle_ticks = 0;
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                let busy = admission.is_busy();
                idle_ticks = if busy { 0 } else { idle_ticks + 1 };
                if idle_ticks < IDLE_TICKS {
                    thread::sleep(TICK);
                } else {
                    its_asleep.store(true, Relaxed);
                    thread::park_timeout(SLEEP);
                    its_asleep.store(false, Relaxed);
                    // One more look before the next sleep: whoever woke it may
                    // not be there yet, or be gone already.
                    idle_ticks = IDLE_TICKS - 1;
                }
            }
        })?;
        Ok(Ticker { thread, asleep })
    }

    /// Says that a call begins.
    pub(super) fn wake(&self) {
        if self.asleep.load(Relaxed) {
            self.thread.unpark();
        }
    }
}
