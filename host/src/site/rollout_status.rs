//! State of a rollout, as `host rollout status` shows it.

use std::fmt;
use std::time::{Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::rollout::evidence::Evidence;
use crate::rollout::plan::Plan;
use crate::rollout::progress::{Halt, Phase, Progress};
use crate::rollout::report::outcomes::Report;
use crate::site::version::Label;

/// State of the latest rollout of a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStatus {
    /// Number of the candidate.
    pub version: u64,
    /// SHA-256 of the candidate in hexadecimal.
    pub sha256: String,
    /// Source of the candidate's module, such as the path of a file.
    pub origin: String,
    /// Number of the current version, which serves the other clients.
    pub serving: u64,
    /// State of the rollout.
    pub state: RolloutState,
    /// Reason for which the rollout has stopped, or its candidate was rejected; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
    /// Plan of the rollout.
    pub plan: Plan,
    /// Number of the step, counted from 1; absent in a shadow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<usize>,
    /// Share of the clients that get the candidate; absent in a shadow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<String>,
    /// Time at which the rollout began, in UTC.
    pub begun: String,
    /// Time since the current phase began or was resumed, in seconds.
    pub phase_seconds: u64,
    /// Number of requests that the candidate has answered in the current phase.
    pub phase_requests: u64,
    /// Number of requests that the candidate has answered in the whole rollout.
    pub served: u64,
    /// Number of requests that the candidate has failed in the whole rollout.
    pub failed: u64,
    /// Number of requests of the sample that did not run again, because too many waited or they
    /// were too large.
    pub left_out: u64,
    /// Evidence so far that the candidate is worse than the current version.
    pub evidence: Evidence,
    /// Report on the sample of requests that ran again on both versions.
    pub report: Report,
}

/// Short status of a rollout in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InProgress {
    /// Number of the candidate.
    pub version: u64,
    /// Source of the candidate's module, such as the path of a file.
    pub origin: String,
    /// State of the rollout.
    pub state: RolloutState,
    /// Number of the step, counted from 1; absent in a shadow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<usize>,
    /// Share of the clients that get the candidate; absent in a shadow.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub share: Option<String>,
    /// Reason for which the rollout has stopped; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

impl fmt::Display for InProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InProgress { version, origin, state, share, cause, .. } = self;
        let what = match state {
            RolloutState::Paused => "has paused the rollout of",
            RolloutState::Stopped => "has stopped the rollout of",
            _ => "rolls out",
        };
        let to = share.as_ref().map_or("as a shadow".into(), |share| format!("to {share} of the clients"));
        let cause = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        write!(f, "{what} version {version}, {origin}, {to}{cause}")
    }
}

/// State of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// The candidate gets copies of requests, and answers no client.
    Shadow,
    /// The candidate answers a share of the clients.
    Canary,
    /// An operator has paused the rollout.
    Paused,
    /// The rollout waits for an operator: the candidate got too few requests, or could not be
    /// published.
    Stopped,
    /// The candidate was published, and serves all clients.
    Published,
    /// The candidate was rejected, or the rollout was ended.
    Rejected,
    /// A shadow without a rollout is over: its time has passed.
    Over,
}

impl RolloutState {
    /// Returns the state of a rollout in progress, which depends on its phase and on whether the
    /// rollout is halted.
    pub(super) fn of(progress: &Progress) -> RolloutState {
        match (progress.halt, progress.phase) {
            (Some(Halt::Paused), _) => RolloutState::Paused,
            (Some(Halt::Stopped), _) => RolloutState::Stopped,
            (None, Phase::Shadow) => RolloutState::Shadow,
            (None, Phase::Step { .. }) => RolloutState::Canary,
        }
    }

    /// Returns whether the rollout is in progress and does not wait for an operator.
    pub fn goes_on(self) -> bool {
        matches!(self, RolloutState::Shadow | RolloutState::Canary)
    }
}

/// Data from which [`RolloutStatus`] is created.
pub(super) struct Facts<'a> {
    pub(super) label: &'a Label,
    pub(super) begun: SystemTime,
    pub(super) serving: u64,
    pub(super) state: RolloutState,
    pub(super) cause: Option<String>,
    pub(super) plan: &'a Plan,
    pub(super) progress: &'a Progress,
    /// Moment that the status describes: the current time, or the end of a rollout that is over.
    pub(super) at: Instant,
    pub(super) served: u64,
    pub(super) failed: u64,
    pub(super) left_out: u64,
}

impl RolloutStatus {
    pub(super) fn new(facts: Facts<'_>, evidence: Evidence, report: Report) -> RolloutStatus {
        let Facts { label, begun, serving, state, cause, plan, progress, at, served, failed, left_out } =
            facts;
        let step = match progress.phase {
            Phase::Shadow => None,
            Phase::Step { step } => Some(step),
        };
        RolloutStatus {
            version: label.number,
            sha256: label.sha256.clone(),
            origin: label.origin.to_string(),
            serving,
            state,
            cause,
            plan: plan.clone(),
            step: step.map(|step| step + 1),
            share: step.map(|step| plan.steps.share(step).to_string()),
            begun: clock::seconds(begun).to_string(),
            phase_seconds: progress.elapsed(at).as_secs(),
            phase_requests: progress.served(served),
            served,
            failed,
            left_out,
            evidence,
            report,
        }
    }
}
