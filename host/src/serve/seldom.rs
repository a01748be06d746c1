//! Bounds how often a log line is written that clients can cause.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between two log lines of one kind.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Bound on the log lines of one kind: at most one in `SAY_AGAIN`.
pub(super) struct Seldom(Mutex<State>);

struct State {
    said: Option<Instant>,
    /// Number of lines that were left out since the last one.
    left_out: u64,
}

impl Seldom {
    /// Creates a bound for one kind of log line.
    pub(super) const fn new() -> Seldom {
        Seldom(Mutex::new(State { said: None, left_out: 0 }))
    }

    /// Returns the number of lines that were left out since the last one, if a line may be written
    /// now; otherwise counts the line as left out.
    pub(super) fn turn(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            state.left_out += 1;
            return None;
        }
        state.said = Some(Instant::now());
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::Seldom;

    #[test]
    fn a_second_line_within_the_time_is_left_out() {
        let seldom = Seldom::new();
        assert_eq!(seldom.turn(), Some(0));
        assert_eq!((seldom.turn(), seldom.turn()), (None, None));
    }
}
