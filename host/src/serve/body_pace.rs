//! Measures how fast a body arrives, and fails if it is too slow.

use tokio::time::Instant;

use crate::config::connection::ConnectionLimits;
use crate::fault::BodyTooSlow;

/// Progress of a body, checked against the limits on time and rate.
pub(super) struct Pace<'a> {
    limits: &'a ConnectionLimits,
    began: Instant,
    last_piece: Instant,
    window_began: Instant,
    in_window: usize,
}

impl Pace<'_> {
    /// Starts to measure a body whose first bytes are expected from `now` on.
    pub(super) fn new(limits: &ConnectionLimits, now: Instant) -> Pace<'_> {
        Pace { limits, began: now, last_piece: now, window_began: now, in_window: 0 }
    }

    /// Returns the time at which to check the limits next, even if nothing arrives until
    /// then: the earliest end of `body_timeout`, `body_time_max` and `rate_window`.
    pub(super) fn next_look(&self) -> Instant {
        let ConnectionLimits { body_timeout, body_time_max, rate_window, .. } = *self.limits;
        let first = (self.last_piece + body_timeout).min(self.began + body_time_max);
        first.min(self.window_began + rate_window)
    }

    /// Records the number of bytes received, which may be 0, and checks the limits.
    pub(super) fn came(&mut self, bytes: usize, now: Instant) -> Result<(), BodyTooSlow> {
        let ConnectionLimits { body_timeout, body_time_max, body_rate_min: rate, rate_window, .. } =
            *self.limits;
        if now >= self.began + body_time_max {
            return Err(BodyTooSlow::Whole);
        }
        if bytes == 0 && now >= self.last_piece + body_timeout {
            return Err(BodyTooSlow::Piece);
        }
        if bytes > 0 {
            self.last_piece = now;
        }
        self.in_window += bytes;
        if now >= self.window_began + rate_window {
            let seconds = now.saturating_duration_since(self.window_began).as_secs_f64();
            if (self.in_window as f64) < rate as f64 * seconds {
                return Err(BodyTooSlow::Rate { rate });
            }
            (self.window_began, self.in_window) = (now, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BodyTooSlow, Pace};
    use crate::cli::args::Args;
    use crate::config::connection::ConnectionLimits;
    use clap::Parser;
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ConnectionLimits {
        Args::parse_from(["host", "--body-rate-min", "100", "--body-time-max", "1min"])
            .serve
            .limits
            .connection
    }

    /// Simulates a body of which `bytes(second)` bytes arrive in each second. Returns the second in
    /// which the server gives up on it, and the reason.
    fn given_up(bytes: impl Fn(u32) -> usize) -> (u32, BodyTooSlow) {
        let (limits, began) = (limits(), Instant::now());
        let mut pace = Pace::new(&limits, began);
        let mut seconds = (1..).map(|second| (second, pace.came(bytes(second), began + second * SECOND)));
        seconds.find_map(|(second, came)| Some((second, came.err()?))).unwrap()
    }

    #[test]
    fn a_body_is_given_up_when_nothing_comes_or_little_or_it_has_no_end() {
        assert!(matches!(given_up(|second| 10_000 * usize::from(second < 4)), (13, BodyTooSlow::Piece)));
        assert!(matches!(given_up(|_| 99), (10, BodyTooSlow::Rate { rate: 100 })));
        assert!(matches!(
            given_up(|second| 10_000 * usize::from(second < 3) + 99),
            (20, BodyTooSlow::Rate { .. })
        ));
        assert!(matches!(given_up(|_| 100), (60, BodyTooSlow::Whole)));
    }
}
