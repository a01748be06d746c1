//! Lines for the host's log.

use core::fmt::{self, Write as _};

use crate::abi::LOG_LEVELS;
use crate::export;
use crate::text::Text;

/// Maximum length of a line that [`log!`](crate::log!) formats, in bytes; the rest is cut off. The
/// SDK does not cut a line that needs no formatting. The host's limit on any line
/// (`--log-line-max`) may be lower.
pub const LINE_MAX: usize = 1024;

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failure.
    Error,
    /// Possible problem.
    Warn,
    /// Normal event.
    Info,
    /// Information for debugging.
    Debug,
    /// Detailed information for debugging.
    Trace,
}

impl Level {
    /// Returns the name of the level, such as `error`; see [`LOG_LEVELS`].
    pub const fn name(self) -> &'static str {
        let [error, warn, info, debug, trace] = LOG_LEVELS;
        match self {
            Level::Error => error,
            Level::Warn => warn,
            Level::Info => info,
            Level::Debug => debug,
            Level::Trace => trace,
        }
    }
}

/// Writes a line to the host's log, under the id of the request. Takes a level and the
/// arguments of [`format!`](core::format_args!). Needs no allocator.
///
/// In native tests the line goes to standard error. Only a module that logs has the
/// import `host.log`.
///
/// ```
/// use handler_sdk::{Level, log};
/// let (user, tries) = ("ada", 3);
/// log!(Level::Warn, "{user} failed to log in {tries} times");
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $($text:tt)+) => {
        $crate::write_log_line($level, ::core::format_args!($($text)+))
    };
}

/// Formats a line for [`log!`](crate::log!), and writes it to the host's log.
#[doc(hidden)]
pub fn write_log_line(level: Level, line: fmt::Arguments<'_>) {
    match line.as_str() {
        Some(line) => export::log(level, line),
        None => {
            let mut room = [0; LINE_MAX];
            let mut text = Text::new(&mut room);
            // Text that does not fit is cut off, so an error here is no failure.
            let _ = text.write_fmt(line);
            export::log(level, text.into_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Level;
    use crate::abi::LOG_LEVELS;

    #[test]
    fn levels_are_numbered_as_the_contract_has_it() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        for level in levels {
            assert_eq!(LOG_LEVELS[level as usize], level.name());
        }
        assert_eq!(levels.len(), LOG_LEVELS.len());
    }
}
