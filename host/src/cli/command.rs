//! Commands that talk to a running server: requests, output and exit codes. Exit code 0: the server
//! has done what was asked; 1: it has not; 3: it has, but the version would not survive a restart.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Subcommand;
use serde::Serialize;

use crate::admin::protocol::{Reloaded, Rollback, SiteOutcome, Status, Upgraded};
use crate::cli::ask::{STATUS, end_of, show, status};
use crate::cli::client::{self, Ask, OfSite, Server};
use crate::cli::config::{self, Config};
use crate::cli::dev::Dev;
use crate::cli::events;
use crate::cli::insight::{self, Insight};
use crate::cli::output::print;
use crate::cli::proof::{self, Proof};
use crate::cli::rollout::{self, Rollouts};
use crate::cli::status::show_status;
use crate::cli::tool::{self, Tool};
use crate::cli::upload;
use crate::config::site::DEFAULT;
use crate::config::value::version_number;
use crate::rollout::report::accept::Pattern;
use crate::site::entry::Entry;
use crate::site::outcome::Outcome;

/// Exit code when a version serves but would not survive a restart.
const NOT_DURABLE: u8 = 3;

/// Commands for a running server, and tools that need none.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Swap the handler of a running server, and wait until the new version serves
    /// or is rejected
    Swap {
        /// Module: WebAssembly, binary (.wasm) or text (.wat); - is standard input
        file: PathBuf,
        /// Swap only if this version is current
        #[arg(long, value_name = "N", value_parser = version_number)]
        if_version: Option<u64>,
        /// Requests that the new version may answer in another way, such as 'GET /about*', where *
        /// stands for any characters; repeatable
        #[arg(long, value_name = "'[METHOD] TARGET'")]
        accept: Vec<Pattern>,
        /// Accept every difference from the answers of the current version, also faults
        #[arg(long)]
        accept_all: bool,
        /// Let the new version serve all clients at once, although the server has a plan (--rollout)
        #[arg(long)]
        now: bool,
        /// Choice of the site.
        #[command(flatten)]
        of: OfSite,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Roll back to a kept version
    Rollback {
        /// Number of the version [default: the one that the current version
        /// replaced when it was swapped in]
        #[arg(value_parser = version_number)]
        version: Option<u64>,
        /// Roll back only if this version is current
        #[arg(long, value_name = "N", value_parser = version_number)]
        if_version: Option<u64>,
        /// Choice of the site.
        #[command(flatten)]
        of: OfSite,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// List the versions of a running server: when each became a candidate, and which version it
    /// replaced, to which host rollback goes back
    Versions {
        /// Choice of the site.
        #[command(flatten)]
        of: OfSite,
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
    /// Reload the configuration of a running server and read its module file again, as SIGHUP
    /// does, and wait for the outcome
    Reload {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Replace a running server by its program file as it is now, as SIGUSR2 does, and wait for the
    /// outcome. No connection is dropped; if the new process cannot serve, the old one goes on
    Upgrade {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Print the events of a running server, one a line, until the server ends: swaps, rollbacks,
    /// rejections, reloads, and faults of the handler and of the server
    Events {
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Commands about faults, readiness, certificates and the log.
    #[command(flatten)]
    Insight(Insight),
    /// Commands about the proof of candidates.
    #[command(flatten)]
    Proof(Proof),
    /// Commands about rollouts.
    #[command(flatten)]
    Rollouts(Rollouts),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Tools that need no running server.
    #[command(flatten)]
    Tool(Tool),
}

/// Runs a command. `develop` builds and serves a crate, for `host dev`.
///
/// # Errors
///
/// One line: why the command failed, for example because the server could not be reached or has
/// refused it.
pub fn run(command: Command, develop: impl FnOnce(Dev) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let is_json = match &command {
        Command::Swap { server, .. } | Command::Rollback { server, .. } => server.json,
        Command::Versions { server, .. } | Command::Status { server } => server.json,
        Command::Reload { server } | Command::Upgrade { server } => server.json,
        Command::Events { server } => server.json,
        Command::Insight(insight) => insight.is_json(),
        Command::Proof(proof) => proof.is_json(),
        Command::Rollouts(rollouts) => rollouts.is_json(),
        Command::Config(_) | Command::Tool(_) => false,
    };
    let result = carry_out(command, develop);
    if let (true, Err(error)) = (is_json, &result) {
        let failed = Failed { outcome: "failed", cause: format!("{error:#}") };
        print(serde_json::to_string(&failed)? + "\n");
    }
    result
}

/// JSON that `--json` prints if a command got no reply or an error.
#[derive(Serialize)]
struct Failed {
    outcome: &'static str,
    cause: String,
}

fn carry_out(command: Command, develop: impl FnOnce(Dev) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Swap { file, if_version, accept, accept_all, now, of, server } => {
            upload::look(&file)?;
            let Status { module_max, swap_seconds, .. } = status(&server)?;
            let (name, bytes) = upload::read(&file, module_max)?;
            let accept: Vec<_> = accept.iter().map(ToString::to_string).collect();
            let mut parameters = vec![("name", end_of(&name))];
            parameters.extend(accept.iter().map(|pattern| ("accept", pattern.as_str())));
            parameters.extend(accept_all.then_some(("accept-all", "true")));
            parameters.extend(now.then_some(("now", "true")));
            let target = of.target("/v1/versions", &parameters);
            let ask = Ask::post(&target, if_version, bytes, Duration::from_secs(swap_seconds));
            show(&server, ask, |outcome| show_outcome(outcome, false))
        }
        Command::Rollback { version, if_version, of, server } => {
            let body = serde_json::to_vec(&Rollback { version })?;
            let target = of.target("/v1/rollback", &[]);
            let ask = Ask::post(&target, if_version, body, client::TIMEOUT);
            show(&server, ask, |outcome| show_outcome(outcome, true))
        }
        Command::Versions { of, server } => {
            show(&server, Ask::get(&of.target("/v1/versions", &[])), show_versions)
        }
        Command::Status { server } => show(&server, Ask::get(STATUS), show_status),
        Command::Reload { server } => {
            let Status { swap_seconds, .. } = status(&server)?;
            let ask = Ask::post("/v1/reload", None, Vec::new(), Duration::from_secs(swap_seconds));
            show(&server, ask, show_reloaded)
        }
        Command::Upgrade { server } => {
            let Status { pid, upgrade_seconds, .. } = status(&server)?;
            let limit = Duration::from_secs(upgrade_seconds) + client::TIMEOUT;
            let ask = Ask::post("/v1/upgrade", None, Vec::new(), limit);
            show(&server, ask, |upgraded: &Upgraded| {
                let text =
                    format!("upgraded: process {} serves in the place of process {pid}\n", upgraded.pid);
                (text, ExitCode::SUCCESS)
            })
        }
        Command::Events { server } => events::follow(&server),
        Command::Insight(what) => insight::run(what),
        Command::Proof(what) => proof::run(what),
        Command::Rollouts(what) => rollout::run(what, |outcome| show_outcome(outcome, false)),
        Command::Config(what) => config::run(what),
        Command::Tool(tool) => tool::run(tool, develop),
    }
}

fn show_outcome(outcome: &Outcome, is_rollback: bool) -> (String, ExitCode) {
    match outcome {
        Outcome::Serving { version, sha256, replaced, replayed, not_durable } => {
            let how = if is_rollback { "rolled back from" } else { "which replaced" };
            let replayed =
                replayed.as_ref().map(|counts| format!("recent requests: {counts}\n")).unwrap_or_default();
            let text =
                format!("serving version {version} (sha256 {sha256}), {how} version {replaced}\n{replayed}");
            match not_durable {
                None => (text, ExitCode::SUCCESS),
                Some(cause) => (
                    format!("{text}not saved, so it would not survive a restart: {cause}\n"),
                    ExitCode::from(NOT_DURABLE),
                ),
            }
        }
        Outcome::RollingOut { version, sha256, serving, plan, replayed } => {
            let replayed =
                replayed.as_ref().map(|counts| format!("recent requests: {counts}\n")).unwrap_or_default();
            let text = match plan.steps.is_off() {
                true => format!(
                    "version {version} (sha256 {sha256}) gets copies of requests: {plan}\nversion {serving} serves \
                     all clients; host rollout status has the report\n"
                ),
                false => format!(
                    "rolling out version {version} (sha256 {sha256}): {plan}\nversion {serving} serves the other \
                     clients; host rollout status tells more\n"
                ),
            };
            let text = text + &replayed;
            (text, ExitCode::SUCCESS)
        }
        Outcome::RolloutEnded { version, serving } => (rollout::ended(*version, *serving), ExitCode::SUCCESS),
        Outcome::Unchanged { version } => {
            (format!("unchanged: version {version} serves these bytes already\n"), ExitCode::SUCCESS)
        }
        Outcome::Rejected { version, stage, cause, remedy, serving } => {
            let remedy = remedy.as_ref().map(|remedy| format!("remedy: {remedy}\n")).unwrap_or_default();
            let text = format!(
                "rejected version {version} in stage {stage}: {cause}\n{remedy}version {serving} goes on serving\n"
            );
            (text, ExitCode::FAILURE)
        }
        Outcome::Refused { cause, serving } => {
            (format!("refused: {cause}\nversion {serving} goes on serving\n"), ExitCode::FAILURE)
        }
    }
}

fn show_reloaded(reloaded: &Reloaded) -> (String, ExitCode) {
    let Reloaded { applied, needs_restart, sites, failed } = reloaded;
    let list = |keys: &Vec<String>| if keys.is_empty() { "none".into() } else { keys.join(", ") };
    let mut text = format!("reloaded; settings changed: {}\n", list(applied));
    if !needs_restart.is_empty() {
        let _ = writeln!(text, "need a restart: {}", list(needs_restart));
    }
    let mut all = ExitCode::SUCCESS;
    for SiteOutcome { site, outcome } in sites {
        let (shown, code) = show_outcome(outcome, false);
        let of = if site == DEFAULT { String::new() } else { format!("site {site}: ") };
        let _ = write!(text, "{of}{shown}");
        if code != ExitCode::SUCCESS {
            all = code;
        }
    }
    for cause in failed {
        let _ = writeln!(text, "not changed: {cause}");
        all = ExitCode::FAILURE;
    }
    (text, all)
}

fn show_versions(entries: &Vec<Entry>) -> (String, ExitCode) {
    let mut text = format!(
        "{:>7}  {:<9}  {:>8}  {:<20}  {:<12}  {:>9}  origin\n",
        "version", "state", "replaced", "made", "sha256", "size"
    );
    for entry in entries {
        let hash = entry.sha256.get(..12).unwrap_or(&entry.sha256);
        let size = ByteSize(entry.size as u64).to_string();
        let reason = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let replaced = entry.replaced.map_or("-".into(), |number| number.to_string());
        let share = entry.share.as_ref().map(|share| format!(", {share} of the clients")).unwrap_or_default();
        let replayed =
            entry.replayed.map(|counts| format!(", recent requests: {counts}")).unwrap_or_default();
        let Entry { number, state, time, origin, .. } = entry;
        let _ = writeln!(
            text,
            "{number:>7}  {state:<9}  {replaced:>8}  {time:<20}  {hash:<12}  {size:>9}  {origin}{share}{replayed}{reason}"
        );
    }
    (text, ExitCode::SUCCESS)
}
