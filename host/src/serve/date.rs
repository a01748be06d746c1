//! Value of the header field `date`. Each thread formats it at most once per second.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use handler_sdk::HttpDate;

thread_local! {
    /// Second for which this thread last formatted the value, and the value.
    static LAST: Cell<(u64, [u8; HttpDate::LENGTH])> = const { Cell::new((u64::MAX, [b' '; HttpDate::LENGTH])) };
}

/// Formats a time as `date` does, such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section
/// 5.6.7).
pub(super) fn of(time: SystemTime) -> [u8; HttpDate::LENGTH] {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (last, text) = LAST.get();
    if last == seconds {
        return text;
    }
    let mut text = [b' '; HttpDate::LENGTH];
    HttpDate::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX)).write_into(&mut text);
    LAST.set((seconds, text));
    text
}
