//! The field `date`, formatted once a second on each thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use handler_sdk::HttpDate;

thread_local! {
    /// Second for which the field was last formatted on this thread, and the text.
    static LAST: Cell<(u64, [u8; HttpDate::LENGTH])> = const { Cell::new((u64::MAX, [b' '; HttpDate::LENGTH])) };
}

/// Returns a time in the form of HTTP (RFC 9110, section 5.6.7).
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
