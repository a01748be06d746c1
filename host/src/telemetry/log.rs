//! How the log is set up: what is logged, in which form, and where. All of it
//! goes to standard error; standard output is for the ready line alone.

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use host_http::quote::shown_in_json;
use host_wasm::health;
use tracing::error;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::telemetry::log_line::TextLine;
use crate::telemetry::log_queue::{BYTES_MAX, Queue};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; coloured on a terminal, unless NO_COLOR is set
    Text,
    /// One JSON object a line
    Json,
}

/// The lines that wait to be written.
static QUEUE: Queue = Queue::new();

/// The longest wait for them at the end.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// Returns the most memory of the lines that wait, in bytes.
pub fn memory() -> u64 {
    Queue::memory()
}

/// Most bytes of lines that wait.
pub const WAITING_MAX: usize = BYTES_MAX;

/// Returns how many bytes of lines wait to be written.
pub fn waiting() -> usize {
    QUEUE.waiting()
}

/// Takes one line into the queue.
struct Line(Format);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = match self.0 {
            // It is made so.
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

/// When this is dropped, the lines in the queue are written.
pub struct Flush(());

impl Drop for Flush {
    fn drop(&mut self) {
        QUEUE.close(FLUSH);
    }
}

/// Longest wait for a text to be written.
const TELL: Duration = Duration::from_millis(50);

/// Returns how many lines were lost since the start, because they could not be
/// written as fast as they came.
pub fn lost() -> u64 {
    QUEUE.lost()
}

/// Writes a text for people between the lines. It is there when this returns,
/// unless nobody reads the log.
pub fn tell(text: &str) {
    QUEUE.push(text.as_bytes());
    QUEUE.settle(TELL);
}

/// Sets the log up, for the whole process and once.
///
/// Lines are written by a thread of their own. Where they cannot be written as
/// fast as they come, lines are lost, and serving goes on: a terminal that is
/// held or a pipe that nobody reads must not stop it.
pub fn init(format: Format, filter: &Targets) -> Flush {
    let lines = tracing_subscriber::fmt::layer().with_writer(move || Line(format));
    let registry = tracing_subscriber::registry();
    match format {
        Format::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(colour).event_format(TextLine::with_time());
            registry.with(lines.with_filter(filter.clone())).init();
        }
        Format::Json => {
            let lines = lines.json().with_current_span(false).with_span_list(false);
            registry.with(lines.with_filter(filter.clone())).init();
        }
    }
    // An error, so that it is told wherever anything is.
    let miss = |lines| error!(lines, "lines of the log were lost: they came faster than they were read");
    let run = move || QUEUE.write_all(io::stderr(), miss);
    if let Err(error) = health::keep_running("log", run) {
        let _ = writeln!(io::stderr(), "nothing is logged: there is no thread for it: {error}");
    }
    Flush(())
}

/// Sets the log up for a command that ends by itself: lines without the time,
/// each written at once.
pub fn plain(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = lines.event_format(TextLine::without_time());
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// The parts of the log that can have a level of their own: a line for each
/// request, what handlers write, and what the server says of itself.
const TARGETS: [&str; 3] = [REQUEST, "handler", "host"];

/// The target of the lines for requests.
const REQUEST: &str = "request";

/// The least that is logged of requests: faults that are the operator's to mend,
/// or the handler's.
const FAULTS: LevelFilter = LevelFilter::WARN;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads what is to be logged: a level, and levels for single targets. The level
/// for requests hides no fault that the level for all would show.
///
/// # Errors
///
/// When a level or a target is none.
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
