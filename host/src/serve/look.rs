//! Detects that a connection is idle.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

/// Checks at intervals whether there was activity, so that the clock is not read
/// for each request.
pub struct Look {
    /// Time between two checks.
    interval: Duration,
    /// Timer of the next check.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether there was activity since the last check.
    pub busy: bool,
}

impl Look {
    /// Creates a detector; its timer starts at the first poll.
    pub fn new(interval: Duration) -> Look {
        Look { interval, timer: None, busy: false }
    }

    /// Waits until there was no activity for a whole interval. Returns a time since
    /// which the connection has been idle.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            // The timer was polled before and will wake this task.
            if self.busy && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
                return Poll::Pending;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
            // Polled outside of the task's cooperative budget: a timer that is not
            // polled is not armed.
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
            if !std::mem::take(&mut self.busy) {
                return Poll::Ready(timer.deadline() - self.interval);
            }
            timer.as_mut().reset(Instant::now() + self.interval);
        }
    }
}
