//! Commands that talk to a running server: requests, output and exit codes. Exit
//! code 0: done; 1: not done; 3: done, but it would not survive a restart.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::Subcommand;
use serde::de::DeserializeOwned;

use crate::admin::place;
use crate::admin::protocol::{ErrorReply, Request, Status};
use crate::cli::serve::Serve;
use crate::cli::tool::{self, Tool};
use crate::site::history::Entry;
use crate::site::outcome::Outcome;
use crate::site::version::Origin;

/// Exit code when a version serves but would not survive a restart.
const NOT_DURABLE: u8 = 3;

/// Commands for a running server, and tools that need none.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Swap the handler of a running server, and wait until the new version serves
    /// or is rejected
    Swap {
        /// Module: WebAssembly, binary (.wasm) or text (.wat)
        file: PathBuf,
        /// Swap only if this version is current
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Roll back to a kept version
    Rollback {
        /// Number of the version [default: the one that the current version
        /// replaced]
        version: Option<u64>,
        /// Swap only if this version is current
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// List the versions of a running server
    Versions {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Show the state of a running server
    Status {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Tools that need no running server.
    #[command(flatten)]
    Tool(Tool),
}

/// Flags that choose the server and the output format.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// Port of the server, which determines its default control socket
    #[arg(long, value_name = "PORT", default_value_t = 4444)]
    pub port: u16,
    /// Control socket of the server, if it was started with --control
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub control: Option<PathBuf>,
    /// Print the reply of the server as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs a command. `develop` starts a server for a crate.
///
/// # Errors
///
/// One line: why the server could not be reached, or refused.
pub fn run(command: Command, develop: impl FnOnce(Serve) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Swap { file, if_version, server } => {
            let bytes = Origin::Path(file.clone()).read(usize::MAX - 1);
            let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
            let name = file.display().to_string();
            let request = Request::Swap { name, size: bytes.len(), if_version };
            show(&server, &request, &bytes, show_outcome)
        }
        Command::Rollback { version, if_version, server } => {
            show(&server, &Request::Rollback { version, if_version }, &[], show_outcome)
        }
        Command::Versions { server } => show(&server, &Request::Versions {}, &[], show_versions),
        Command::Status { server } => show(&server, &Request::Status {}, &[], show_status),
        Command::Tool(tool) => tool::run(tool, develop),
    }
}

fn show<R: DeserializeOwned>(
    server: &Server,
    request: &Request,
    module: &[u8],
    print: impl Fn(&R) -> (String, ExitCode),
) -> anyhow::Result<ExitCode> {
    let path = server.control.clone().unwrap_or_else(|| place::default_path(server.port));
    let line = ask(&path, request, module)?;
    if let Ok(ErrorReply { error }) = serde_json::from_str(&line) {
        bail!("the server refused the command: {error}");
    }
    let reply =
        serde_json::from_str(&line).with_context(|| format!("the server's reply is malformed: {line}"))?;
    let (text, code) = print(&reply);
    let text = if server.json { line } else { text };
    // A reader that closed its end, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(code)
}

fn ask(path: &Path, request: &Request, module: &[u8]) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!("no server answers at {} (is it running? choose it with --port or --control)", path.display())
    })?;
    // Another user's server could take the module and pretend to serve it.
    let user = rustix::net::sockopt::socket_peercred(&stream)
        .context("cannot determine the owner of the server")?
        .uid;
    if user != rustix::process::geteuid() && !user.is_root() {
        bail!(
            "the server at {} belongs to the user id {}; expected this user or root",
            path.display(),
            user.as_raw()
        );
    }
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    // A server may refuse before it has read everything; its reply is read all the
    // same.
    let _ = stream.write_all(line.as_bytes()).and_then(|()| stream.write_all(module));
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).context("cannot read the server's reply")?;
    if reply.is_empty() {
        bail!("the server closed the connection without a reply");
    }
    Ok(reply)
}

fn show_outcome(outcome: &Outcome) -> (String, ExitCode) {
    match outcome {
        Outcome::Serving { version, sha256, replaced, not_durable } => {
            let text =
                format!("serving version {version} (sha256 {sha256}), which replaced version {replaced}\n");
            match not_durable {
                None => (text, ExitCode::SUCCESS),
                Some(cause) => (
                    format!("{text}not saved, so it would not survive a restart: {cause}\n"),
                    ExitCode::from(NOT_DURABLE),
                ),
            }
        }
        Outcome::Unchanged { version } => {
            (format!("unchanged: version {version} serves these bytes already\n"), ExitCode::SUCCESS)
        }
        Outcome::Rejected { version, stage, cause, serving } => (
            format!(
                "rejected version {version} in stage {stage}: {cause}\nversion {serving} goes on serving\n"
            ),
            ExitCode::FAILURE,
        ),
        Outcome::Refused { cause, serving } => {
            (format!("refused: {cause}\nversion {serving} goes on serving\n"), ExitCode::FAILURE)
        }
    }
}

fn show_versions(entries: &Vec<Entry>) -> (String, ExitCode) {
    let mut text = format!(
        "{:>7}  {:<9}  {:<20}  {:<12}  {:>9}  origin\n",
        "version", "state", "since", "sha256", "size"
    );
    for entry in entries {
        let hash = entry.sha256.get(..12).unwrap_or(&entry.sha256);
        let size = ByteSize(entry.size as u64).to_string();
        let reason = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let Entry { number, state, time, origin, .. } = entry;
        let _ =
            writeln!(text, "{number:>7}  {state:<9}  {time:<20}  {hash:<12}  {size:>9}  {origin}{reason}");
    }
    (text, ExitCode::SUCCESS)
}

fn show_status(status: &Status) -> (String, ExitCode) {
    let Status {
        pid,
        host_version,
        uptime_seconds,
        urls,
        serving,
        resources,
        faults,
        threads,
        lost_log_lines,
    } = status;
    let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let faults = if faults.is_empty() { "none".into() } else { faults.join(", ") };
    let threads: Vec<_> = threads
        .iter()
        .map(|(name, thread)| match (thread.restarts, &thread.cause) {
            (0, _) | (_, None) => name.clone(),
            (restarts, Some(cause)) => format!("{name} (restarted {restarts} times, last because: {cause})"),
        })
        .collect();
    let text = format!(
        "host {host_version}, process {pid}, up for {uptime_seconds} s\nlistens on {}\nserves version {}: {}, {}, sha256 {}\n{resources}threads: {}\nlog lines lost: {lost_log_lines}\nfaults: {faults}\n",
        urls.join(" "),
        serving.number,
        serving.origin,
        ByteSize(serving.size as u64),
        serving.sha256,
        threads.join(", "),
    );
    (text, ExitCode::SUCCESS)
}
