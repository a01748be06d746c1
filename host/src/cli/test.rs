//! `host test`: sends the requests in files to a module, and compares the responses
//! with what is expected.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use host_http::quote::quoted;

use crate::cli::facts::FactFlags;
use crate::cli::loader::Loader;
use crate::cli::output::{one_line, print};
use crate::config::limits::Limits;
use crate::config::values::ValueFlags;
use crate::fault::Fault;
use crate::trial::exchange::{self, Answer};
use crate::trial::expectation::Expectation;
use crate::trial::probe::Probe;
use crate::trial::request_file::read as read_requests;

/// Maximum number of bytes that the output shows of a line of a body.
const LINE_MAX: usize = 200;

/// Maximum number of lines that the output shows of the expected body, and of the received one.
const LINES_MAX: usize = 40;

/// Format of request files, for the help of `host test`.
const FORMAT: &str = "\
A file holds requests, separated by lines that begin with ###, which may name the next request:

  @host = http://localhost:4444

  ### the front page
  GET {{host}}/ HTTP/1.1
  accept: text/html

  > 200
  > content-type: text/html
  > body contains: <h1>

A request is METHOD TARGET [HTTP/1.1], headers, an empty line, and a body up to the first line that begins
with >; the body `< FILE` is the content of that file. Lines that begin with # or // are comments, but not in
a body; `# > 200`, above the request or among its headers, means the same as `> 200`, and is an error in a
body. `@name = value` sets {{name}} for the lines below.

Expectations:
  > 200                     the status
  > 404 page not found      the status and its phrase
  > NAME: VALUE             a header; parameters after a ; may be left out
  > body: TEXT              the whole body; several such lines form one body
  > body contains: TEXT     a part of the body
Without an expected status, any status below 500 passes. A request that ends in a fault fails.

The server takes the same files as --probe-file.

Exit code: 0 when all responses are as expected, 1 otherwise.";

/// Arguments of `host test`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = FORMAT)]
pub struct Test {
    /// Module: WebAssembly, binary (.wasm) or text (.wat)
    module: PathBuf,
    /// Files of requests with the expected responses
    #[arg(value_name = "FILE.http", required = true)]
    files: Vec<PathBuf>,
    /// What a server would add to each request.
    #[command(flatten)]
    facts: FactFlags,
    /// Values for the module.
    #[command(flatten)]
    values: ValueFlags,
    /// Limits of the calls.
    #[command(flatten)]
    limits: Limits,
}

pub(super) async fn run(test: &Test) -> anyhow::Result<bool> {
    test.check_order()?;
    let mut probes = Vec::new();
    for file in &test.files {
        probes.extend(read_requests(file)?);
    }
    let loader = Loader::new(&test.limits, &test.values)?;
    let module = loader.load(&test.module).await?;
    let mut failed = 0;
    let facts = test.facts.facts();
    for probe in &probes {
        let (answer, usage) = exchange::send_with(&probe.request, &facts, &module).await;
        let (outcome, differences) = judge(probe, &answer);
        let has_passed = differences.is_empty();
        failed += usize::from(!has_passed);
        let verdict = if has_passed { "ok  " } else { "FAIL" };
        let name = if probe.name.is_empty() { String::new() } else { format!(" ({})", probe.name) };
        let time = usage.time.as_secs_f64() * 1e3;
        let line = format!("{verdict}  {}{probe}{name}: {outcome}, {time:.2} ms", probe.place);
        print(format!("{}\n{differences}", one_line(&line)));
    }
    print(format!("{} passed, {failed} failed\n", probes.len() - failed));
    Ok(failed == 0)
}

impl Test {
    /// Returns an error if the module is given after a file of requests instead of before all of
    /// them.
    fn check_order(&self) -> anyhow::Result<()> {
        let is_module = |path: &&PathBuf| path.extension().is_some_and(|end| end == "wasm" || end == "wat");
        if is_module(&&self.module) {
            return Ok(());
        }
        match self.files.iter().find(is_module) {
            Some(module) => {
                let (module, file) = (module.display(), self.module.display());
                bail!(
                    "the module comes first, and then the files of requests; expected: host test {module} {file}"
                )
            }
            None => Ok(()),
        }
    }
}

/// Returns the status of the answer as text, and lines that describe each difference from what is
/// expected. Without an answer, the lines describe the fault.
fn judge(probe: &Probe, answer: &Result<Answer, Fault>) -> (String, String) {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => {
            let line = format!("{}: {fault}", fault.entry().name);
            return ("not answered".into(), difference_line(&line));
        }
    };
    let mut differences = String::new();
    for (expected, mismatch) in probe.mismatches(answer) {
        differences.push_str(&difference_line(&format!("{}answered {mismatch}", expected.place)));
        if let Expectation::Body(text) = &expected.what {
            differences.push_str(&difference(text, &answer.text()));
        }
    }
    (answer.status_text(), differences)
}

fn difference_line(text: &str) -> String {
    format!("      {}\n", one_line(text.trim_end()))
}

/// Returns the lines in which two texts differ, marked with `-` and `+`. Omits equal lines at the
/// beginning and at the end.
fn difference(expected: &str, found: &str) -> String {
    let [expected, found] = [expected, found].map(|text| text.split('\n').collect::<Vec<_>>());
    let (mut expected, mut found) = (&*expected, &*found);
    while let ([one, expected_rest @ ..], [other, found_rest @ ..]) = (expected, found)
        && one == other
    {
        (expected, found) = (expected_rest, found_rest);
    }
    while let ([expected_rest @ .., one], [found_rest @ .., other]) = (expected, found)
        && one == other
    {
        (expected, found) = (expected_rest, found_rest);
    }
    let mut text = String::new();
    for (sign, lines) in [('-', expected), ('+', found)] {
        for line in lines.iter().take(LINES_MAX) {
            let _ = writeln!(text, "        {sign} {}", quoted(line, LINE_MAX));
        }
        if lines.len() > LINES_MAX {
            let _ = writeln!(text, "        {sign} ... and {} more lines", lines.len() - LINES_MAX);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_shows_the_lines_that_differ() {
        let shown = |a, b| difference(a, b).lines().map(str::trim).collect::<Vec<_>>().join("|");
        assert_eq!(shown("a\nb\nc", "a\nx\nc"), "- b|+ x");
        assert_eq!(shown("a\nb", "a\nb\n"), "+");
        assert_eq!(shown("a", "a\na"), "+ a");
        assert_eq!(shown("", "x"), "-|+ x");
    }
}
