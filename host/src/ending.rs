//! Tells everybody that the server is about to end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the server is about to end. It begins once, and is never taken back.
#[derive(Default)]
pub struct Ending {
    begun: AtomicBool,
    waiting: Notify,
}

impl Ending {
    /// From now on.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Whether it is so.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Waits until it is so.
    pub async fn begun(&self) {
        let mut notified = pin!(self.waiting.notified());
        // Registered before the look, so that nothing falls between the two.
        notified.as_mut().enable();
        if !self.begun.load(Ordering::SeqCst) {
            notified.await;
        }
    }

    /// Does the work of a whole task, which is woken once when the server is
    /// about to end, so that it can look at `has_begun`. It costs the work
    /// nothing: a select would look at both each time that either of them moves.
    pub async fn wakes<F: Future + ?Sized>(&self, mut work: Pin<&mut F>) -> F::Output {
        let mut begun = pin!(self.begun());
        let mut registered = false;
        poll_fn(|cx| {
            if !registered {
                registered = true;
                // The waker is the task's, and stays the same. Whether it has
                // begun already the work sees by itself.
                let _ = begun.as_mut().poll(cx);
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}
