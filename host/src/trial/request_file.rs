//! Parses request files: `.http` files, the format in which code editors can send requests, with
//! expectations about the responses in addition.
//!
//! ```text
//! @host = http://localhost:4444
//!
//! ### the front page
//! GET {{host}}/ HTTP/1.1
//! accept: text/html
//!
//! > 200
//! > content-type: text/html
//! > body contains: <h1>
//!
//! ### a note
//! # A comment. Expectations may stand in comments above the request, where
//! # editors ignore them:
//! # > 204
//! POST /notes
//!
//! milk
//! ```

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::Request;

use crate::regular_file;
use crate::trial::exchange::{add_field, request};
use crate::trial::expectation::Expectation;
use crate::trial::probe::{Expected, Probe};

/// Maximum size in bytes of a request file, and of a file that contains the body of a request.
pub(crate) const FILE_MAX: usize = 64 << 20;

/// Start of a line that separates requests.
const SEPARATOR: &str = "###";

/// Error message for a comment with an expectation in the body of a request, because it would be
/// sent as a part of the body.
const IN_BODY: &str = "an expectation behind the empty line is written `> 200`; `# > 200` stands above the request (a body \
    with a line like this one goes to a file: `< FILE`)";

/// Parses the requests of a file.
///
/// # Errors
///
/// One line that names the file that cannot be read, or `file:line` and the mistake.
pub fn read(path: &Path) -> anyhow::Result<Vec<Probe>> {
    let name = path.display().to_string();
    let bytes = regular_file::read(path, FILE_MAX).with_context(|| format!("cannot read {name}"))?;
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("{name}: the file is not UTF-8 text; expected requests separated by lines that begin with ###");
    };
    let mut reader = Reader { file: path, name, variables: HashMap::new() };
    let lines: Vec<_> = (1..).zip(text.trim_start_matches('\u{feff}').lines()).collect();
    let mut probes = Vec::new();
    for block in lines.chunk_by(|_, (_, line)| !line.starts_with(SEPARATOR)) {
        let (title, block) = match block {
            [(_, line), block @ ..] if line.starts_with(SEPARATOR) => (*line, block),
            block => ("", block),
        };
        probes.extend(reader.request(title.trim_start_matches('#').trim(), block)?);
    }
    if probes.is_empty() {
        bail!("{}: the file has no request; expected METHOD TARGET, such as GET /", reader.name);
    }
    Ok(probes)
}

type Line<'a> = (usize, &'a str);

struct Reader<'a> {
    file: &'a Path,
    name: String,
    variables: HashMap<String, String>,
}

impl Reader<'_> {
    /// Parses the lines between two separators. Returns `None` if the lines hold no request.
    fn request(&mut self, title: &str, block: &[Line<'_>]) -> anyhow::Result<Option<Probe>> {
        let mut expected = Vec::new();
        let mut lines = block.iter().copied();
        let mut first = None;
        for (number, line) in lines.by_ref() {
            if self.is_blank_or_comment(number, line, &mut expected)? {
                continue;
            }
            let Some((name, value)) = line.strip_prefix('@').and_then(|line| line.split_once('=')) else {
                first = Some((number, self.filled_in(number, line)?));
                break;
            };
            let value = self.filled_in(number, value.trim())?;
            self.variables.insert(name.trim().to_owned(), value);
        }
        let Some((start, line)) = first else {
            let Some(Expected { place, .. }) = expected.first() else {
                return Ok(None);
            };
            bail!("{place}this expectation belongs to no request; expected METHOD TARGET, such as GET /");
        };
        let mut request = self.request_line(start, &line)?;
        let mut body = Vec::new();
        let mut part = Part::Fields;
        for (number, line) in lines {
            match part {
                _ if line.starts_with('>') => {
                    part = Part::Expectations;
                    self.expectation(number, line.trim_start_matches('>'), &mut expected)?;
                }
                Part::Body => {
                    if expectation_in_comment(line).is_some() {
                        return Err(self.wrong(number, IN_BODY));
                    }
                    body.push((number, line));
                }
                Part::Fields if line.trim().is_empty() => part = Part::Body,
                _ if self.is_blank_or_comment(number, line, &mut expected)? => {}
                Part::Fields => {
                    let field = self.filled_in(number, line)?;
                    add_field(&mut request, &field).map_err(|why| self.wrong(number, &why))?;
                }
                Part::Expectations => {
                    let why = format!("expected a line that begins with > or ###, found `{line}`");
                    return Err(self.wrong(number, &why));
                }
            }
        }
        *request.body_mut() = self.body(&body)?.into();
        if !expected.iter().any(is_about_the_status) {
            expected.push(Expected { what: Expectation::Good, place: self.at(start) });
        }
        Ok(Some(Probe { request, expected, place: self.at(start), name: title.to_owned() }))
    }

    /// Returns whether a line is empty or a comment. If the comment contains an expectation, adds
    /// it to `expected`.
    fn is_blank_or_comment(
        &self,
        number: usize,
        line: &str,
        expected: &mut Vec<Expected>,
    ) -> anyhow::Result<bool> {
        if let Some(text) = expectation_in_comment(line) {
            self.expectation(number, text, expected)?;
        }
        Ok(comment(line).is_some() || line.trim().is_empty())
    }

    fn expectation(&self, number: usize, text: &str, expected: &mut Vec<Expected>) -> anyhow::Result<()> {
        let text = self.filled_in(number, text.strip_prefix(' ').unwrap_or(text))?;
        let what = text.parse().map_err(|why: String| self.wrong(number, &why))?;
        // Consecutive body expectations are the lines of one body.
        if let Expectation::Body(line) = &what
            && let Some(Expected { what: Expectation::Body(body), .. }) = expected.last_mut()
        {
            body.push('\n');
            body.push_str(line);
            return Ok(());
        }
        expected.push(Expected { what, place: self.at(number) });
        Ok(())
    }

    fn request_line(&self, number: usize, line: &str) -> anyhow::Result<Request<Bytes>> {
        let (method, target) = match *line.split_ascii_whitespace().collect::<Vec<_>>() {
            [method, target] => (method, target),
            [method, target, version] if version.starts_with("HTTP/") => (method, target),
            _ => {
                let why = format!("expected METHOD TARGET [HTTP/1.1], found `{line}`");
                return Err(self.wrong(number, &why));
            }
        };
        request(method, target).map_err(|why| self.wrong(number, &why))
    }

    /// Returns the body of a request. If `< FILE` is its only line, returns the content of FILE.
    /// Otherwise returns the lines with variables replaced, without empty lines at the end.
    fn body(&self, lines: &[Line<'_>]) -> anyhow::Result<Vec<u8>> {
        let end = lines.iter().rposition(|(_, line)| !line.trim().is_empty()).map_or(0, |last| last + 1);
        let (lines, _) = lines.split_at(end);
        if let [(number, line)] = lines
            && let Some(name) = line.strip_prefix("< ")
        {
            let path = self.file.parent().unwrap_or(Path::new("")).join(name.trim());
            return regular_file::read(&path, FILE_MAX)
                .with_context(|| format!("{}cannot read {}", self.at(*number), path.display()));
        }
        let lines = lines.iter().map(|(number, line)| self.filled_in(*number, line));
        Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n").into_bytes())
    }

    /// Returns a line with each `{{name}}` replaced by the value of that variable. `number` is the
    /// number of the line, for error messages.
    fn filled_in(&self, number: usize, line: &str) -> anyhow::Result<String> {
        let mut filled = String::new();
        let mut rest = line;
        while let Some((before, (name, after))) =
            rest.split_once("{{").and_then(|(before, behind)| Some((before, behind.split_once("}}")?)))
        {
            let name = name.trim();
            let Some(value) = self.variables.get(name) else {
                let why = format!("the variable `{name}` is not set; expected a line `@{name} = ...` above");
                return Err(self.wrong(number, &why));
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// Returns the prefix `file:line: ` of a message about a line.
    fn at(&self, line: usize) -> String {
        format!("{}:{line}: ", self.name)
    }

    fn wrong(&self, line: usize, why: &str) -> anyhow::Error {
        anyhow!("{}{why}", self.at(line))
    }
}

/// Returns the text of a comment; [`None`] if the line is no comment.
fn comment(line: &str) -> Option<&str> {
    line.strip_prefix("//").or_else(|| line.strip_prefix('#'))
}

/// Returns the expectation in a comment such as `# > 200`; [`None`] if the line is not such a
/// comment. The body of a request must not have such a line.
pub(crate) fn expectation_in_comment(line: &str) -> Option<&str> {
    comment(line)?.trim_start().strip_prefix("> ")
}

enum Part {
    Fields,
    Body,
    Expectations,
}

fn is_about_the_status(expected: &Expected) -> bool {
    matches!(expected.what, Expectation::Status(_) | Expectation::Reason(..))
}
