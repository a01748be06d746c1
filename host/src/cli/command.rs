//! The commands that talk to a running server: what they send, what they print,
//! and their exit codes: 0 when what was asked for holds, 1 when it does not, and
//! 3 when it holds and would not survive a restart.

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
use crate::admin::protocol::{Complaint, Request, Status};
use crate::cli::dev::Dev;
use crate::cli::tool::{self, Tool};
use crate::site::history::Entry;
use crate::site::swapper::Outcome;
use crate::site::version::Origin;

/// The exit code when a version serves and would not survive a restart.
const NOT_DURABLE: u8 = 3;

/// What a running server can be told, and what can be done without one.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Swap the handler of a running server to a module, and wait until it serves or is rejected
    Swap {
        /// The module, binary or text
        file: PathBuf,
        /// Only if this version serves
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        /// Which server.
        #[command(flatten)]
        server: Server,
    },
    /// Go back to a version that is kept
    Rollback {
        /// Its number [default: the one that the version that serves has replaced]
        version: Option<u64>,
        /// Only if this version serves
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
        /// Which server.
        #[command(flatten)]
        server: Server,
    },
    /// List the versions of a running server's handler
    Versions {
        /// Which server.
        #[command(flatten)]
        server: Server,
    },
    /// Show what a running server is doing
    Status {
        /// Which server.
        #[command(flatten)]
        server: Server,
    },
    /// What needs no running server.
    #[command(flatten)]
    Tool(Tool),
}

/// Which server is meant, and how it is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Server {
    /// The port of the server, which tells its control socket
    #[arg(long, value_name = "PORT", default_value_t = 4444)]
    pub port: u16,
    /// The control socket of the server, if it was given one
    #[arg(long, value_name = "PATH", conflicts_with = "port")]
    pub control: Option<PathBuf>,
    /// Print the server's reply as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs a command. `develop` is what starts a server for a crate.
///
/// # Errors
///
/// One line: why the server could not be asked.
pub fn run(command: Command, develop: impl FnOnce(Dev) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
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
    if let Ok(Complaint { error }) = serde_json::from_str(&line) {
        bail!("the server refused: {error}");
    }
    let reply =
        serde_json::from_str(&line).with_context(|| format!("the server's reply is malformed: {line}"))?;
    let (text, code) = print(&reply);
    let text = if server.json { line } else { text };
    // Whoever reads it may have seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(code)
}

fn ask(path: &Path, request: &Request, module: &[u8]) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!("no server answers at {} (is it running? --port and --control say which)", path.display())
    })?;
    // Somebody else's server could take the module and say that it serves.
    let user =
        rustix::net::sockopt::socket_peercred(&stream).context("cannot tell whose server that is")?.uid;
    if user != rustix::process::geteuid() && !user.is_root() {
        bail!("the server at {} is another user's (of the user id {})", path.display(), user.as_raw());
    }
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    // A server that refuses says so before it has read everything.
    let _ = stream.write_all(line.as_bytes()).and_then(|()| stream.write_all(module));
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).context("the server's reply cannot be read")?;
    if reply.is_empty() {
        bail!("the server ended without a reply");
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
                    format!("{text}not kept: it would not survive a restart: {cause}\n"),
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
