//! Notices that a connection is idle.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

/// Looks at intervals whether anything came: so the clock is not asked for each
/// request.
pub struct Look {
    /// From one look to the next.
    interval: Duration,
    /// Runs from one look to the next.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether anything came since the last look.
    pub busy: bool,
}

impl Look {
    /// Begins to look.
    pub fn new(interval: Duration) -> Look {
        Look { interval, timer: None, busy: false }
    }

    /// Waits until nothing has come for some time. Tells since when at least.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            // It was asked before, and will wake this task.
            if self.busy && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
                return Poll::Pending;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
            // Whatever the task has done before: a timer that was not asked is not armed.
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
            if !std::mem::take(&mut self.busy) {
                return Poll::Ready(timer.deadline() - self.interval);
            }
            timer.as_mut().reset(Instant::now() + self.interval);
        }
    }
}
