//! Shutdown signal, shared by everything that serves.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether shutdown has begun. It begins once and is never undone.
#[derive(Default)]
pub struct Ending {
    begun: AtomicBool,
    waiting: Notify,
}

impl Ending {
    /// Begins the shutdown and wakes all waiters.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Returns whether shutdown has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Waits until shutdown begins.
    pub async fn begun(&self) {
        let mut notified = pin!(self.waiting.notified());
        // Registered before the check, so that a notification between the two is
        // not missed.
        notified.as_mut().enable();
        if !self.begun.load(Ordering::SeqCst) {
            notified.await;
        }
    }
}
