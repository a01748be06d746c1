//! Parsers of flag values: sizes, counts, times and switches, with the largest values
//! that the flags accept.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Largest value of a size in bytes. Addresses in a module are 32 bits wide, so nothing
/// larger gets into a module or out of it.
pub(crate) const ADDRESSES: usize = 1 << 32;

/// Largest value of a memory budget in bytes: 1 TiB, more than most machines have.
pub(crate) const BUDGET_MAX: usize = 1 << 40;

/// Largest value of a flag that takes a count, unless the flag has a limit of its own. Each counted
/// item takes memory.
pub(crate) const COUNT_MAX: usize = 100_000;

/// Largest duration: a year. Adding a much longer one to the clock could overflow.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Largest time for which browsers stay with HTTPS: two years, which lists of such servers recommend,
/// with their leap days.
const HSTS_MAX: Duration = Duration::from_secs(732 * 24 * 3600);

/// File descriptors reserved for files, listeners, timers and the control socket.
const DESCRIPTORS_KEPT: u64 = 128;

/// Largest value of `--connections`. Shutdown acquires the permits of all connections at once, and
/// a semaphore takes their number as a `u32`.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Value of a flag that turns something on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// Turned on
    On,
    /// Turned off
    Off,
}

impl Switch {
    /// Returns whether the switch is on.
    pub fn is_on(self) -> bool {
        self == Switch::On
    }
}

pub(crate) fn size<const MAX: usize>(text: &str) -> Result<usize, String> {
    let size = ByteSize::from_str(text).map_err(|_| "expected a size such as 65536, 64KiB or 1MiB")?;
    match usize::try_from(size.as_u64()) {
        Ok(size) if size <= MAX => Ok(size),
        _ => Err(format!("expected at most {}", ByteSize(MAX as u64))),
    }
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() && duration <= TIME_MAX => Ok(duration),
        _ => {
            Err("expected a time with its unit, such as 500ms, 10s or 2min, above zero and at most a year"
                .into())
        }
    }
}

/// Parses the time for which browsers stay with HTTPS.
pub(crate) fn hsts(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration >= Duration::from_secs(1) && duration <= HSTS_MAX => Ok(duration),
        _ => Err("expected a time with its unit, such as 365days, of at least 1s and at most 2years".into()),
    }
}

/// Parses a duration, or `0s` for none.
pub(crate) fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0s" { Ok(Duration::ZERO) } else { duration(text) }
}

/// Formats a duration, rounded down to whole milliseconds, in a form that flags accept.
pub(crate) fn showable(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(duration.as_millis().try_into().unwrap_or(u64::MAX)))
}

pub(crate) fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "expected a port from 0 to 65535".into())
}

pub(crate) fn version_number(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected the number of a version, such as 3 (host versions lists them)".into())
}

/// Raises the soft limit on file descriptors to the hard limit.
pub fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // On failure, the soft limit stays as it was.
    let _ = setrlimit(Resource::Nofile, limit);
}

pub(crate) fn connections(text: &str) -> Result<usize, String> {
    if text != "auto" {
        return count::<CONNECTIONS_MAX>(text)
            .map_err(|_| format!("expected auto, or a whole number from 1 to {CONNECTIONS_MAX}"));
    }
    Ok(connections_allowed(descriptors()))
}

fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns the number of connections that a limit on file descriptors has room for.
fn connections_allowed(descriptors: u64) -> usize {
    let left = usize::try_from(descriptors.saturating_sub(DESCRIPTORS_KEPT)).unwrap_or(usize::MAX);
    left.clamp(1, CONNECTIONS_MAX)
}

/// Returns a warning if the limit on file descriptors has no room for this many connections.
pub fn lack_of_descriptors(connections: usize) -> Option<String> {
    let descriptors = descriptors();
    let allowed = connections_allowed(descriptors);
    (connections > allowed).then(|| {
        format!(
            "--connections {connections} is more than the {descriptors} descriptors of this process leave room for; \
             expected at most {allowed} ({DESCRIPTORS_KEPT} are for other uses), or a higher `ulimit -Hn` \
             (LimitNOFILE of systemd)"
        )
    })
}

pub(crate) fn count<const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("expected a whole number from 1 to {MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, COUNT_MAX, duration};
    use std::time::Duration;

    fn size(text: &str) -> Result<usize, String> {
        super::size::<ADDRESSES>(text)
    }

    fn count(text: &str) -> Result<usize, String> {
        super::count::<COUNT_MAX>(text)
    }

    #[test]
    fn units_are_read() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("8KiB"), Ok(8192));
        assert_eq!(size("1 MiB"), Ok(1 << 20));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(count("64"), Ok(64));
        // As the reference of bounds promises.
        for (text, bytes) in [
            ("1.5KiB", 1536),
            ("1Ki", 1024),
            ("1kib", 1024),
            ("1k", 1000),
            ("1KB", 1000),
            ("2M", 2_000_000),
            ("1G", 1_000_000_000),
            ("7b", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, milliseconds) in [
            ("1.5s", 1500),
            ("2m", 120_000),
            ("2min", 120_000),
            ("1h", 3_600_000),
            ("1day", 86_400_000),
            ("1min 30s", 90_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["1,5KiB", "1KiBs", "KiB", ".KiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["5", "1.s", "s", "5S", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-1", "x", "1 parsec", "99999999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
            assert!(duration(text).is_err(), "{text}");
            assert!(count(text).is_err(), "{text}");
        }
        assert!(duration("0s").is_err() && duration("366days").is_err());
        assert!(count("0").is_err() && count("100001").is_err());
        assert!(size("4GiB").is_ok() && size("4294967297").is_err());
    }
}
