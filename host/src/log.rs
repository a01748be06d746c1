//! How the log is set up: what is logged, in which form, and where. All of it
//! goes to standard error; standard output is for the ready line alone.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::limits::Limits;
use crate::log_line::TextLine;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; coloured on a terminal, unless NO_COLOR is set
    Text,
    /// One JSON object a line
    Json,
}

/// Log lines that may wait to be written. At the 200 bytes of an ordinary line,
/// 1.6 MB.
const QUEUE_LINES: usize = 8192;

/// What a log line has beside what others have written, in bytes.
const LINE_FRAME: usize = 512;

/// Returns the most that the queue takes, in bytes. The longest lines hold a line
/// of a handler's, or a target.
pub fn memory(limits: &Limits) -> u64 {
    let longest = limits.log_line_max.max(limits.target_max) + LINE_FRAME;
    (QUEUE_LINES * longest) as u64
}

/// How long the thread that writes rests after it has written all that there
/// was. Under load many lines come together meanwhile, which one system call
/// writes, and nobody has to wake the thread for each, which would be a system
/// call of those who serve.
const REST: Duration = Duration::from_millis(2);

/// Standard error, written to in large pieces.
struct Gathering(BufWriter<Stderr>);

impl Write for Gathering {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    /// Called when no more lines wait.
    fn flush(&mut self) -> io::Result<()> {
        let result = self.0.flush();
        sleep(REST);
        result
    }
}

/// Sets the log up, for the whole process and once.
///
/// Lines are written by a thread of their own. Where they cannot be written as
/// fast as they come, lines are lost, and serving goes on: a terminal that is
/// held or a pipe that nobody reads must not stop it. What is in the queue is
/// written when the guard is dropped.
pub fn init(format: Format, filter: &Targets) -> WorkerGuard {
    let queue =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUE_LINES).lossy(true).thread_name("log");
    let (queue, guard) = queue.finish(Gathering(BufWriter::with_capacity(64 << 10, io::stderr())));
    let lines = tracing_subscriber::fmt::layer().with_writer(queue);
    let registry = tracing_subscriber::registry();
    match format {
        Format::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let lines = lines.with_ansi(colour).event_format(TextLine);
            registry.with(lines.with_filter(filter.clone())).init();
        }
        Format::Json => {
            let lines = lines.json().with_current_span(false).with_span_list(false);
            registry.with(lines.with_filter(filter.clone())).init();
        }
    }
    guard
}

/// Sets the log up for a command that ends by itself: lines without the time,
/// each written at once.
pub fn plain(filter: Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).without_time().with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// The parts of the log that can have a level of their own: a line for each
/// request, what handlers write, and what the server says of itself.
const TARGETS: [&str; 3] = ["request", "handler", "host"];

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads what is to be logged: a level, and levels for single targets.
///
/// # Errors
///
/// When a level or a target is none.
pub fn filter(text: &str) -> Result<Targets, String> {
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for part in text.split(',') {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, part),
        };
        let level = match LevelFilter::from_str(level) {
            Ok(known) if LEVELS.contains(&level) => known,
            _ => return Err(format!("expected one of {}, found `{level}`", LEVELS.join(", "))),
        };
        targets = match target {
            None => targets.with_default(level),
            Some(target) if TARGETS.contains(&target) => targets.with_target(target, level),
            Some(target) => {
                return Err(format!("expected one of {} before `=`, found `{target}`", TARGETS.join(", ")));
            }
        };
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::filter;
    use tracing::Level;

    #[test]
    fn levels_are_set_for_all_and_for_single_targets() {
        let targets = filter("info,request=off,handler=debug").unwrap();
        assert!(targets.would_enable("host", &Level::INFO) && !targets.would_enable("host", &Level::DEBUG));
        assert!(!targets.would_enable("request", &Level::ERROR));
        assert!(targets.would_enable("handler", &Level::DEBUG));
    }

    #[test]
    fn what_is_no_level_or_target_is_refused() {
        for text in ["", "loud", "info,", "requests=info", "request=", "request=info=debug"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
