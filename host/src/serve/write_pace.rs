//! Measures how fast a client reads its response, and fails if the client is too slow.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Maximum interval between write attempts to a slow client. Attempts do not wait for the kernel to
/// report the socket as writable: that needs half of its buffer to be free, and a slow client can
/// take minutes to read so much.
const RETRY: Duration = Duration::from_secs(1);

/// Limits on how slowly a client may read.
#[derive(Clone, Copy, Debug)]
pub struct WriteBounds {
    /// Maximum time for which a client may read nothing.
    pub timeout: Duration,
    /// Minimum rate at which a client has to read, in bytes per second.
    pub rate_min: usize,
    /// Time over which the rate is averaged.
    pub window: Duration,
}

/// Progress of a client since a write to it first blocked.
pub struct WritePace {
    bounds: WriteBounds,
    progress: Instant,
    window_began: Instant,
    taken_in: usize,
    next_try: Pin<Box<Sleep>>,
}

impl WritePace {
    /// Starts to measure at `now`, when a write first blocked.
    pub fn new(bounds: WriteBounds, now: Instant) -> WritePace {
        let next_try = Box::pin(sleep(bounds.between_tries()));
        WritePace { bounds, progress: now, window_began: now, taken_in: 0, next_try }
    }

    /// Waits until the next write attempt is due.
    pub fn poll_next_try(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.next_try.as_mut().poll(cx)
    }

    /// Records the number of bytes that a write attempt sent, which may be 0, and checks
    /// the limits.
    ///
    /// # Errors
    ///
    /// When the client has read nothing, or too little, for too long.
    pub fn took_in(&mut self, bytes: usize, now: Instant) -> io::Result<()> {
        let WriteBounds { timeout, rate_min, window } = self.bounds;
        self.next_try.as_mut().reset(now + self.bounds.between_tries());
        self.taken_in += bytes;
        if bytes > 0 {
            self.progress = now;
        } else if now >= self.progress + timeout {
            return Err(too_slow("read nothing for too long (--write-timeout)"));
        }
        if now >= self.window_began + window {
            let seconds = now.saturating_duration_since(self.window_began).as_secs_f64();
            if (self.taken_in as f64) < rate_min as f64 * seconds {
                return Err(too_slow("read too few bytes per second (--write-rate-min, --rate-window)"));
            }
            (self.window_began, self.taken_in) = (now, 0);
        }
        Ok(())
    }
}

impl WriteBounds {
    fn between_tries(&self) -> Duration {
        RETRY.min(self.timeout / 4).min(self.window / 4)
    }
}

/// Returns the error that ends the connection of a slow client. `what` follows the words "the
/// client" in the message.
pub fn too_slow(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the client {what}"))
}

#[cfg(test)]
mod tests {
    use super::{WriteBounds, WritePace};
    use std::time::Duration;
    use tokio::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: WriteBounds =
        WriteBounds { timeout: Duration::from_secs(30), rate_min: 100, window: Duration::from_secs(10) };

    /// Simulates a client that reads `bytes(second)` bytes in each second. Returns the second in
    /// which the connection ends, and the error; [`None`] if the connection does not end.
    fn given_up(bytes: impl Fn(u32) -> usize) -> Option<(u32, String)> {
        let began = Instant::now();
        let mut pace = WritePace::new(BOUNDS, began);
        (1..100).find_map(|second| {
            let error = pace.took_in(bytes(second), began + second * SECOND).err()?;
            Some((second, error.to_string()))
        })
    }

    #[tokio::test]
    async fn a_client_that_takes_in_enough_on_average_has_all_the_time_it_needs() {
        assert_eq!(given_up(|_| 100), None);
        assert_eq!(given_up(|second| if second % 10 == 3 { 1000 } else { 0 }), None);
    }

    #[tokio::test]
    async fn a_client_that_takes_in_too_little_is_given_up_after_the_window() {
        let (second, why) = given_up(|_| 99).unwrap();
        assert!(second == 10 && why.contains("--write-rate-min"), "{second} {why}");
        let (second, why) = given_up(|second| if second == 1 { 1 << 20 } else { 99 }).unwrap();
        assert!(second == 20 && why.contains("--write-rate-min"), "{second} {why}");
    }

    #[tokio::test]
    async fn a_client_that_takes_in_nothing_is_given_up_after_the_timeout() {
        let began = Instant::now();
        let mut pace = WritePace::new(WriteBounds { rate_min: 0, ..BOUNDS }, began);
        pace.took_in(1, began + SECOND).unwrap();
        pace.took_in(0, began + 30 * SECOND).unwrap();
        let why = pace.took_in(0, began + 31 * SECOND).unwrap_err().to_string();
        assert!(why.contains("--write-timeout"), "{why}");
    }
}
