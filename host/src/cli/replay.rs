//! `host replay`: sends recorded requests again, and reports whether they end as
//! recorded.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use host_http::quote::{Quoted, quoted};
use host_wasm::HandlerModule;

use crate::cli::bench;
use crate::cli::bench::Bench;
use crate::config::limits::{COUNT_MAX, Limits};
use crate::fault::Fault;
use crate::record::file::{Recorded, is_recorded};
use crate::site::version::hash;
use crate::trial::exchange::{Answer, call};

/// Longest part of a body that is shown, in bytes.
const BODY_MAX: usize = 120;

/// Arguments of `host replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "A request is the exact bytes that the handler received, including id and time, so the same \
                  module handles it identically, except for masked values (--record-secrets) and faults that depend on \
                  the speed of this machine.\n\n\
                  Exit code: 0 when all requests end as recorded with MODULE, 1 otherwise."
)]
pub struct Replay {
    /// Recorded requests, or folders of them
    #[arg(value_name = "DIR|FILE", required = true)]
    requests: Vec<PathBuf>,
    /// Module: WebAssembly, binary (.wasm) or text (.wat)
    #[arg(long, value_name = "MODULE")]
    module: PathBuf,
    /// Second module, whose outcomes are compared with those of the first
    #[arg(long, value_name = "MODULE")]
    against: Option<PathBuf>,
    /// Limits of the calls.
    #[command(flatten)]
    limits: Limits,
}

pub(super) fn run(replay: &Replay) -> anyhow::Result<ExitCode> {
    bench::show_log();
    let files = find(&replay.requests)?;
    let bench = Bench::new(&replay.limits)?;
    let (same, different) = bench::block_on(async {
        let module = bench.load(&replay.module).await?;
        let sha256 = hash(&bench::read(&replay.module, &replay.limits)?);
        let other = match &replay.against {
            Some(path) => Some(bench.load(path).await?),
            None => None,
        };
        let (mut same, mut different) = (0, 0);
        for file in &files {
            // A request larger than an instance's memory cannot have been recorded.
            let mut recorded = Recorded::read(file, replay.limits.memory_max)?;
            // A module that draws no random bits is recorded without a seed, and
            // `--against` may draw some.
            recorded.message.seed.get_or_insert([0; 32]);
            let found = send(&recorded, &module).await;
            let against = match &other {
                Some(other) => Some(send(&recorded, other).await),
                None => None,
            };
            let is_same = found.is(&recorded);
            *if is_same { &mut same } else { &mut different } += 1;
            let is_other = recorded.sha256 != sha256;
            let text = tell(file, &recorded, &found, against.as_ref(), is_other);
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Ok((same, different))
    })?;
    let _ = writeln!(io::stdout(), "{same} as recorded, {different} otherwise");
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the given files, and the recorded requests in the given folders in order
/// of time.
fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names =
            names.filter(|name| name.as_ref().map_or(true, |name| name.to_str().is_some_and(is_recorded)));
        // No server keeps more files than this.
        let names = names.take(COUNT_MAX).collect::<io::Result<Vec<_>>>();
        let mut names = names.with_context(|| format!("cannot read {}", path.display()))?;
        names.sort();
        files.extend(names.iter().map(|name| path.join(name)));
    }
    if files.is_empty() {
        bail!("no recorded requests found; expected files that `host --record DIR` has written");
    }
    Ok(files)
}

/// Outcome of a request.
enum Outcome {
    Answer(Answer),
    Fault(Fault),
}

async fn send(recorded: &Recorded, module: &HandlerModule) -> Outcome {
    let (method, _) = recorded.request_line();
    match call(module, &recorded.message, &method).await.0 {
        Ok(answer) => Outcome::Answer(answer),
        Err(fault) => Outcome::Fault(fault),
    }
}

impl Outcome {
    /// Returns whether the outcome is the recorded fault.
    fn is(&self, recorded: &Recorded) -> bool {
        match self {
            Outcome::Answer(_) => false,
            Outcome::Fault(fault) => {
                let cause = shown(&fault.to_string()).to_string();
                (fault.entry().name, cause.trim()) == (recorded.fault.as_str(), recorded.cause.as_str())
            }
        }
    }

    fn is_like(&self, other: &Outcome) -> bool {
        match (self, other) {
            (Outcome::Answer(one), Outcome::Answer(other)) => {
                one.status_text() == other.status_text()
                    && one.fields == other.fields
                    && one.body == other.body
            }
            (Outcome::Fault(one), Outcome::Fault(other)) => one.to_string() == other.to_string(),
            _ => false,
        }
    }

    fn describe(&self) -> String {
        match self {
            Outcome::Answer(answer) => {
                let body = String::from_utf8_lossy(&answer.body);
                let (status, length) = (answer.status_text(), answer.body.len());
                format!("{}, {length} bytes: {}", shown(&status), quoted(&body, BODY_MAX))
            }
            Outcome::Fault(fault) => {
                format!("{}: {}", fault.entry().name, shown(&fault.to_string()))
            }
        }
    }
}

/// Escapes a text of a module or a file to one line.
fn shown(text: &str) -> Quoted<'_> {
    quoted(text, usize::MAX)
}

/// Describes the outcome in one line, and differences below.
fn tell(
    file: &Path,
    recorded: &Recorded,
    found: &Outcome,
    against: Option<&Outcome>,
    is_other: bool,
) -> String {
    let (method, target) = recorded.request_line();
    let is_same = found.is(recorded);
    let verdict = if is_same { "same   " } else { "DIFFERS" };
    let file = file.to_string_lossy();
    let mut text = format!("{verdict} {}: {method} {target}: {}\n", shown(&file), found.describe());
    if !is_same {
        let Recorded { fault, cause, .. } = recorded;
        text.push_str(&format!("        recorded: {}: {}\n", shown(fault), shown(cause)));
        if is_other {
            let start = shown(recorded.sha256.get(..12).unwrap_or(&recorded.sha256));
            text.push_str(&format!(
                "        recorded with another module: version {}, sha256 {start}\n",
                recorded.version
            ));
        }
        if !recorded.masked.is_empty() {
            let masked = recorded.masked.join(", ");
            let masked = shown(&masked);
            text.push_str(&format!("        masked fields, which may be the cause: {masked}\n"));
        }
    }
    if let Some(against) = against {
        let what = if against.is_like(found) { "the same".into() } else { against.describe() };
        text.push_str(&format!("        against: {what}\n"));
    }
    text
}
