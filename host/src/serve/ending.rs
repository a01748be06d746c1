//! Tells everybody that the server is about to end.

use std::pin::pin;
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
}
