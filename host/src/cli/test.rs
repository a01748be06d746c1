//! `host test`: sends the requests in files to a module, and compares the responses
//! with what is expected.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use host_http::quote::quoted;
use host_wasm::Usage;

use crate::cli::bench;
use crate::cli::bench::Bench;
use crate::config::limits::Limits;
use crate::fault::Fault;
use crate::trial::exchange::Answer;
use crate::trial::expectation::Expectation;
use crate::trial::probe::Probe;
use crate::trial::request_file::read as read_requests;

/// Longest line of a body that is shown, in bytes.
const LINE_MAX: usize = 200;

/// Most lines of a difference that are shown.
const LINES_MAX: usize = 40;

/// Format of the files, for the help.
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
a body; `# > 200`, above the request or among its headers, means the same as `> 200`. `@name = value` sets
{{name}} for the lines below.

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
    /// Files of requests
    #[arg(value_name = "FILE.http", required = true)]
    files: Vec<PathBuf>,
    /// Limits of the calls.
    #[command(flatten)]
    limits: Limits,
}

pub(super) fn run(test: &Test) -> anyhow::Result<ExitCode> {
    bench::show_log();
    let mut requests = Vec::new();
    for file in &test.files {
        requests.extend(read_requests(file)?);
    }
    let bench = Bench::new(&test.limits)?;
    let failed = bench::block_on(async {
        let module = bench.load(&test.module).await?;
        let mut failed = 0;
        for request in &requests {
            let (answer, usage) = request.asked.send_and_measure(&module).await;
            let (passed, text) = judge(request, &answer, &usage);
            failed += usize::from(!passed);
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Ok(failed)
    })?;
    let _ = writeln!(io::stdout(), "{} passed, {failed} failed", requests.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Describes an answer in one line, and below it each difference from what is
/// expected.
fn judge(request: &Probe, answer: &Result<Answer, Fault>, usage: &Usage) -> (bool, String) {
    let mut differences = String::new();
    let outcome = match answer {
        Ok(answer) => {
            for (expected, mismatch) in request.mismatches(answer) {
                let place = expected.place.as_ref().map(ToString::to_string).unwrap_or_default();
                let line = format!("{place}: answered {mismatch}");
                differences.push_str(&format!("      {}", quoted_lines(&line)));
                if let Expectation::Body(text) = &expected.what {
                    differences.push_str(&difference(text, &String::from_utf8_lossy(&answer.body)));
                }
            }
            answer.status_text()
        }
        Err(fault) => {
            let line = format!("{}: {fault}", fault.entry().name);
            differences.push_str(&format!("      {}", quoted_lines(&line)));
            "not answered".into()
        }
    };
    let passed = differences.is_empty();
    let verdict = if passed { "ok  " } else { "FAIL" };
    let place = request.place.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = if request.name.is_empty() { String::new() } else { format!(" ({})", request.name) };
    let time = usage.time.as_secs_f64() * 1e3;
    let line = format!("{verdict}  {place}: {request}{name}: {outcome}, {time:.2} ms\n");
    (passed, quoted_lines(&line) + &differences)
}

/// Escapes a text from a file, so that it cannot start a new line or control the
/// terminal.
fn quoted_lines(line: &str) -> String {
    format!("{}\n", quoted(line.trim_end(), usize::MAX))
}

/// Returns the lines in which two texts differ, without equal lines at both ends.
fn difference(expected: &str, found: &str) -> String {
    let [expected, found] = [expected, found].map(|text| text.split('\n').collect::<Vec<_>>());
    let alike = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let start = alike(&mut expected.iter().zip(&found));
    let shorter = expected.len().min(found.len());
    let end = alike(&mut expected.iter().rev().zip(found.iter().rev())).min(shorter - start);
    let mut text = String::new();
    for (sign, lines) in [('-', &expected), ('+', &found)] {
        let (_, differing) = lines.split_at(start);
        let (differing, _) = differing.split_at(differing.len() - end);
        for line in differing.iter().take(LINES_MAX) {
            let _ = writeln!(text, "        {sign} {}", quoted(line, LINE_MAX));
        }
        if differing.len() > LINES_MAX {
            let _ = writeln!(text, "        {sign} ... and {} more lines", differing.len() - LINES_MAX);
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
