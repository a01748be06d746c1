//! Wakes the task of a connection. If a wake arrives while the task runs, the task polls again
//! before it returns, instead of being scheduled a second time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Waker that a task passes to the futures that it polls.
#[derive(Default)]
pub(super) struct Nudge {
    task: AtomicWaker,
    is_running: AtomicBool,
    is_due: AtomicBool,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order: `poll` looks at the first after it has cleared the second.
        self.is_due.store(true, SeqCst);
        if !self.is_running.load(SeqCst) {
            self.task.wake();
        }
    }
}

impl Nudge {
    /// Calls `poll` until it is ready, or until nothing has woken `waker` during the call. `waker`
    /// must be a waker of this [`Nudge`].
    pub(super) fn poll<T>(
        &self,
        waker: &Waker,
        task: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.task.register(task.waker());
        let mut parts = Context::from_waker(waker);
        loop {
            self.is_running.store(true, SeqCst);
            self.is_due.store(false, SeqCst);
            let polled = poll(&mut parts);
            self.is_running.store(false, SeqCst);
            if polled.is_ready() || !self.is_due.load(SeqCst) {
                return polled;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Nudge;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll, Wake, Waker};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_wake_is_never_lost_and_runs_the_task_once() {
        let (nudge, count) = (Arc::new(Nudge::default()), Arc::new(Count::default()));
        let (waker, task) = (Waker::from(Arc::clone(&nudge)), Waker::from(Arc::clone(&count)));
        let mut runs = 0;
        let polled = nudge.poll(&waker, &Context::from_waker(&task), |cx| {
            runs += 1;
            if runs < 3 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((runs, count.0.load(SeqCst)), (3, 0));
        waker.wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(nudge.poll(&waker, &Context::from_waker(&task), |_| Poll::Ready(())).is_ready());
    }
}
