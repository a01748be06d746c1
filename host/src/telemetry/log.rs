//! Sets up the log: levels, format and output. Log lines go to standard error or to a file;
//! standard output carries only the ready line.

use std::io::{self, Write};
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use clap::ValueEnum;
use host_http::quote::shown_in_json;
use host_wasm::health;
use tracing::error;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, reload};

use crate::telemetry::log_line::TextLine;
use crate::telemetry::log_output::Output;
use crate::telemetry::log_queue::Queue;

/// Format of log lines (`--log-format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people; coloured on a terminal, unless NO_COLOR is set
    Text,
    /// One JSON object per line
    Json,
}

/// Log lines that wait to be written.
pub(crate) static QUEUE: Queue = Queue::new();

/// Maximum wait for queued lines to be written on exit.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// Writer of one log line, which pushes the line into the queue.
struct Line(Format);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = match self.0 {
            // `TextLine` has escaped the line already.
            Format::Text => None,
            Format::Json => str::from_utf8(line).ok().and_then(shown_in_json),
        };
        QUEUE.push(shown.as_deref().map_or(line, str::as_bytes));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Guard that waits on drop, for at most `FLUSH`, until the queued lines are written.
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        QUEUE.close(FLUSH);
    }
}

/// Maximum wait of [`tell`] until the text is written.
const TELL: Duration = Duration::from_millis(50);

/// Writes a text to the log without level and time. Waits until the text is written, but
/// for at most `TELL`, because nobody may be reading the log.
pub fn tell(text: &str) {
    QUEUE.push(text.as_bytes());
    QUEUE.settle(TELL);
}

/// Filter of log lines by level. A reload of the configuration can replace the filter.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Returns the levels of the log in the format of `--log-level`.
pub fn levels() -> String {
    let levels = FILTER.get().and_then(|handle| handle.with_current(ToString::to_string).ok());
    levels.unwrap_or_else(|| "off".into())
}

/// Changes the levels of the log. Returns whether the new levels differ from the old ones.
pub fn set_levels(filter: &Targets) -> bool {
    let before = levels();
    if let Some(handle) = FILTER.get() {
        // Fails only when the log is gone.
        let _ = handle.reload(filter.clone());
    }
    levels() != before
}

/// Sets up the log of the server. Must be called at most once in a process.
///
/// A separate thread writes the lines. Lines that arrive faster than they can be written
/// are dropped, because a stopped terminal or an unread pipe must not block requests.
pub fn init(format: Format, filter: &Targets, output: Output) -> Flush {
    let (filter, handle) = reload::Layer::new(filter.clone());
    let _ = FILTER.set(handle);
    // A client decides how much the crate h2 has to say.
    let filter = filter.and(filter_fn(|about| !about.target().starts_with("h2::")));
    let lines = tracing_subscriber::fmt::layer().with_writer(move || Line(format));
    let registry = tracing_subscriber::registry();
    match format {
        Format::Text => {
            let colour = output.is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(colour).event_format(TextLine { has_time: true });
            registry.with(lines.with_filter(filter)).init();
        }
        Format::Json => {
            let lines = lines.json().with_current_span(false).with_span_list(false);
            registry.with(lines.with_filter(filter)).init();
        }
    }
    // Logged at level error, so that only `off` hides the loss of lines.
    let miss = |lines| {
        error!(lines, "log lines were lost: they came faster than they were read, or could not be written")
    };
    let mut output = output;
    let run = move || QUEUE.write_all(&mut output, miss);
    if let Err(error) = health::keep_running("log", run) {
        let _ = writeln!(io::stderr(), "cannot start the log thread, so nothing is logged: {error}");
    }
    Flush(())
}

/// Sets up the log of a command-line tool. The lines have no time, and each line is written at
/// once.
pub fn plain(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = lines.event_format(TextLine { has_time: false });
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Log targets that can have their own level: request lines, lines of handlers, and
/// lines of the server.
const TARGETS: [&str; 3] = [REQUEST, "handler", "host"];

/// Log target of request lines.
const REQUEST: &str = "request";

/// Level that shows all request lines of faults. Such a line has the level WARN if the operator is
/// at fault, and ERROR if the handler is. A level for the target `request` does not hide these
/// lines if the general level shows them.
const FAULTS: LevelFilter = LevelFilter::WARN;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Parses a general level, levels of single targets, or both, separated by commas. The
/// level of requests hides no fault that the general level would show (see `FAULTS`).
///
/// # Errors
///
/// When a level or a target is unknown.
pub fn filter(text: &str) -> Result<Targets, String> {
    let (mut all, mut requests) = (LevelFilter::INFO, None);
    let mut targets = Targets::new();
    for part in text.split(',') {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, part),
        };
        let level = match LevelFilter::from_str(level) {
            Ok(known) if LEVELS.contains(&level) => known,
            _ => return Err(format!("expected one of {}, found `{level}`", LEVELS.join(", "))),
        };
        match target {
            None => all = level,
            Some(REQUEST) => requests = Some(level),
            Some(target) if TARGETS.contains(&target) => targets = targets.with_target(target, level),
            Some(target) => {
                return Err(format!("expected one of {} before `=`, found `{target}`", TARGETS.join(", ")));
            }
        }
    }
    let requests = requests.map_or(all, |level| level.max(all.min(FAULTS)));
    Ok(targets.with_default(all).with_target(REQUEST, requests))
}

#[cfg(test)]
mod tests {
    use super::filter;
    use tracing::Level;

    #[test]
    fn levels_are_set_for_all_and_for_single_targets() {
        let targets = filter("info,request=off,handler=debug").unwrap();
        assert!(targets.would_enable("host", &Level::INFO) && !targets.would_enable("host", &Level::DEBUG));
        assert!(!targets.would_enable("request", &Level::INFO));
        assert!(targets.would_enable("handler", &Level::DEBUG));
    }

    #[test]
    fn the_level_for_requests_hides_no_fault() {
        for (text, shown, hidden) in [
            ("info,request=off", Some(Level::WARN), Some(Level::INFO)),
            ("request=error,debug", Some(Level::WARN), Some(Level::INFO)),
            ("error,request=off", Some(Level::ERROR), Some(Level::WARN)),
            ("error", Some(Level::ERROR), Some(Level::WARN)),
            ("info,request=debug", Some(Level::DEBUG), Some(Level::TRACE)),
            ("off,request=info", Some(Level::INFO), Some(Level::DEBUG)),
            ("off,request=off", None, Some(Level::ERROR)),
            ("off", None, Some(Level::ERROR)),
        ] {
            let targets = filter(text).unwrap();
            assert!(shown.is_none_or(|level| targets.would_enable("request", &level)), "{text}");
            assert!(hidden.is_none_or(|level| !targets.would_enable("request", &level)), "{text}");
        }
    }

    #[test]
    fn what_is_no_level_or_target_is_refused() {
        for text in ["", "loud", "info,", "requests=info", "request=", "request=info=debug"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
