//! State of a rollout: its plan, its progress, and the evidence and report on its candidate.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use tokio::sync::Notify;

use crate::rollout::plan::Plan;
use crate::rollout::progress::{Next, Phase, Progress};
use crate::rollout::share::Share;
use crate::seed;
use crate::site::activate::Stage;
use crate::site::findings::Findings;
use crate::site::probation::Counts;
use crate::site::rollout_status::{Facts, InProgress, RolloutState, RolloutStatus};
use crate::site::saved::Kept;

/// Error message of a command about the rollout in progress when there is none.
pub(super) const NONE: &str = "no rollout is in progress";

/// Latest rollout of a site, in progress or over.
pub(super) struct Rollout {
    pub(super) kept: Kept,
    /// Number of the current version, which serves the other clients during the rollout.
    pub(super) before: u64,
    pub(super) plan: Plan,
    pub(super) file: Arc<[u8]>,
    pub(super) counts: Arc<Counts>,
    pub(super) findings: Arc<Findings>,
    pub(super) live: Mutex<Live>,
    /// Wakes the judge when the rollout has changed or ended.
    pub(super) changed: Notify,
}

pub(super) struct Live {
    pub(super) progress: Progress,
    /// Why the rollout has stopped and waits for an operator; [`None`] if it does not.
    pub(super) stopped: Option<String>,
    /// Final state of the rollout, its cause and the time of the end; [`None`] while the rollout is
    /// in progress.
    pub(super) end: Option<(RolloutState, Option<String>, Instant)>,
}

impl Rollout {
    pub(super) fn number(&self) -> u64 {
        self.kept.label.number
    }

    pub(super) fn served(&self) -> u64 {
        self.counts.served.load(Relaxed)
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        self.live().end.is_some()
    }

    pub(super) fn end(&self, state: RolloutState, cause: Option<String>) {
        self.live().end = Some((state, cause, Instant::now()));
        self.changed.notify_one();
    }

    pub(super) fn next(&self) -> Next {
        self.live().progress.next(&self.plan, Instant::now(), self.served())
    }

    pub(super) fn status(&self) -> RolloutStatus {
        let (progress, stopped, end) = {
            let live = self.live();
            (live.progress, live.stopped.clone(), live.end.clone())
        };
        let Kept { label, time, .. } = &self.kept;
        let now = || (RolloutState::of(&progress), stopped, Instant::now());
        let (state, cause, at) = end.unwrap_or_else(now);
        let facts = Facts {
            label,
            begun: *time,
            serving: self.before,
            state,
            cause,
            plan: &self.plan,
            progress: &progress,
            at,
            served: self.served(),
            failed: self.counts.failed.load(Relaxed),
            left_out: self.counts.left_out.load(Relaxed),
        };
        let (evidence, report) = self.findings.tell();
        RolloutStatus::new(facts, evidence, report)
    }

    /// Returns a summary of the rollout, which must be in progress.
    pub(super) fn in_progress(&self) -> InProgress {
        let live = self.live();
        let step = match live.progress.phase {
            Phase::Shadow => None,
            Phase::Step { step } => Some(step),
        };
        InProgress {
            version: self.number(),
            origin: self.kept.label.origin.to_string(),
            state: RolloutState::of(&live.progress),
            step: step.map(|step| step + 1),
            share: step.map(|step| self.plan.steps.share(step).to_string()),
            cause: live.stopped.clone(),
        }
    }

    pub(super) fn too_few(&self) -> String {
        let served = self.live().progress.served(self.served());
        format!(
            "the candidate got {served} requests in this step, of at least {} (--rollout-requests)",
            self.plan.requests
        )
    }
}

/// Returns the share of the clients that get the candidate in a phase; [`None`] in a shadow.
pub(super) fn share(plan: &Plan, phase: Phase) -> Option<Share> {
    match phase {
        Phase::Shadow => None,
        Phase::Step { step } => Some(plan.steps.share(step)),
    }
}

/// Returns the stage that the rejection names if the candidate is rejected in this phase.
pub(super) fn stage(phase: Phase) -> Stage {
    if phase == Phase::Shadow { Stage::Shadow } else { Stage::Canary }
}

/// Returns the name of a phase for the log and for events.
pub(super) fn name(plan: &Plan, phase: Phase) -> String {
    match phase {
        Phase::Shadow => "shadow".into(),
        Phase::Step { step } => {
            format!("step {} of {}, {}", step + 1, plan.steps.shares().len(), plan.steps.share(step))
        }
    }
}

/// Draws a random salt, which decides which clients get the candidate of a rollout first.
pub(super) fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    match seed::draw() {
        Some(seed) => salt.copy_from_slice(seed.split_at(16).0),
        // No secret: it has to differ from those of other rollouts.
        None => {
            let draw = || RandomState::new().hash_one(SystemTime::now());
            let both = u128::from(draw()) << 64 | u128::from(draw());
            salt = both.to_ne_bytes();
        }
    }
    salt
}
