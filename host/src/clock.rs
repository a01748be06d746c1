//! Formats times as RFC 3339. Times from a wrong clock or a file are clamped, because
//! the formatter accepts the years 1970 to 9999 only.

use std::time::{Duration, SystemTime};

use humantime::{Rfc3339Timestamp, format_rfc3339_micros, format_rfc3339_seconds};

/// The last second of the year 9999, counted from 1970.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Clamps a time to the years 1970 to 9999.
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
    use super::{micros, seconds, showable};
    use std::time::{Duration, SystemTime};

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
