//! Builds a crate into a WebAssembly module with Cargo. Compiler errors go to standard error and to
//! the caller.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// Rust target for which handlers are built.
const TARGET: &str = "wasm32-unknown-unknown";

/// Maximum number of bytes that are kept of Cargo's standard error.
const SAID_MAX: usize = 64 << 10;

/// Maximum wait for the end of the standard error of Cargo after Cargo has exited. A process that
/// Cargo has started, such as a compiler cache, may keep it open.
const SAID_TIMEOUT: Duration = Duration::from_secs(1);

/// Result of a successful build.
pub(super) struct Built {
    /// Path of the module.
    pub(super) module: PathBuf,
    /// Folders of all local crates in the build, including the crate of the module.
    pub(super) crates: Vec<PathBuf>,
    /// Duration of the build.
    pub(super) time: Duration,
}

/// Checks that a folder contains a crate, and that Rust and its WebAssembly target are installed.
pub(super) async fn check(folder: &Path) -> anyhow::Result<()> {
    if !folder.join("Cargo.toml").is_file() {
        bail!(
            "the folder {} has no Cargo.toml; expected a crate (`host new NAME` creates one, `host dev NAME` serves it)",
            folder.display()
        );
    }
    // rustc prints the path of the target even if it is not installed.
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(folder);
    let answer = rustc.output().await.context("cannot run rustc (install Rust from https://rustup.rs)")?;
    if !answer.status.success() {
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        bail!("rustc fails in {}: {}", folder.display(), said.lines().next().unwrap_or("no error message"));
    }
    if !Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir() {
        bail!(
            "the Rust target {TARGET} is missing; run `rustup target add {TARGET}` in {}",
            folder.display()
        );
    }
    Ok(())
}

/// Outcome of a build.
pub(super) enum Outcome {
    Built(Built),
    /// Errors of the compiler as text or, if there are none, the standard error of Cargo.
    Failed(String),
}

/// Builds the crate in a folder with `--release`.
///
/// A debug build would not save time: its module is ten times as large, so swapping it in takes
/// longer. It also needs a larger stack than the linker provides.
pub(super) async fn build(folder: &Path) -> anyhow::Result<Outcome> {
    let since = Instant::now();
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--target", TARGET, "--message-format"]);
    cargo.arg(if colour { "json-diagnostic-rendered-ansi" } else { "json" });
    // Cargo does not see the terminal.
    cargo.args(["--color", if colour { "always" } else { "never" }]);
    // A process group of its own, so that Cargo can be ended together with its
    // children.
    cargo
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut running =
        Running(cargo.spawn().context("cannot run cargo (install Rust from https://rustup.rs)")?);
    let output = running.0.stdout.take().context("cargo has no output")?;
    let said = running.0.stderr.take().context("cargo has no standard error")?;
    let said = tokio::spawn(pass_on(said));
    let mut lines = BufReader::new(output).lines();
    let (mut artifacts, mut errors) = (Vec::new(), String::new());
    while let Some(line) = lines.next_line().await.context("cannot read the output of cargo")? {
        match serde_json::from_str(&line) {
            Ok(Message::Artifact(artifact)) => artifacts.push(artifact),
            Ok(Message::Diagnostic { message: Diagnostic { rendered: Some(text), level } }) => {
                let _ = io::stderr().write_all(text.as_bytes());
                if level.starts_with("error") {
                    errors.push_str(&text);
                }
            }
            _ => {}
        }
    }
    if !running.0.wait().await.context("cannot wait for cargo")?.success() {
        if errors.is_empty()
            && let Ok(Ok(said)) = timeout(SAID_TIMEOUT, said).await
        {
            errors = said;
        }
        return Ok(Outcome::Failed(without_colours(&errors)));
    }
    let module = find_module(folder, &artifacts)?;
    let is_local = |artifact: &&Artifact| artifact.package_id.starts_with("path+");
    let crates = artifacts.iter().filter(is_local).filter_map(|artifact| artifact.manifest_path.parent());
    let crates = crates.map(Path::to_owned).collect();
    Ok(Outcome::Built(Built { module, crates, time: since.elapsed() }))
}

/// Copies the standard error of Cargo to that of this process, and returns its first [`SAID_MAX`]
/// bytes.
async fn pass_on(mut from: ChildStderr) -> String {
    let (mut said, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let piece = bytes.get(..length).unwrap_or_default();
        let _ = io::stderr().write_all(piece);
        let left = SAID_MAX.saturating_sub(said.len());
        said.extend_from_slice(piece.get(..left).unwrap_or(piece));
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Removes the escape sequences that colour a text on a terminal.
fn without_colours(text: &str) -> String {
    let Some((first, rest)) = text.split_once("\x1b[") else {
        return text.to_owned();
    };
    let rest = rest.split("\x1b[").map(|piece| piece.split_once('m').map_or(piece, |(_, plain)| plain));
    [first].into_iter().chain(rest).collect()
}

/// Returns the path of the module that the crate in `folder` builds. If that crate builds no
/// module, returns the only module that was built.
fn find_module(folder: &Path, artifacts: &[Artifact]) -> anyhow::Result<PathBuf> {
    let is_module = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "wasm");
    let modules =
        artifacts.iter().filter(|artifact| artifact.target.kind.iter().any(|kind| kind == "cdylib"));
    let modules = modules.filter_map(|artifact| Some((artifact, artifact.filenames.iter().find(is_module)?)));
    let modules: Vec<_> = modules.collect();
    let own = modules.iter().find(|(artifact, _)| artifact.manifest_path.parent() == Some(folder));
    match (own, modules.as_slice()) {
        (Some((_, path)), _) | (None, [(_, path)]) => Ok((*path).clone()),
        (None, []) => bail!(
            "the crate in {} builds no module; expected crate-type = [\"cdylib\", \"lib\"] under [lib] in its Cargo.toml",
            folder.display()
        ),
        (None, several) => bail!(
            "the workspace in {} builds {} modules; expected the folder of one crate",
            folder.display(),
            several.len()
        ),
    }
}

/// Running process of Cargo. Dropping it ends the process and its children.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `None` once Cargo has ended.
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Message of Cargo, reduced to the parts that are used.
#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact(Artifact),
    #[serde(rename = "compiler-message")]
    Diagnostic { message: Diagnostic },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Diagnostic {
    rendered: Option<String>,
    level: String,
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::without_colours;

    #[test]
    fn a_page_shows_errors_without_colours() {
        assert_eq!(without_colours("\x1b[0m\x1b[1m\x1b[38;5;9merror\x1b[0m: [a]"), "error: [a]");
        assert_eq!(without_colours("plain"), "plain");
    }
}
