//! Shutdown signal of the server, shared by listeners and connections.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::sync::Notify;

/// Stage in which another process accepts new connections, and each connection of this process ends
/// after its next response.
const LEAVING: u8 = 1;
/// Stage in which idle connections are closed, and the others end after their next response.
const CLOSING: u8 = 2;

/// Shutdown signal: the stage of the shutdown, which only advances.
#[derive(Default)]
pub struct Ending {
    stage: AtomicU8,
    /// Whether another process accepts new connections.
    has_left: AtomicBool,
    waiting: Notify,
}

impl Ending {
    /// Begins to drain, because another process accepts new connections: each connection ends after
    /// its next response.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::SeqCst);
        self.enter(LEAVING);
    }

    /// Begins to shut down: idle connections end immediately, and the others after their next
    /// response.
    pub fn close(&self) {
        self.enter(CLOSING);
    }

    fn enter(&self, stage: u8) {
        self.stage.fetch_max(stage, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Returns whether the server has begun to shut down, or to drain for another process.
    pub fn has_begun(&self) -> bool {
        self.stage.load(Ordering::Relaxed) >= LEAVING
    }

    /// Returns whether another process accepts new connections.
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    /// Waits until the server begins to shut down, or to drain for another process.
    pub async fn begun(&self) {
        self.until(LEAVING).await;
    }

    /// Waits until idle connections have to be closed.
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
