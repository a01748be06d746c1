//! Detects that a connection is idle, without reading the clock for each request.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

/// Detector that checks at regular intervals whether a connection was active.
pub struct Look {
    /// Time between two checks.
    interval: Duration,
    /// Timer of the next check.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the connection was active since the last check; set by the owner.
    pub busy: bool,
}

impl Look {
    /// Creates a detector; its timer starts at the first poll.
    pub fn new(interval: Duration) -> Look {
        Look { interval, timer: None, busy: false }
    }

    /// Waits until the connection was idle for a whole interval. Returns the start of that
    /// interval.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            // Skips polling the timer: an earlier poll has armed it to wake this task.
            if self.busy && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
                return Poll::Pending;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
            // Polls outside of the task's cooperative budget: with the budget used up, a
            // poll would not arm the timer, and the check above relies on an armed one.
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
            if !std::mem::take(&mut self.busy) {
                return Poll::Ready(timer.deadline() - self.interval);
            }
            timer.as_mut().reset(Instant::now() + self.interval);
        }
    }
}
