//! End of the server, shared by everything that serves.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::Notify;

/// New connections go to another process. A connection ends with its next response.
const LEAVING: u8 = 1;
/// Idle connections are closed.
const CLOSING: u8 = 2;

/// How far the end of the server has come. It is never undone.
#[derive(Default)]
pub struct Ending {
    stage: AtomicU8,
    /// Whether another process accepts connections.
    has_left: AtomicBool,
    waiting: Notify,
}

impl Ending {
    /// Lets each connection end with its next response, because another process accepts new ones.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::SeqCst);
        self.enter(LEAVING);
    }

    /// Lets each connection end with its next response, and idle ones at once.
    pub fn close(&self) {
        self.enter(CLOSING);
    }

    fn enter(&self, stage: u8) {
        self.stage.fetch_max(stage, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Returns whether the end has begun.
    pub fn has_begun(&self) -> bool {
        self.stage.load(Ordering::Relaxed) >= LEAVING
    }

    /// Returns whether another process accepts connections.
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    /// Waits until the end begins.
    pub async fn begun(&self) {
        self.until(LEAVING).await;
    }

    /// Waits until idle connections are to be closed.
    pub async fn closing(&self) {
        self.until(CLOSING).await;
    }

    async fn until(&self, stage: u8) {
        loop {
            let mut notified = pin!(self.waiting.notified());
            // Registered before the check, so that a notification between the two is
            // not missed.
            notified.as_mut().enable();
            if self.stage.load(Ordering::SeqCst) >= stage {
                return;
            }
            notified.await;
        }
    }
}
