//! Parser of request files: `.http` files as editors use them, with expectations
//! about the responses.
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
//! # A comment. What is expected may stand in comments above the request,
//! # where editors leave it alone:
//! # > 204
//! POST /notes
//!
//! milk
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::trial::exchange::Asked;
use crate::trial::expectation::Expectation;
use crate::trial::probe::{Expected, Place, Probe};

/// Start of a line that separates requests.
const SEPARATOR: &str = "###";

/// Parses the requests of a file.
///
/// # Errors
///
/// One line: the file that cannot be read, or `file:line` and the mistake.
pub fn read(path: &Path) -> anyhow::Result<Vec<Probe>> {
    let name = path.display().to_string();
    let bytes = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let Ok(text) = String::from_utf8(bytes) else {
        bail!("{name}: the file is not UTF-8 text; expected requests separated by lines that begin with ###");
    };
    let mut reader = Reader { file: path, name, variables: HashMap::new() };
    let lines: Vec<_> = (1..).zip(text.trim_start_matches('\u{feff}').lines()).collect();
    let mut probes = Vec::new();
    let mut title = "";
    let mut rest = lines.as_slice();
    loop {
        let end = rest.iter().position(|(_, line)| line.starts_with(SEPARATOR)).unwrap_or(rest.len());
        let (block, after) = rest.split_at(end);
        probes.extend(reader.request(title, block)?);
        let Some(((_, separator), behind)) = after.split_first() else {
            break;
        };
        (title, rest) = (separator.trim_start_matches('#').trim(), behind);
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
    /// Parses the lines between two separators. Returns `None` where there is no
    /// request.
    fn request(&mut self, title: &str, block: &[Line<'_>]) -> anyhow::Result<Option<Probe>> {
        let mut expected = Vec::new();
        let mut lines = block.iter().copied();
        let (start, request) = loop {
            let Some((number, line)) = lines.next() else {
                match expected.first() {
                    None => return Ok(None),
                    Some(Expected { place, .. }) => {
                        let place = place.as_ref().map_or(0, |place| place.line);
                        bail!(
                            "{}: this expectation belongs to no request; expected METHOD TARGET, such as GET /",
                            self.at(place)
                        );
                    }
                }
            };
            if self.is_blank_or_comment(number, line, &mut expected)? {
                continue;
            }
            match line.strip_prefix('@').and_then(|variable| variable.split_once('=')) {
                Some((name, value)) => {
                    let value = self.filled_in(number, value.trim())?;
                    self.variables.insert(name.trim().to_owned(), value);
                }
                None => break (number, self.filled_in(number, line)?),
            }
        };
        let mut asked = self.request_line(start, &request)?;
        let mut body = Vec::new();
        let mut part = Part::Fields;
        for (number, line) in lines {
            let is_expectation = line.starts_with('>');
            match part {
                _ if is_expectation => part = Part::Expectations,
                Part::Fields if line.trim().is_empty() => {
                    part = Part::Body;
                    continue;
                }
                Part::Fields if self.is_blank_or_comment(number, line, &mut expected)? => continue,
                Part::Fields => {
                    let field = self.filled_in(number, line)?;
                    asked.add_field(&field).map_err(|why| self.wrong(number, &why))?;
                    continue;
                }
                Part::Body => {
                    body.push((number, line));
                    continue;
                }
                Part::Expectations if self.is_blank_or_comment(number, line, &mut expected)? => continue,
                Part::Expectations => {
                    let why = format!("expected a line that begins with > or ###, found `{line}`");
                    return Err(self.wrong(number, &why));
                }
            }
            self.expectation(number, line.trim_start_matches('>'), &mut expected)?;
        }
        asked.set_body(self.body(&body)?);
        if !expected.iter().any(is_about_the_status) {
            expected.push(Expected { what: Expectation::Good, place: Some(self.at(start)) });
        }
        Ok(Some(Probe { asked, expected, place: Some(self.at(start)), name: title.to_owned() }))
    }

    /// Returns whether a line is empty or a comment. Adds an expectation that the
    /// comment holds.
    fn is_blank_or_comment(
        &self,
        number: usize,
        line: &str,
        expected: &mut Vec<Expected>,
    ) -> anyhow::Result<bool> {
        let comment = line.strip_prefix("//").or_else(|| line.strip_prefix('#'));
        if let Some(text) = comment.and_then(|comment| comment.trim_start().strip_prefix("> ")) {
            self.expectation(number, text, expected)?;
        }
        Ok(comment.is_some() || line.trim().is_empty())
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
        expected.push(Expected { what, place: Some(self.at(number)) });
        Ok(())
    }

    fn request_line(&self, number: usize, line: &str) -> anyhow::Result<Asked> {
        let mut words = line.split_ascii_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let version = words.next().unwrap_or("HTTP/1.1");
        if target.is_empty() || !version.starts_with("HTTP/") || words.next().is_some() {
            let why = format!("expected METHOD TARGET [HTTP/1.1], found `{line}`");
            return Err(self.wrong(number, &why));
        }
        Asked::new(method, target).map_err(|why| self.wrong(number, &why))
    }

    /// Returns the lines of a body without trailing empty ones, or the content of
    /// the file that a single line `< FILE` names.
    fn body(&self, lines: &[Line<'_>]) -> anyhow::Result<Vec<u8>> {
        let end = lines.iter().rposition(|(_, line)| !line.trim().is_empty()).map_or(0, |last| last + 1);
        let (lines, _) = lines.split_at(end);
        if let [(number, line)] = lines
            && let Some(name) = line.strip_prefix("< ")
        {
            let path = self.file.parent().unwrap_or(Path::new("")).join(name.trim());
            return fs::read(&path)
                .with_context(|| format!("{}: cannot read {}", self.at(*number), path.display()));
        }
        let lines = lines.iter().map(|(number, line)| self.filled_in(*number, line));
        Ok(lines.collect::<Result<Vec<_>, _>>()?.join("\n").into_bytes())
    }

    /// Replaces each `{{name}}` in a line by its value.
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

    fn at(&self, line: usize) -> Place {
        Place { file: self.name.clone(), line }
    }

    fn wrong(&self, line: usize, why: &str) -> anyhow::Error {
        anyhow::anyhow!("{}: {why}", self.at(line))
    }
}

enum Part {
    Fields,
    Body,
    Expectations,
}

fn is_about_the_status(expected: &Expected) -> bool {
    matches!(expected.what, Expectation::Status(_) | Expectation::Reason(..))
}
