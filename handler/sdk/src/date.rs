//! Dates in HTTP fields. Parses the three formats of RFC 9110, section 5.6.7, and writes the
//! preferred one.

use core::str;

use crate::Request;
use crate::message::Message;

const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const LONG_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Number of days from 1 March of the year 0 to 1 January 1970.
const DAYS_TO_EPOCH: i64 = 719_468;
/// Number of days in 400 years, after which the calendar repeats.
const DAYS_OF_ERA: i64 = 146_097;

/// Date and time of an HTTP field, in whole seconds.
///
/// ```
/// use handler_sdk::HttpDate;
/// let date = HttpDate::parse(b"Sunday, 06-Nov-94 08:49:37 GMT").unwrap();
/// assert_eq!(date, HttpDate::from_unix_seconds(784_111_777));
/// assert_eq!(date.write_into(&mut [0; HttpDate::LENGTH]), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpDate(i64);

impl HttpDate {
    /// Length of the text that [`HttpDate::write_into`] writes, in bytes.
    pub const LENGTH: usize = 29;
    /// First second of the year 0, in seconds since 1970.
    const FIRST: i64 = -62_167_219_200;
    /// Last second of the year 9999, in seconds since 1970: a date has four digits for the year.
    const LAST: i64 = 253_402_300_799;

    /// Returns the date that is this many seconds after the beginning of 1970. Times after the year
    /// 9999 become the last second of 9999, and times before the year 0 become the first second of
    /// 0.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        HttpDate(if seconds < HttpDate::FIRST {
            HttpDate::FIRST
        } else if seconds > HttpDate::LAST {
            HttpDate::LAST
        } else {
            seconds
        })
    }

    /// Returns the seconds since 1970.
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// Parses a date in any of the three forms: `Sun, 06 Nov 1994 08:49:37 GMT`,
    /// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. Takes a year of two digits as
    /// a year from 1970 to 2069; [`HttpDate::parse_at`] depends on the current time instead.
    ///
    /// `None` when the text has none of these forms, or names a day or a time that
    /// does not exist. The name of the day is not compared with the date.
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse(text, None)
    }

    /// Parses a date like [`HttpDate::parse`], but takes a year of two digits as the latest year with
    /// these last digits that is at most 50 years after `now` (RFC 9110, section 5.6.7).
    pub fn parse_at(text: &[u8], now: HttpDate) -> Option<Self> {
        parse(text, Some(now))
    }

    /// Writes the date into `room`, in the form `Sun, 06 Nov 1994 08:49:37 GMT`, and returns the
    /// text.
    pub fn write_into(self, room: &mut [u8; HttpDate::LENGTH]) -> &str {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY) as u32;
        let weekday = (self.0.div_euclid(DAY) + 4).rem_euclid(7) as usize;
        let mut text = Message::new(room);
        text.put(DAYS.get(weekday).copied().unwrap_or_default().as_bytes());
        text.put(b", ");
        text.put(&two_digits(day));
        text.put(b" ");
        text.put(MONTHS.get(month as usize).copied().unwrap_or_default().as_bytes());
        text.put(b" ");
        text.put(&two_digits(year / 100));
        text.put(&two_digits(year % 100));
        for (before, number) in [(b" ", second / 3600), (b":", second / 60 % 60), (b":", second % 60)] {
            text.put(before);
            text.put(&two_digits(number));
        }
        text.put(b" GMT");
        str::from_utf8(room).unwrap_or_default()
    }
}

impl Request<'_> {
    /// Returns the time of the request in whole seconds.
    pub(crate) fn now(&self) -> Option<HttpDate> {
        let seconds = self.time()?.as_secs();
        Some(HttpDate::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
    }
}

fn two_digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]
}

fn parse(text: &[u8], now: Option<HttpDate>) -> Option<HttpDate> {
    let text = str::from_utf8(text).ok()?;
    let (weekday, rest) = text.split_at_checked(text.find([',', ' '])?)?;
    if let Some(rest) = rest.strip_prefix(", ") {
        let rest = rest.strip_suffix(" GMT")?;
        if DAYS.contains(&weekday) {
            let (date, time) = rest.split_at_checked(11)?;
            let (day, month, year) = parts(date, ' ')?;
            return date_of(digits(year, 4)?, month, digits(day, 2)?, time.strip_prefix(' ')?);
        }
        let (date, time) = rest.split_at_checked(9)?;
        let (day, month, year) = parts(date, '-')?;
        LONG_DAYS.contains(&weekday).then_some(())?;
        let year = whole_year(digits(year, 2)?, now);
        return date_of(year, month, digits(day, 2)?, time.strip_prefix(' ')?);
    }
    DAYS.contains(&weekday).then_some(())?;
    // Mmm dd hh:mm:ss yyyy, where a day of one digit has a space before it.
    let (month, rest) = rest.strip_prefix(' ')?.split_at_checked(3)?;
    let (day, rest) = rest.strip_prefix(' ')?.split_at_checked(2)?;
    let (time, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    let day = match day.strip_prefix(' ') {
        Some(day) => digits(day, 1)?,
        None => digits(day, 2)?,
    };
    date_of(digits(year, 4)?, month, day, time)
}

/// Splits a text into three at the first two separators; `None` if there are fewer.
fn parts(text: &str, by: char) -> Option<(&str, &str, &str)> {
    let (first, rest) = text.split_once(by)?;
    let (second, third) = rest.split_once(by)?;
    Some((first, second, third))
}

/// Parses a text of exactly `count` decimal digits; `None` for any other text.
fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Returns the full year for a year of two digits: the latest one that is at most 50 years after
/// `now`, or one from 1970 to 2069 if `now` is `None`.
fn whole_year(two: i64, now: Option<HttpDate>) -> i64 {
    match now {
        None => two + if two < 70 { 2000 } else { 1900 },
        Some(HttpDate(now)) => {
            let latest = i64::from(civil(now.div_euclid(DAY)).0) + 50;
            latest - (latest - two).rem_euclid(100)
        }
    }
}

fn date_of(year: i64, month: &str, day: i64, time: &str) -> Option<HttpDate> {
    let month = MONTHS.iter().position(|name| *name == month)? as i64;
    let (hour, minute, second) = parts(time, ':')?;
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let days = days_of(year, month, day);
    // A day that the month does not have comes back as a day of the next month.
    let (_, _, found) = civil(days);
    // 60 is a leap second.
    let exists = i64::from(found) == day && hour < 24 && minute < 60 && second <= 60;
    exists.then(|| HttpDate::from_unix_seconds(days * DAY + hour * 3600 + minute * 60 + second))
}

/// Returns the number of days from 1 January 1970 to a date. `month` counts from 0. The calculation
/// lets years begin with March, so that the leap day is the last day of a year.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_EPOCH
}

/// Returns the year, the month and the day for a number of days since 1 January 1970. The month
/// counts from 0.
fn civil(days: i64) -> (u32, u32, u32) {
    let days = days + DAYS_TO_EPOCH;
    let (era, of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 2) } else { (year + 1, month - 10) };
    ((year + era * 400).max(0) as u32, month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use std::prelude::rust_2024::*;
    use std::time::{Duration, SystemTime};

    use super::HttpDate;

    fn seconds(text: &str) -> Option<i64> {
        HttpDate::parse(text.as_bytes()).map(HttpDate::unix_seconds)
    }

    #[test]
    fn the_three_forms_are_parsed() {
        for (name, text, expected) in [
            ("fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("asctime", "Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("asctime, two digits", "Wed Nov 16 08:49:37 1994", Some(784_975_777)),
            ("the epoch", "Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("before the epoch", "Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("leap day", "Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("leap second", "Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
            ("the last second", "Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("the first second", "Sat, 01 Jan 0000 00:00:00 GMT", Some(-62_167_219_200)),
            ("two digits of 1970", "Thursday, 01-Jan-70 00:00:00 GMT", Some(0)),
            ("two digits of 2069", "Tuesday, 31-Dec-69 23:59:59 GMT", Some(3_155_759_999)),
            ("no leap day", "Mon, 29 Feb 1999 00:00:00 GMT", None),
            ("no leap day in 1900", "Thu, 29 Feb 1900 00:00:00 GMT", None),
            ("day 0", "Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("day 31 of 30", "Sun, 31 Nov 1994 08:49:37 GMT", None),
            ("hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("minute 60", "Sun, 06 Nov 1994 23:60:00 GMT", None),
            ("second 61", "Sun, 06 Nov 1994 23:59:61 GMT", None),
            ("no zone", "Sun, 06 Nov 1994 08:49:37", None),
            ("another zone", "Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("unknown day", "Son, 06 Nov 1994 08:49:37 GMT", None),
            ("unknown month", "Sun, 06 Nof 1994 08:49:37 GMT", None),
            ("a sign", "Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("long year in RFC 850", "Sunday, 06-Nov-1994 08:49:37 GMT", None),
            ("a letter of two bytes", "Sun, 06 Növ 1994 08:49:37 GMT", None),
            ("a number", "784111777", None),
            ("nothing", "", None),
        ] {
            assert_eq!(seconds(text), expected, "{name}: {text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_50_years_ahead() {
        let year = |text: &str, now: i64| {
            let date = HttpDate::parse_at(text.as_bytes(), HttpDate::from_unix_seconds(now)).unwrap();
            date.write_into(&mut [0; HttpDate::LENGTH])[12..16].to_owned()
        };
        // 2026-11-26
        let now = 1_795_651_200;
        for (digits, expected) in
            [("94", "1994"), ("26", "2026"), ("76", "2076"), ("77", "1977"), ("00", "2000")]
        {
            assert_eq!(year(&std::format!("Sunday, 06-Nov-{digits} 08:49:37 GMT"), now), expected);
        }
    }

    /// Compares with the crate httpdate, which supports years from 1970 on.
    #[test]
    fn dates_are_those_of_another_implementation() {
        let mut date = 0u64;
        while date < 253_402_300_799 {
            let theirs = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(date));
            let ours = HttpDate::from_unix_seconds(date as i64);
            assert_eq!(ours.write_into(&mut [0; HttpDate::LENGTH]), theirs);
            assert_eq!(HttpDate::parse(theirs.as_bytes()), Some(ours));
            // A prime number of seconds, so that all times of day are met.
            date += 7_654_321;
        }
        for seconds in [i64::MIN, i64::MAX] {
            let date = HttpDate::from_unix_seconds(seconds);
            assert_eq!(HttpDate::parse(date.write_into(&mut [0; HttpDate::LENGTH]).as_bytes()), Some(date));
        }
    }
}
