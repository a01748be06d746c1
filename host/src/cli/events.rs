//! `host events`: prints the events of a running server, one per line, until the server ends.

use std::fmt;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, bail};
use host_http::quote::{quote_from, quoted};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::cli::ask::{SHOWN_MAX, unless_refused};
use crate::cli::client::{self, End, Server};

/// Maximum length of a line of the event stream, in bytes. All events of a server are shorter.
const LINE_MAX: usize = 1 << 20;

/// Prints events until the server ends, or until the reader of standard output closes the pipe.
///
/// # Errors
///
/// One line: why the stream broke off before the server announced its end, or why the reply is not
/// a stream of events.
pub(super) fn follow(server: &Server) -> anyhow::Result<ExitCode> {
    let (mut lines, mut is_ending) = (Lines::default(), false);
    let end = client::follow(server, "/v1/events", |bytes| {
        lines.add(bytes)?;
        while let Some(line) = lines.next() {
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Fields = serde_json::from_str(data).with_context(|| {
                let shown = quoted(data, SHOWN_MAX);
                format!("an event is not understood; another program listens there, or another version of host: {shown}")
            })?;
            is_ending |= event.text("event") == Some("ending");
            let shown = if server.json { format!("{data}\n") } else { event.line() };
            if io::stdout().write_all(shown.as_bytes()).is_err() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    match end {
        End::Ended(path) if !is_ending => Err(client::wordless(&path.display().to_string())),
        End::Ended(_) | End::Stopped => Ok(ExitCode::SUCCESS),
        End::Refused(reply) => {
            let reply = unless_refused(reply)?;
            let shown = quoted(reply.trim_end(), SHOWN_MAX);
            bail!(
                "the reply is no stream; another program listens there, or another version of host: {shown}"
            )
        }
    }
}

/// Buffer that splits the pieces of a stream into lines.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if self.bytes.len() + bytes.len() > LINE_MAX {
            bail!(
                "an event is longer than {LINE_MAX} bytes; another program listens there, or another version of host"
            );
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Returns the next complete line, without its line end.
    fn next(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        Some(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
    }
}

/// Fields of an event, in the order in which the server sends them.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name)?.1.as_str()
    }

    /// Returns the event as one line: the time, the name, and each other field as `NAME=VALUE`.
    fn line(&self) -> String {
        let of = |name| quoted(self.text(name).unwrap_or("-"), SHOWN_MAX);
        let mut line = format!("{} {}", of("time"), of("event"));
        for (name, value) in self.0.iter().filter(|(name, _)| name != "time" && name != "event") {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
                other => other.to_string(),
            };
            line.extend([" ", name, "="]);
            let start = line.len();
            line.push_str(&text);
            quote_from(&mut line, start, false);
        }
        line.push('\n');
        line
    }
}

impl<'a> Deserialize<'a> for Fields {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Fields, D::Error> {
        struct InOrder;
        impl<'a> Visitor<'a> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, LINE_MAX, Lines};

    #[test]
    fn an_event_is_one_line_that_can_be_read_in_one_way() {
        let line = |json: &str| serde_json::from_str::<Fields>(json).unwrap().line();
        assert_eq!(
            line(
                r#"{"event":"reloaded","time":"T","version":2,"applied":["a","b c"],"failed":[],"by":"uid 1","site":null}"#
            ),
            "T reloaded version=2 applied=\"a, b c\" failed=\"\" by=\"uid 1\"\n"
        );
        assert_eq!(
            line(r#"{"time":"T","event":"fault","cause":"a\nb \u001b=\""}"#),
            "T fault cause=\"a\\nb \\u{1b}=\\\"\"\n"
        );
        assert_eq!(line("{}"), "- -\n");
        assert!(serde_json::from_str::<Fields>("[]").is_err());
    }

    #[test]
    fn pieces_are_put_together_to_lines() {
        let mut lines = Lines::default();
        for (piece, expected) in [("a", vec![]), ("b\nc\r\n", vec!["ab", "c"]), ("\n", vec![""])] {
            lines.add(piece.as_bytes()).unwrap();
            assert_eq!(std::iter::from_fn(|| lines.next()).collect::<Vec<_>>(), expected);
        }
        lines.add(&vec![b'x'; LINE_MAX]).unwrap();
        assert!(lines.add(b"x").is_err());
    }
}
