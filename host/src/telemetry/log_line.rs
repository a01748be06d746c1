//! Formats log lines as text like tracing's own formatter, but faster, because each
//! request writes a line. An event is exactly one line that can be read in one way only:
//! a value with spaces, quotation marks, `=` or a backslash is quoted, and so is a
//! message that could be taken for fields.

use std::fmt::{self, Debug, Write};
use std::time::SystemTime;

use host_http::quote::{push_quoted, quote_from};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// Initial capacity of a line in bytes, which suffices for most lines.
const LINE_CAPACITY: usize = 256;

/// Formatter that writes time, level, target, message and fields.
pub struct TextLine {
    /// Whether a line begins with the time. Lines of command-line tools do not.
    pub has_time: bool,
}

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let (colour, level) = match *metadata.level() {
            Level::ERROR => ("\x1b[31m", "ERROR"),
            Level::WARN => ("\x1b[33m", " WARN"),
            Level::INFO => ("\x1b[32m", " INFO"),
            Level::DEBUG => ("\x1b[34m", "DEBUG"),
            Level::TRACE => ("\x1b[35m", "TRACE"),
        };
        let (dim, colour, plain, before, behind) = match writer.has_ansi_escapes() {
            true => ("\x1b[2m", colour, "\x1b[0m", " \x1b[3m", "\x1b[0m\x1b[2m=\x1b[0m"),
            false => ("", "", "", " ", "="),
        };
        let mut line = String::with_capacity(LINE_CAPACITY);
        if self.has_time {
            let _ = write!(line, "{dim}{}{plain} ", clock::micros(SystemTime::now()));
        }
        for piece in [colour, level, plain, " ", dim, metadata.target(), ":", plain] {
            line.push_str(piece);
        }
        event.record(&mut Fields { line: &mut line, before, behind });
        line.push('\n');
        writer.write_str(&line)
    }
}

/// Visitor that appends the fields of an event to a line.
struct Fields<'a> {
    line: &'a mut String,
    /// Text before the name of a field.
    before: &'static str,
    /// Text between the name of a field and the value.
    behind: &'static str,
}

impl Fields<'_> {
    fn push_name(&mut self, field: &Field) {
        match field.name() {
            // The message comes first and has no name.
            "message" => self.line.push(' '),
            name => [self.before, name, self.behind].into_iter().for_each(|piece| self.line.push_str(piece)),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push_name(field);
        let start = self.line.len();
        // Ignores an error of the value's formatter, and keeps the part of the value that
        // was written.
        let _ = write!(self.line, "{value:?}");
        quote_from(self.line, start, field.name() == "message");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_name(field);
        push_quoted(self.line, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_name(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }
}

#[cfg(test)]
mod tests {
    use super::TextLine;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use tracing::subscriber::with_default;
    use tracing::{debug, warn};
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Logs an event, and returns its line without the time.
    fn logged(ansi: bool, event: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = layer()
            .with_ansi(ansi)
            .event_format(TextLine { has_time: true })
            .with_writer(move || writer.clone());
        with_default(tracing_subscriber::registry().with(layer), event);
        let line = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        line.split_once('Z').unwrap().1.to_owned()
    }

    #[test]
    fn the_message_comes_first_and_then_the_fields() {
        let (number, none, length) = (None::<u64>, "none", 7_u16);
        let line =
            logged(false, || warn!(target: "request", length, number, text = none, at = %none, "it {none}"));
        assert_eq!(line, "  WARN request: it none length=7 text=\"none\" at=none\n");
        let line = logged(true, || debug!(target: "host", none, "x"));
        let fields = "\x1b[3mnone\x1b[0m\x1b[2m=\x1b[0m\"none\"";
        assert_eq!(line, format!("\x1b[0m \x1b[34mDEBUG\x1b[0m \x1b[2mhost:\x1b[0m x {fields}\n"));
    }

    #[test]
    fn whatever_is_in_it_a_line_is_one_line() {
        let (text, shown) = ("a\r\nb\x1b[31m\u{9b}\u{202e}ü", "a\\r\\nb\\u{1b}[31m\\u{9b}\\u{202e}ü");
        let line = logged(false, || warn!(target: "host", field = %text, "{text}"));
        assert_eq!(line, format!("  WARN host: \"{shown}\" field=\"{shown}\"\n"));
    }
}
