//! Ends, pauses, resumes and promotes the rollout in progress. Only a promotion waits for the swap
//! thread, which prepares candidates; other orders take effect at once.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use host_http::forwarded::Trusted;
use host_wasm::Values;
use tracing::{info, warn};

use crate::events::event::Change;
use crate::rollout::plan::Plan;
use crate::rollout::progress::Halt;
use crate::site::activate::{Rejection, Stage};
use crate::site::by::By;
use crate::site::outcome::REMOVED;
use crate::site::rolling::{NONE, Rollout, name, stage};
use crate::site::rollout_status::{RolloutState, RolloutStatus};
use crate::site::shared::Shared;
use crate::site::version::Label;

/// Error message of a rollout command while the candidate of a rollout from before a restart is
/// still being loaded.
const LOADING: &str = "the rollout is still being loaded after the restart; try again";

impl Shared {
    /// Ends the rollout in progress, if there is one, and rejects its candidate. Returns the number
    /// of the candidate. The caller must hold the lock of `Changes`.
    pub(super) fn end_rollout_for(&self, cause: &str, by: By) -> Option<u64> {
        match self.rolling() {
            Some(rollout) => {
                self.reject_candidate(&rollout, cause.to_owned(), by);
                Some(rollout.number())
            }
            // One of an earlier process, which is not loaded yet.
            None => {
                let number = self.versions.history().rollout().map(|saved| saved.kept.label.number)?;
                let rejected = rejection(Stage::Canary, cause.to_owned());
                self.versions.history().reject(number, rejected.clone());
                let serving = self.versions.current().label.number;
                info!(site = self.site(), version = number, serving, cause, %by, "the rollout has ended, its candidate is rejected");
                self.tell_rejected(number, &rejected, serving, by);
                Some(number)
            }
        }
    }

    /// Ends the rollout in progress, because version `number` is about to be published. Does
    /// nothing if version `number` is the candidate of the rollout. The caller must hold the lock
    /// of `Changes`.
    pub(super) fn end_other_rollout(&self, number: u64, by: By) {
        if self.rolling().is_none_or(|rollout| rollout.number() != number) {
            self.end_rollout_for(&format!("version {number} was published"), by);
        }
    }

    /// Ends the rollout in progress successfully if its candidate is version `number`, which has
    /// just been published. The caller must hold the lock of `Changes`.
    pub(super) fn end_rollout_published(&self, number: u64, by: By) {
        if let Some(rollout) = self.rolling().filter(|rollout| rollout.number() == number) {
            self.close_rollout(&rollout, RolloutState::Published, None, by);
        }
    }

    pub(super) fn reject_candidate(&self, rollout: &Arc<Rollout>, cause: String, by: By) {
        let (number, phase) = (rollout.number(), rollout.live().progress.phase);
        let rejected = rejection(stage(phase), cause.clone());
        // Told only when it is so.
        let candidate = self.versions.history().candidate(number);
        self.versions.end_rollout(|history| history.reject(number, rejected.clone()));
        if let Some(candidate) = candidate {
            self.forget_secrets(&candidate, &self.versions.current());
        }
        self.left.notify_one();
        self.close_rollout(rollout, RolloutState::Rejected, Some(cause), by);
        let serving = self.versions.current().label.number;
        self.tell_rejected(number, &rejected, serving, by);
    }

    /// Records that a rollout is over, ends the watch and the optimisation of its candidate, and
    /// reports the end in the log and as an event.
    pub(super) fn close_rollout(
        &self,
        rollout: &Arc<Rollout>,
        state: RolloutState,
        cause: Option<String>,
        by: By,
    ) {
        rollout.end(state, cause.clone());
        self.settings.probation.end_of(rollout.number());
        self.optimising().end_candidate();
        let change = match state {
            RolloutState::Published => Change::Published,
            RolloutState::Rejected => Change::Rejected,
            _ => Change::Over,
        };
        self.tell_rollout(rollout, change, cause, by);
    }

    /// Ends the rollout and the watch in progress, because a reload has removed the site. The
    /// caller must hold the lock of `Changes`.
    pub(super) fn close_with_site(&self) {
        if let Some(rollout) = self.rolling() {
            rollout.end(RolloutState::Rejected, Some(REMOVED.into()));
        }
        self.settings.probation.end();
        self.versions.end_rollout(|_| ());
    }

    /// Marks the latest rollout as rejected if its candidate was version `number`, which was
    /// rejected after it had been published.
    pub(super) fn rejected_after_all(&self, number: u64, cause: &str) {
        if let Some(rollout) = self.latest_rollout().filter(|rollout| rollout.number() == number) {
            rollout.end(RolloutState::Rejected, Some(format!("after it was published: {cause}")));
        }
    }

    /// Returns the rollout in progress.
    pub(super) fn rolling(&self) -> Option<Arc<Rollout>> {
        self.latest_rollout().filter(|rollout| !rollout.is_over())
    }

    fn latest_rollout(&self) -> Option<Arc<Rollout>> {
        self.rollout.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the candidate's label and the plan of the rollout in progress, if the candidate has
    /// this hash and these values.
    pub(super) fn rolls_out(&self, sha256: &str, values: &Values) -> Option<(Label, Plan)> {
        let rollout = self.rolling()?;
        let candidate = self.versions.history().candidate(rollout.number());
        candidate.filter(|candidate| candidate.is_of(sha256, values))?;
        Some((rollout.kept.label.clone(), rollout.plan.clone()))
    }

    /// Replaces the list of clients that may choose a version during the rollout.
    pub(super) fn pin_from(&self, rollout: &Rollout, pin_from: &Arc<[Trusted]>) {
        self.versions.change_rollout(rollout.number(), |split, _| split.pin_from = Arc::clone(pin_from));
    }

    /// Returns the state of the latest rollout.
    pub(super) fn rollout_status(&self) -> Result<RolloutStatus, String> {
        let latest = self.latest_rollout().map(|rollout| rollout.status());
        latest.ok_or_else(|| match self.versions.history().rollout() {
            Some(_) => LOADING.into(),
            None => "there was no rollout since the server started".into(),
        })
    }

    fn no_rollout(&self) -> String {
        let is_loading = self.versions.history().rollout().is_some();
        if is_loading { LOADING.into() } else { NONE.into() }
    }

    /// Returns the rollout in progress. Fails if the site accepts no changes, if there is no
    /// rollout, or if its candidate is not version `candidate`.
    fn expect_rollout(&self, candidate: Option<u64>) -> Result<Arc<Rollout>, String> {
        self.expect_open()?;
        let rollout = self.rolling().ok_or_else(|| self.no_rollout())?;
        expect_candidate(rollout.number(), candidate)?;
        Ok(rollout)
    }

    /// Pauses the rollout in progress.
    pub(super) async fn pause_rollout(
        self: &Arc<Self>,
        candidate: Option<u64>,
        by: By,
    ) -> Result<RolloutStatus, String> {
        let rollout = self.expect_rollout(candidate)?;
        let halt = rollout.live().progress.halt;
        match halt {
            Some(Halt::Paused) => return Ok(rollout.status()),
            Some(Halt::Stopped) => return Err("the rollout has stopped already".into()),
            None => {}
        }
        let is_paused = self.change(&rollout, Change::Paused, None, by, |live, saved, _| {
            live.progress.halt = Some(Halt::Paused);
            saved.halt = Some(Halt::Paused);
        });
        if !is_paused {
            return Err(self.no_rollout());
        }
        self.save_state_on_thread().await;
        Ok(rollout.status())
    }

    /// Resumes a rollout that was paused or has stopped, and restarts its current phase.
    pub(super) async fn resume_rollout(
        self: &Arc<Self>,
        candidate: Option<u64>,
        by: By,
    ) -> Result<RolloutStatus, String> {
        let rollout = self.expect_rollout(candidate)?;
        if rollout.live().progress.halt.is_none() {
            return Err("the rollout is not paused".into());
        }
        let is_resumed = self.change(&rollout, Change::Resumed, None, by, |live, saved, _| {
            live.progress.resume(Instant::now(), rollout.served());
            live.stopped = None;
            saved.stopped = None;
            saved.halt = None;
        });
        if !is_resumed {
            return Err(self.no_rollout());
        }
        self.save_state_on_thread().await;
        Ok(rollout.status())
    }

    /// Publishes the candidate of the rollout in progress at once. Runs on the swap thread,
    /// because it may write the version to the state folder first.
    pub(super) async fn promote_rollout(
        self: Arc<Self>,
        candidate: Option<u64>,
        by: By,
    ) -> Result<RolloutStatus, String> {
        let rollout = self.expect_rollout(candidate)?;
        if rollout.plan.steps.is_off() {
            return Err("the candidate of a shadow is not published; swap to it instead (host swap, POST /v1/versions)".into());
        }
        self.promote(&rollout, by)?;
        Ok(rollout.status())
    }

    /// Ends the rollout in progress, so that all clients get the current version, and returns the
    /// number of its candidate. Without a rollout, cancels the candidate that is being prepared,
    /// and returns [`None`].
    pub(super) async fn abort_rollout(
        self: &Arc<Self>,
        candidate: Option<u64>,
        by: By,
    ) -> Result<Option<u64>, String> {
        let cause = format!("aborted by {by}");
        let ended = self.changes.beside(|| {
            self.expect_open()?;
            let saved = || self.versions.history().rollout().map(|saved| saved.kept.label.number);
            match self.rolling().map(|rollout| rollout.number()).or_else(saved) {
                Some(number) => expect_candidate(number, candidate)?,
                // The candidate of a rollout was meant, not one that is still prepared.
                None if candidate.is_some() => return Err(NONE.to_owned()),
                None => {}
            }
            Ok(self.end_rollout_for(&cause, by))
        })?;
        if ended.is_none() {
            // The candidate may still be compiled or tried.
            self.changes.cancel().then_some(()).ok_or_else(|| self.no_rollout())?;
            return Ok(None);
        }
        self.save_state_on_thread().await;
        Ok(ended)
    }

    pub(super) fn tell_rollout(&self, rollout: &Rollout, what: Change, cause: Option<String>, by: By) {
        let phase = rollout.live().progress.phase;
        let (version, phase) = (rollout.number(), name(&rollout.plan, phase));
        let (site, serving) = (self.site(), rollout.before);
        match what {
            Change::Stopped => {
                warn!(site, version, serving, cause, %by, "the rollout stopped in {phase}; host rollout resume waits again, promote publishes, abort ends it");
            }
            // What an operator ends is no surprise.
            Change::Rejected if matches!(by, By::Verdict | By::Restart) => {
                warn!(site, version, serving, cause, %by, "the rollout {what}: {phase}");
            }
            _ => info!(site, version, serving, cause, %by, "the rollout {what}: {phase}"),
        }
        self.tell_rollout_event(version, what, phase, cause, by);
    }
}

/// Checks that `number`, the candidate of the rollout, is the version `expected` that the command
/// names. Accepts any candidate if the command names none.
fn expect_candidate(number: u64, expected: Option<u64>) -> Result<(), String> {
    match expected.filter(|expected| *expected != number) {
        None => Ok(()),
        Some(expected) => {
            Err(format!("version {number} is rolled out; expected version {expected} (?version=)"))
        }
    }
}

fn rejection(stage: Stage, cause: String) -> Rejection {
    Rejection { stage, cause, remedy: None, is_passing: false }
}
