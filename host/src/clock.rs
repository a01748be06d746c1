//! Reads the monotonic clock and the system clock, and formats times as RFC 3339. Times from a
//! wrong clock or a file are clamped, because the formatter accepts the years 1970 to 9999 only.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use humantime::{Rfc3339Timestamp, format_rfc3339_micros, format_rfc3339_seconds};

/// Time from 1970 to the last second of the year 9999.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Age from which a thread no longer uses its last reading of the system clock, because the clock
/// may have been set in the meantime.
const LOOK: Duration = Duration::from_millis(10);

thread_local! {
    /// Monotonic time and system time when this thread last read the system clock.
    static LOOKED: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

/// Returns the monotonic time and the system time. To save time in each request, reads the system
/// clock only if the last reading of this thread is at least 10 ms old, and otherwise computes the
/// time from it.
pub fn both() -> (Instant, SystemTime) {
    let now = Instant::now();
    if let Some((then, time)) = LOOKED.get() {
        let since = now.saturating_duration_since(then);
        if let Some(time) = time.checked_add(since).filter(|_| since < LOOK) {
            return (now, time);
        }
    }
    let time = SystemTime::now();
    LOOKED.set(Some((now, time)));
    (now, time)
}

/// Clamps a time to the years 1970 to 9999, which can be formatted.
pub fn showable(time: SystemTime) -> SystemTime {
    // On a target where the sum overflows, every time is before the year 10,000.
    let last = SystemTime::UNIX_EPOCH.checked_add(LAST).unwrap_or(time);
    time.clamp(SystemTime::UNIX_EPOCH, last.max(SystemTime::UNIX_EPOCH))
}

/// Formats a time in UTC, to the second.
pub fn seconds(time: SystemTime) -> Rfc3339Timestamp {
    format_rfc3339_seconds(showable(time))
}

/// Formats a time in UTC, to the microsecond.
pub fn micros(time: SystemTime) -> Rfc3339Timestamp {
    format_rfc3339_micros(showable(time))
}

#[cfg(test)]
mod tests {
    use super::{LOOK, both, micros, seconds, showable};
    use std::time::{Duration, Instant, SystemTime};

    #[test]
    fn both_clocks_are_counted_on_together() {
        let (begun, end) = (Instant::now(), Instant::now() + 3 * LOOK);
        let mut before = both();
        while Instant::now() < end {
            let (now, time) = both();
            assert!(now >= before.0 && now >= begun);
            // The test may lose the processor between the two clocks.
            let apart = time.duration_since(SystemTime::now()).unwrap_or_else(|error| error.duration());
            assert!(apart < Duration::from_secs(60), "{apart:?}");
            before = (now, time);
        }
    }

    #[test]
    fn a_clock_outside_1970_to_9999_is_shown_as_the_nearest_time() {
        let epoch = SystemTime::UNIX_EPOCH;
        let past_9999 = epoch + Duration::from_secs(253_402_300_800);
        assert_eq!(seconds(epoch - Duration::from_nanos(1)).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(seconds(past_9999).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(micros(epoch + Duration::from_secs(1 << 62)).to_string(), "9999-12-31T23:59:59.000000Z");
        let inside = epoch + Duration::from_micros(1_500_000);
        assert_eq!(
            (showable(inside), micros(inside).to_string().as_str()),
            (inside, "1970-01-01T00:00:01.500000Z")
        );
    }
}
