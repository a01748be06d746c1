//! `host replay`: sends recorded requests again, and reports whether they end as
//! recorded.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use host_http::quote::quoted;
use host_wasm::{CallError, Handler};

use crate::cli::loader::{self, Loader};
use crate::cli::output::{one_line, print};
use crate::config::limits::Limits;
use crate::config::value::COUNT_MAX;
use crate::config::values::ValueFlags;
use crate::fault::Fault;
use crate::record::file::{Recorded, is_recorded};
use crate::site::version::hash;
use crate::trial::exchange::{Answer, call};

/// Maximum number of bytes that the output shows of a body.
const BODY_MAX: usize = 120;

/// Arguments of `host replay`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "A request is the exact bytes that the handler received, including id and time, so the same \
                  module handles it identically, except for masked values (--record-secrets) and faults that depend on \
                  the speed of this machine.\n\n\
                  Exit code: 0 when all requests end as recorded with MODULE, or with --expect-fixed when all are \
                  answered with a status below 500; 1 otherwise."
)]
pub struct Replay {
    /// Recorded requests, or folders of them
    #[arg(value_name = "DIR|FILE", required = true)]
    requests: Vec<PathBuf>,
    /// Module: WebAssembly, binary (.wasm) or text (.wat)
    #[arg(long, value_name = "MODULE")]
    module: PathBuf,
    /// Second module, whose outcomes are compared with those of --module
    #[arg(long, value_name = "MODULE")]
    against: Option<PathBuf>,
    /// Succeed when MODULE answers every request with a status below 500, so that each recorded fault
    /// is fixed
    #[arg(long)]
    expect_fixed: bool,
    /// Values for the module.
    #[command(flatten)]
    values: ValueFlags,
    /// Limits of the calls.
    #[command(flatten)]
    limits: Limits,
}

pub(super) async fn run(replay: &Replay) -> anyhow::Result<bool> {
    let files = find(&replay.requests)?;
    let loader = Loader::new(&replay.limits, &replay.values)?;
    let module = loader.load(&replay.module).await?;
    let sha256 = hash(&loader::read(&replay.module, &replay.limits)?);
    let other = match &replay.against {
        Some(path) => Some(loader.load(path).await?),
        None => None,
    };
    let mut different = 0;
    for file in &files {
        // A request larger than an instance's memory cannot have been recorded.
        let mut recorded = Recorded::read(file, replay.limits.call.memory_max)?;
        // A request to a module that draws no random bits is recorded without a seed, but
        // the module of `--against` may draw some.
        recorded.message.seed.get_or_insert([0; 32]);
        let found = send(&recorded, &module).await;
        let against = match &other {
            Some(other) => Some(send(&recorded, other).await),
            None => None,
        };
        let is_same = is_recorded_fault(&found, &recorded);
        let is_fixed = found.as_ref().is_ok_and(|answer| answer.status.as_u16() < 500);
        let is_good = if replay.expect_fixed { is_fixed } else { is_same };
        different += usize::from(!is_good);
        let verdict = match (replay.expect_fixed, is_good) {
            (false, true) => "same   ",
            (false, false) => "DIFFERS",
            (true, true) => "fixed  ",
            (true, false) => "FAILS  ",
        };
        let (method, target) = recorded.request_line();
        let (file, outcome) = (file.to_string_lossy(), describe(&found));
        let mut text = format!("{verdict} {}: {method} {target}: {outcome}\n", one_line(&file));
        if !is_good {
            text.push_str(&difference(&recorded, &sha256));
        }
        if let Some(against) = against {
            let is_alike = is_like(&against, &found);
            let what = if is_alike { "the same".into() } else { describe(&against) };
            text.push_str(&format!("        against: {what}\n"));
        }
        print(text);
    }
    let good = files.len() - different;
    print(match replay.expect_fixed {
        true => format!("{good} fixed, {different} not\n"),
        false => format!("{good} as recorded, {different} otherwise\n"),
    });
    Ok(different == 0)
}

/// Returns the given files, and for each given folder the recorded requests in it, oldest first.
fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let names = recorded_in(path).with_context(|| format!("cannot read {}", path.display()))?;
        files.extend(names.iter().map(|name| path.join(name)));
    }
    if files.is_empty() {
        bail!("no recorded requests found; expected files that `host --record DIR` has written");
    }
    Ok(files)
}

/// Returns the sorted names of the recorded requests in a folder.
fn recorded_in(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        // No server keeps more files than this.
        if name.to_str().is_some_and(is_recorded) && names.len() < COUNT_MAX {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

type Outcome = Result<Answer, Fault>;

async fn send(recorded: &Recorded, module: &Handler) -> Outcome {
    let (method, _) = recorded.request_line();
    call(module, &recorded.message, &method).await.0
}

/// Returns whether an outcome is the recorded fault. Ignores the cause of a missed deadline, which
/// says where the call was and differs from run to run.
fn is_recorded_fault(outcome: &Outcome, recorded: &Recorded) -> bool {
    outcome.as_ref().is_err_and(|fault| {
        let cause = one_line(&fault.to_string()).to_string();
        let is_cause = is_late(fault) || cause.trim() == recorded.cause;
        fault.entry().name == recorded.fault && is_cause
    })
}

fn is_late(fault: &Fault) -> bool {
    matches!(fault, Fault::Call(CallError::Deadline { .. }))
}

fn is_like(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            one.status_text() == other.status_text() && one.fields == other.fields && one.body == other.body
        }
        (Err(one), Err(other)) => (is_late(one) && is_late(other)) || one.to_string() == other.to_string(),
        _ => false,
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Ok(answer) => {
            let (status, length) = (answer.status_text(), answer.body.len());
            let body = answer.text();
            format!("{}, {length} bytes: {}", one_line(&status), quoted(&body, BODY_MAX))
        }
        Err(fault) => format!("{}: {}", fault.entry().name, one_line(&fault.to_string())),
    }
}

/// Describes the recorded fault, and possible reasons why the replay ended differently. `sha256` is
/// the hash of the module that the replay called.
fn difference(recorded: &Recorded, sha256: &str) -> String {
    let (fault, cause) = (one_line(&recorded.fault), one_line(&recorded.cause));
    let mut text = format!("        recorded: {fault}: {cause}\n");
    if recorded.sha256 != sha256 {
        let start = one_line(recorded.sha256.get(..12).unwrap_or(&recorded.sha256));
        text.push_str(&format!(
            "        recorded with another module: version {}, sha256 {start}\n",
            recorded.version
        ));
    }
    if !recorded.masked.is_empty() {
        let masked = recorded.masked.join(", ");
        text.push_str(&format!("        masked fields, which may be the cause: {}\n", one_line(&masked)));
    }
    text
}
