//! Amounts with their units, as the reference page and the API show them.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;

/// Amount with its unit, such as 64, 128.0 KiB or 2s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Number without a unit.
    Count(u64),
    /// Number of bytes.
    Bytes(u64),
    /// Duration.
    Time(Duration),
    /// The amount that the flag with this name sets.
    Flag(&'static str),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Amount::Count(count) => count.fmt(f),
            Amount::Bytes(bytes @ ..1024) => write!(f, "{bytes} B"),
            Amount::Bytes(bytes) => ByteSize(bytes).fmt(f),
            Amount::Time(time) => humantime::format_duration(time).fmt(f),
            Amount::Flag(name) => write!(f, "`--{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;
    use std::time::Duration;

    #[test]
    fn amounts_are_shown_with_their_unit() {
        assert_eq!(Amount::Count(64).to_string(), "64");
        assert_eq!(Amount::Bytes(500).to_string(), "500 B");
        assert_eq!(Amount::Bytes(128 << 10).to_string(), "128.0 KiB");
        assert_eq!(Amount::Time(Duration::from_millis(2000)).to_string(), "2s");
        assert_eq!(Amount::Flag("queue").to_string(), "`--queue`");
    }
}
