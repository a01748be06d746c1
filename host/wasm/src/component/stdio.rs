//! Standard output and standard error of a component. Each line becomes a log line with the id of
//! the request. The number and length of lines are limited, and secrets are masked, as for the log
//! lines of modules.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use host_http::quote::cut_for_log;
use host_http::request_id::RequestId;
use tracing::{info, warn};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamResult};

use crate::limits::CallLimits;
use crate::values::Values;

/// Maximum number of bytes that a component can write to a stream at a time.
pub const CHUNK_MAX: usize = 64 << 10;

/// Text in the message of a Rust panic that precedes the position in the source.
const PANIC: &str = "panicked at ";

/// Both outputs of one store. An incomplete last line is logged on drop.
#[derive(Clone)]
pub(super) struct Stdio(Arc<Mutex<Lines>>);

/// One of the two outputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

struct Lines {
    id: RequestId,
    values: Arc<Values>,
    /// Number of lines that may still be logged.
    left: usize,
    /// Maximum length of a logged line, in bytes.
    max: usize,
    /// Whether the message about dropped lines was logged.
    is_cut: bool,
    /// Incomplete last line of standard output; `stderr` is that of standard error.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    panic: Panic,
}

/// What was read of a Rust panic on standard error: first a line with the position in the source,
/// then a line with the message.
#[derive(Default)]
enum Panic {
    #[default]
    None,
    At(String),
    Told(String),
}

impl Stdio {
    /// Creates the outputs for a request. With `is_quiet`, nothing is logged.
    pub(super) fn new(limits: &CallLimits, id: RequestId, values: &Arc<Values>, is_quiet: bool) -> Stdio {
        Stdio(Arc::new(Mutex::new(Lines {
            id,
            values: Arc::clone(values),
            left: if is_quiet { 0 } else { limits.log_lines_max },
            max: limits.log_line_max,
            is_cut: is_quiet,
            stdout: Vec::new(),
            stderr: Vec::new(),
            panic: Panic::None,
        })))
    }

    /// Returns a stream to an output.
    pub(super) fn stream(&self, output: Output) -> DynOutputStream {
        Box::new(Stream { stdio: self.clone(), output })
    }

    /// Returns the message of a Rust panic with its position in the source; [`None`] if there was
    /// no panic.
    pub(super) fn panic(&self) -> Option<String> {
        match &self.lock().panic {
            Panic::None => None,
            Panic::At(place) => Some(format!("at {place}")),
            Panic::Told(message) => Some(message.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn write(&mut self, output: Output, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // The last one is not complete.
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.begin(output, line);
            self.end(output);
        }
        self.begin(output, rest);
    }

    /// Appends bytes to the incomplete line of an output, as far as they can be logged.
    fn begin(&mut self, output: Output, bytes: &[u8]) {
        // Quoting never makes a character shorter, so one byte more is enough to fill the line
        // and to mark the cut. A secret may be longer than what is shown in its place.
        let max = self.max.saturating_add(1).saturating_mul(2);
        let line = self.line(output);
        let room = max.saturating_sub(line.len());
        line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn end(&mut self, output: Output) {
        let line = take(self.line(output));
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let is_shown = self.left > 0 || !self.is_cut;
        // A line of standard error may tell of a panic.
        if line.is_empty() || !is_shown && output == Output::Stdout {
            return;
        }
        let masked = self.values.mask_start(line, self.max.saturating_add(1));
        let text = cut_for_log(String::from_utf8_lossy(&masked).into_owned(), self.max);
        if output == Output::Stderr {
            self.note_panic(&text);
        }
        let id = &self.id;
        if self.left == 0 {
            if !std::mem::replace(&mut self.is_cut, true) {
                warn!(target: "handler", %id, "more log lines were dropped (the limit is --log-lines-max)");
            }
            return;
        }
        self.left -= 1;
        match output {
            Output::Stdout => info!(target: "handler", %id, "{text}"),
            Output::Stderr => warn!(target: "handler", %id, "{text}"),
        }
    }

    fn note_panic(&mut self, line: &str) {
        self.panic = match take(&mut self.panic) {
            Panic::At(place) => Panic::Told(format!("{line} at {place}")),
            panic => match line.split_once(PANIC) {
                Some((_, place)) => Panic::At(place.trim_end_matches(':').to_owned()),
                None => panic,
            },
        };
    }

    fn line(&mut self, output: Output) -> &mut Vec<u8> {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end(Output::Stdout);
        self.end(Output::Stderr);
    }
}

struct Stream {
    stdio: Stdio,
    output: Output,
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.stdio.lock().write(self.output, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Output, Stdio};
    use crate::limits::CallLimits;
    use crate::values::Values;
    use host_http::request_id::RequestId;
    use std::sync::Arc;

    #[test]
    fn the_message_of_a_panic_is_found_in_pieces_and_masked() {
        let values = Values::new([("KEY", "hunter22", true)]).unwrap();
        let stdio = Stdio::new(&CallLimits::default(), RequestId::none(), &Arc::new(values), true);
        assert_eq!(stdio.panic(), None);
        for piece in
            ["\nthread '<unnamed>' (1) panicked", " at src/lib.rs:3:5:\nwrong: hun", "ter22\nnote: none\n"]
        {
            stdio.lock().write(Output::Stderr, piece.as_bytes());
        }
        assert_eq!(stdio.panic().as_deref(), Some("wrong: [secret KEY] at src/lib.rs:3:5"));
    }

    #[test]
    fn of_a_long_line_only_the_beginning_is_kept() {
        let limits = CallLimits { log_line_max: 10, ..CallLimits::default() };
        let stdio = Stdio::new(&limits, RequestId::none(), &Arc::default(), true);
        for _ in 0..1000 {
            stdio.lock().write(Output::Stdout, &[b'x'; 1000]);
        }
        assert_eq!(stdio.lock().stdout.len(), 22);
    }
}
