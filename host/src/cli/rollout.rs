//! Commands about rollouts: `host rollout` and `host shadow`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use humantime::format_duration;

use crate::admin::protocol::{Aborted, Status};
use crate::cli::ask;
use crate::cli::client::{self, Ask, OfSite, Server};
use crate::cli::upload;
use crate::config::value::{duration, duration_or_none, showable, version_number};
use crate::rollout::assign::Key;
use crate::rollout::evidence::Evidence;
use crate::rollout::plan::{Plan, Slower};
use crate::rollout::plan_flags::{percent, requests};
use crate::rollout::report::accept::Pattern;
use crate::rollout::report::number::counted;
use crate::rollout::share::{Share, Steps};
use crate::site::outcome::Outcome;
use crate::site::rollout_status::{RolloutState, RolloutStatus};

/// Minimum evidence for `host rollout status` to say that the candidate is too slow at a class of
/// requests. With less evidence, calls may have taken longer by chance.
const SHOWN_MIN: f64 = 10.0;

/// Exit code of `host rollout status` when the candidate was rejected.
const REJECTED: u8 = 4;

/// Exit code of `host rollout status` when the rollout waits for an operator.
const STOPPED: u8 = 5;

/// Time between two requests for the state by `host rollout status --wait`.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Commands about rollouts.
#[derive(Clone, Debug, Subcommand)]
pub enum Rollouts {
    /// Roll out a module: it serves a share of the clients, step by step, and is rolled back if it is
    /// worse than the current version. Or show and steer the rollout of a running server
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Rollout {
        /// What to do with the rollout in progress.
        #[command(subcommand)]
        order: Option<Order>,
        /// Module and plan of the rollout to begin.
        #[command(flatten)]
        begin: Box<Begin>,
    },
    /// Send copies of live requests to a module, and compare its answers with those of the current
    /// version. No client gets an answer of the module. host rollout status shows the report, host
    /// rollout abort ends the shadow
    Shadow {
        /// Module: WebAssembly, binary (.wasm) or text (.wat); - is standard input
        file: PathBuf,
        /// Share of the requests that are copied [default: that of the server, --rollout-percent]
        #[arg(long, value_name = "SHARE", value_parser = percent)]
        percent: Option<Share>,
        /// Time for which the module gets copies of requests
        #[arg(long = "for", value_name = "TIME", default_value = "10min", value_parser = duration)]
        time: Duration,
        /// Differences that the gate accepts.
        #[command(flatten)]
        accepted: Accepted,
        /// Choice of the server and the site.
        #[command(flatten)]
        whose: Whose,
    },
}

/// Choice of the server and the site.
#[derive(Clone, Debug, clap::Args)]
pub struct Whose {
    #[command(flatten)]
    of: OfSite,
    #[command(flatten)]
    server: Server,
}

/// Differences that the gate accepts when a module is tried on the requests of the journal.
#[derive(Clone, Debug, clap::Args)]
pub struct Accepted {
    /// Requests that the module may answer in another way when it is tried by the gate, such as
    /// 'GET /about*', where * stands for any characters; repeatable
    #[arg(long, value_name = "'[METHOD] TARGET'")]
    accept: Vec<Pattern>,
    /// Let the module pass the gate even if all its answers differ from those of the current version,
    /// or are faults
    #[arg(long)]
    accept_all: bool,
}

/// Module and plan of a rollout to begin. For flags that are not given, the settings of the server
/// hold.
#[derive(Clone, Debug, clap::Args)]
pub struct Begin {
    /// Module: WebAssembly, binary (.wasm) or text (.wat); - is standard input
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Shares of the clients that the module serves, one after the other [default: those of the
    /// server, --rollout]
    #[arg(long, value_name = "SHARES")]
    steps: Option<Steps>,
    /// Shortest time of each step [default: that of the server, --rollout-hold]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    hold: Option<Duration>,
    /// Time for which the module gets copies of requests, before the first step [default: that of the
    /// server, --rollout-shadow]
    #[arg(long, value_name = "TIME", value_parser = duration_or_none)]
    shadow: Option<Duration>,
    /// Share of requests that run again on both versions [default: that of the server,
    /// --rollout-percent]
    #[arg(long, value_name = "SHARE", value_parser = percent)]
    percent: Option<Share>,
    /// What tells clients apart: client (the address), cookie:NAME or header:NAME [default: as the
    /// server has it, --rollout-key]
    #[arg(long, value_name = "KEY")]
    key: Option<Key>,
    /// Ratio of the times of a call above which the module is too slow, or off [default: that of the
    /// server, --slower]
    #[arg(long, value_name = "RATIO")]
    slower: Option<Slower>,
    /// Minimum number of requests that the module answers in a step before the next step begins
    /// [default: that of the server, --rollout-requests]
    #[arg(long, value_name = "N", value_parser = requests)]
    requests: Option<u64>,
    /// Longest time that a step waits, after --hold, for the number of --requests [default: that of
    /// the server, --rollout-wait]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,
    /// Roll out only if this version is current
    #[arg(long, value_name = "N", value_parser = version_number)]
    if_version: Option<u64>,
    #[command(flatten)]
    accepted: Accepted,
    #[command(flatten)]
    whose: Whose,
}

/// Commands that show or steer the latest rollout.
#[derive(Clone, Debug, Subcommand)]
pub enum Order {
    /// Show the latest rollout, and what was found about the module. Exit code 0: the rollout goes
    /// on, is paused or done; 4: the module was rejected; 5: the rollout has stopped, and waits for
    /// an operator; 1: there was no rollout, or no answer
    Status {
        /// Wait until the rollout is done, rejected, paused or stopped
        #[arg(long)]
        wait: bool,
        /// Choice of the server and the site.
        #[command(flatten)]
        whose: Whose,
    },
    /// Pause the rollout: the module keeps its share of the clients
    Pause(Whose),
    /// Resume a rollout that is paused or has stopped; its step begins anew
    Resume(Whose),
    /// Let the module serve all clients at once; further steps are skipped
    Promote(Whose),
    /// End the rollout: all clients get the current version. Without a rollout, end the work on a
    /// module that is being compiled or tried
    Abort(Whose),
}

impl Rollouts {
    pub(super) fn is_json(&self) -> bool {
        match self {
            Rollouts::Rollout { order: Some(order), .. } => order.whose().server.json,
            Rollouts::Rollout { begin, .. } => begin.whose.server.json,
            Rollouts::Shadow { whose, .. } => whose.server.json,
        }
    }
}

impl Order {
    fn whose(&self) -> &Whose {
        let (Order::Status { whose, .. }
        | Order::Pause(whose)
        | Order::Resume(whose)
        | Order::Promote(whose)
        | Order::Abort(whose)) = self;
        whose
    }
}

/// Runs `host rollout` or `host shadow`. `describe` returns the text and the exit code for the
/// server's reply to the module that was sent.
///
/// # Errors
///
/// One line: why the server could not be reached, or why it refused the command.
pub(super) fn run(what: Rollouts, describe: fn(&Outcome) -> (String, ExitCode)) -> anyhow::Result<ExitCode> {
    match what {
        Rollouts::Rollout { order: Some(order), .. } => carry_out(&order),
        Rollouts::Rollout { begin, .. } => {
            let file = begin.file.as_ref().context("expected a module, or an order such as status")?;
            let Begin { steps, hold, shadow, percent, key, slower, requests, wait, .. } = &*begin;
            let time = |time: &Option<Duration>| time.map(|time| format_duration(time).to_string());
            let parameters = [
                ("steps", steps.as_ref().map(ToString::to_string)),
                ("hold", time(hold)),
                ("shadow", time(shadow)),
                ("percent", percent.as_ref().map(ToString::to_string)),
                ("key", key.as_ref().map(ToString::to_string)),
                ("slower", slower.as_ref().map(ToString::to_string)),
                ("requests", requests.as_ref().map(ToString::to_string)),
                ("wait", time(wait)),
            ];
            send(file, &parameters, &begin.accepted, begin.if_version, &begin.whose, describe)
        }
        Rollouts::Shadow { file, percent, time, accepted, whose } => {
            let parameters = [
                ("steps", Some("off".to_owned())),
                ("shadow", Some(format_duration(time).to_string())),
                ("percent", percent.map(|share| share.to_string())),
            ];
            send(&file, &parameters, &accepted, None, &whose, describe)
        }
    }
}

/// Sends a module and the parameters in `plan` to a server, which then begins a rollout or a
/// shadow. Prints the outcome.
fn send(
    file: &Path,
    plan: &[(&str, Option<String>)],
    Accepted { accept, accept_all }: &Accepted,
    if_version: Option<u64>,
    Whose { of, server }: &Whose,
    describe: fn(&Outcome) -> (String, ExitCode),
) -> anyhow::Result<ExitCode> {
    upload::look(file)?;
    let Status { module_max, swap_seconds, .. } = ask::status(server)?;
    let (name, bytes) = upload::read(file, module_max)?;
    let accept: Vec<_> = accept.iter().map(ToString::to_string).collect();
    let mut parameters = vec![("name", ask::end_of(&name))];
    parameters.extend(plan.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    parameters.extend(accept.iter().map(|pattern| ("accept", pattern.as_str())));
    parameters.extend(accept_all.then_some(("accept-all", "true")));
    let target = of.target("/v1/rollout", &parameters);
    let ask = Ask::post(&target, if_version, bytes, Duration::from_secs(swap_seconds));
    ask::show(server, ask, describe)
}

fn carry_out(order: &Order) -> anyhow::Result<ExitCode> {
    let Whose { of, server } = order.whose();
    let path = match order {
        Order::Status { wait, .. } => {
            let target = of.target("/v1/rollout", &[]);
            while *wait && ask::get::<RolloutStatus>(server, &target)?.state.goes_on() {
                thread::sleep(BETWEEN_LOOKS);
            }
            return ask::show(server, Ask::get(&target), show_status);
        }
        Order::Pause(_) => "/v1/rollout/pause",
        Order::Resume(_) => "/v1/rollout/resume",
        Order::Promote(_) => "/v1/rollout/promote",
        Order::Abort(_) => "/v1/rollout/abort",
    };
    let target = of.target(path, &[]);
    let ask = Ask::post(&target, None, Vec::new(), client::TIMEOUT);
    match order {
        Order::Abort(_) => ask::show(server, ask, show_aborted),
        _ => ask::show(server, ask, |status| (first_line(status), ExitCode::SUCCESS)),
    }
}

fn show_aborted(Aborted { version, serving }: &Aborted) -> (String, ExitCode) {
    let text = match version {
        Some(version) => ended(*version, *serving),
        None => format!("ended the work on a module; version {serving} serves all clients\n"),
    };
    (text, ExitCode::SUCCESS)
}

/// Returns the line that says that the rollout of `version` was ended, and that version `serving`
/// serves all clients.
pub(super) fn ended(version: u64, serving: u64) -> String {
    format!("ended the rollout of version {version}; version {serving} serves all clients\n")
}

/// Describes the state and the progress of a rollout.
fn first_line(status: &RolloutStatus) -> String {
    let RolloutStatus { version, serving, state, cause, plan, step, share, .. } = status;
    let (seconds, requests) = (status.phase_seconds, status.phase_requests);
    let time = |time: Duration| format!("{seconds} s of {}", showable(time));
    let place = match (step, share) {
        (Some(step), Some(share)) => {
            format!("step {step} of {}, {share} of the clients", plan.steps.shares().len())
        }
        _ => "copies of requests".into(),
    };
    let others = if step.is_some() { "the other clients" } else { "all clients" };
    let others = format!("version {serving} serves {others}");
    let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    match state {
        RolloutState::Shadow => {
            format!("version {version} gets {place}, {}; {others}\n", time(plan.shadow))
        }
        RolloutState::Canary => {
            let requests =
                format!("{requests} of at least {}", counted(plan.requests, "request", "requests"));
            format!("rolling out version {version}: {place}, {}, {requests}; {others}\n", time(plan.hold))
        }
        RolloutState::Paused => format!("the rollout of version {version} is paused: {place}; {others}\n"),
        RolloutState::Stopped => format!(
            "the rollout of version {version} has stopped: {place}{cause}; {others}\nremedy: host rollout resume \
             waits again, promote lets the version serve all clients, abort ends the rollout\n"
        ),
        RolloutState::Published => format!("the rollout of version {version} is done: it was published\n"),
        RolloutState::Rejected => format!("version {version} was rejected{cause}\n"),
        RolloutState::Over => format!("the shadow of version {version} is over\n"),
    }
}

fn show_status(status: &RolloutStatus) -> (String, ExitCode) {
    let RolloutStatus { plan, begun, served, failed, left_out, evidence, report, .. } = status;
    let mut text = first_line(status);
    let Plan { key, requests, wait, .. } = plan;
    let _ = writeln!(text, "begun {begun}, plan: {plan}");
    if !plan.steps.is_off() {
        let (wait, requests) = (showable(*wait), counted(*requests, "request", "requests"));
        let _ = writeln!(text, "clients by {key}; a step waits up to {wait} for {requests}");
    }
    let answered = counted(*served, "request", "requests");
    let _ = writeln!(text, "the candidate answered {answered}, of which {failed} failed");
    text += &show_evidence(evidence);
    let _ = writeln!(text, "\nSample of requests that ran again on both versions ({left_out} were left out)");
    let _ = writeln!(text, "{report}");
    let code = match status.state {
        RolloutState::Rejected => ExitCode::from(REJECTED),
        RolloutState::Stopped => ExitCode::from(STOPPED),
        _ => ExitCode::SUCCESS,
    };
    (text, code)
}

fn show_evidence(Evidence { worse, better, evidence, limit, times }: &Evidence) -> String {
    let mut text = format!(
        "requests that only the candidate fails: {worse}, and the other way round: {better} (evidence \
         {evidence:.1}, limit {limit:.0})\n"
    );
    for each in times.iter().filter(|each| each.evidence >= SHOWN_MIN) {
        let _ = writeln!(
            text,
            "too slow in {}: {} of {}, and the other way round: {} (evidence {:.1}, limit {:.0})",
            each.class, each.slower, each.pairs, each.faster, each.evidence, each.limit
        );
    }
    text
}
