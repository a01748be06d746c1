//! What is known of a domain between two orders.

use std::time::{Duration, Instant, SystemTime};

use crate::acme::failure::Way;

/// What is known of a domain between two orders.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) failures: u32,
    /// Before, no order is tried again.
    pub(super) wait: Option<Instant>,
    /// Before, the authority does not want to be asked.
    pub(super) come_back: Option<SystemTime>,
    /// Way that has worked last.
    pub(super) way: Option<Way>,
}

impl Plan {
    /// Returns how long the authority does not want to be asked.
    pub(super) fn wanted_after(&self, now: SystemTime) -> Duration {
        self.come_back.and_then(|time| time.duration_since(now).ok()).unwrap_or_default()
    }

    /// Lets what has failed be tried again, as soon as the authority wants to be asked.
    pub(super) fn try_again(&mut self) {
        let left = self.wanted_after(SystemTime::now());
        self.wait = (!left.is_zero()).then(|| Instant::now() + left);
    }
}
