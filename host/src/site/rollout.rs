//! Rollouts: a candidate gets copies of requests, then answers a share of the clients that grows in
//! steps, and is published at the end. Each change of a rollout is made under the lock of `Changes`
//! and takes effect at once; only publishing waits for the swap thread, which prepares candidates.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::events::event::Change;
use crate::rollout::assign::Assignment;
use crate::rollout::plan::Plan;
use crate::rollout::progress::{Halt, Next, Progress};
use crate::rollout::report::accept::Accept;
use crate::site::activate::{Rejection, Stage, Times};
use crate::site::by::By;
use crate::site::findings::Findings;
use crate::site::judge::{self, Judged, LiveJudge};
use crate::site::optimise;
use crate::site::outcome::Published;
use crate::site::probation::Watched;
use crate::site::rolling::{Live, NONE, Rollout, salt, share};
use crate::site::rollout_status::RolloutState;
use crate::site::saved::{Kept, SavedRollout};
use crate::site::shared::Shared;
use crate::site::traffic::Split;
use crate::site::version::Version;

/// Delay before a rollout retries a change that had no effect.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

impl Shared {
    /// Begins a rollout of a candidate. Returns the number of the current version, which serves the
    /// other clients. The caller must hold the lock of `Changes`.
    pub(super) fn begin_rollout(
        self: &Arc<Self>,
        version: Version,
        file: &Arc<[u8]>,
        (plan, accept): (Plan, Accept),
        if_version: Option<u64>,
        times: &mut Times,
        by: By,
    ) -> Result<u64, Rejection> {
        self.expect_open().map_err(|cause| times.rejection(cause))?;
        let before = self.expect_current(if_version).map_err(|cause| times.rejection(cause))?;
        if self.settings.require_durable {
            let saved = times.measure_here(Stage::Save, || self.store.save_file(&version.label, file));
            saved.map_err(|error| {
                let cause = "it would not survive a restart (--require-durable)";
                times.rejection(format!("{cause}: {error:#}"))
            })?;
        }
        let number = version.label.number;
        self.end_rollout_for(&format!("a rollout of version {number} took its place"), by);
        let kept = Kept::new(version.label.clone());
        let phase = Progress::new(&plan, Instant::now()).phase;
        let saved = SavedRollout { kept, before, plan, salt: salt(), phase, halt: None, stopped: None };
        self.start_rollout(Arc::new(version), file, saved, accept, by);
        Ok(before)
    }

    /// Starts a rollout, or continues that of an earlier server process. The caller must hold the
    /// lock of `Changes`.
    pub(super) fn start_rollout(
        self: &Arc<Self>,
        version: Arc<Version>,
        file: &Arc<[u8]>,
        saved: SavedRollout,
        accept: Accept,
        by: By,
    ) {
        let SavedRollout { kept, before, plan, salt, phase, halt, stopped } = saved.clone();
        let demand = self.demand();
        let split = Split {
            candidate: Arc::clone(&version),
            assignment: Assignment::new(salt),
            key: plan.key.clone(),
            share: share(&plan, phase),
            pin_from: demand.pin_from,
        };
        let watched = Watched { new: kept.label.number, old: before, share: plan.percent };
        let seen = self.settings.probation.begin(watched);
        let mut progress = Progress::new(&plan, Instant::now());
        progress.enter(phase, Instant::now(), 0);
        progress.halt = halt;
        let findings = Arc::new(Findings::new(plan.slower, accept));
        let rollout = Arc::new(Rollout {
            kept,
            before,
            plan,
            file: Arc::clone(file),
            counts: Arc::clone(&seen.counts),
            findings: Arc::clone(&findings),
            live: Mutex::new(Live { progress, stopped, end: None }),
            changed: Notify::new(),
        });
        let label = rollout.kept.label.clone();
        self.store.add(&label, file, || self.versions.begin_rollout(split, saved));
        optimise::tries(self, &version);
        *self.rollout.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&rollout));
        let what = if by == By::Restart { Change::Continued } else { Change::Begun };
        self.tell_rollout(&rollout, what, None, by);
        let judge = LiveJudge::new(self, watched, seen, findings);
        self.settings.replays.runtime().spawn(Arc::clone(self).drive(rollout, judge));
    }

    /// Takes a rollout through its phases. Ends the rollout if its candidate is judged worse than
    /// the current version.
    async fn drive(self: Arc<Self>, rollout: Arc<Rollout>, mut judge: LiveJudge) {
        while !rollout.is_over() {
            let until = match rollout.next() {
                Next::Wait(until) => until.map(Into::into),
                next => {
                    self.advance(&rollout, next).await;
                    if rollout.next() == next && !rollout.is_over() {
                        // Nothing has come of it, which cannot be unless the site is gone.
                        sleep(BETWEEN_TRIES).await;
                    }
                    continue;
                }
            };
            match judge.judge(until, &rollout.changed).await {
                Judged::Worse(evidence) => return self.end_worse(&rollout, evidence).await,
                Judged::Ended => return,
                Judged::Woken => {}
            }
        }
    }

    /// Makes the next change of a rollout: enters a phase, stops the rollout or finishes it. Does
    /// nothing if an operator has changed the rollout meanwhile.
    async fn advance(self: &Arc<Self>, rollout: &Arc<Rollout>, next: Next) {
        let by = By::Rollout;
        match next {
            Next::Phase(phase) => {
                self.change(rollout, Change::Step, None, by, |live, saved, split| {
                    live.progress.enter(phase, Instant::now(), rollout.served());
                    (saved.phase, split.share) = (phase, share(&rollout.plan, phase));
                });
            }
            Next::Stop => self.stop(rollout, rollout.too_few()),
            Next::Finish if rollout.plan.steps.is_off() => {
                self.changes.beside(|| {
                    if rollout.next() == Next::Finish && !rollout.is_over() && self.expect_open().is_ok() {
                        self.versions.end_rollout(|history| history.forget_candidate(rollout.number()));
                        self.close_rollout(rollout, RolloutState::Over, None, by);
                    }
                });
                self.left.notify_one();
            }
            Next::Finish => {
                let (shared, finished) = (Arc::clone(self), Arc::clone(rollout));
                let published = self.thread.run(async move { shared.promote(&finished, by) }).await;
                match published.flatten() {
                    Err(cause) if rollout.next() == Next::Finish => {
                        self.stop(rollout, format!("the candidate was not published: {cause}"));
                    }
                    // An operator has acted.
                    Ok(()) | Err(_) => {}
                }
            }
            Next::Wait(_) => {}
        }
        // Does not wait for the disk: a verdict may be due.
        let shared = Arc::clone(self);
        self.spawn(async move { drop(shared.save_state_on_thread().await) });
    }

    fn stop(&self, rollout: &Arc<Rollout>, cause: String) {
        self.change(rollout, Change::Stopped, Some(cause.clone()), By::Rollout, |live, saved, _| {
            (live.progress.halt, live.stopped) = (Some(Halt::Stopped), Some(cause.clone()));
            (saved.halt, saved.stopped) = (Some(Halt::Stopped), Some(cause));
        });
    }

    /// Applies `change` to a rollout in progress. Returns false, and changes nothing, if the
    /// rollout is over, if the site accepts no changes, or if `by` is the plan ([`By::Rollout`])
    /// and the plan no longer asks for a change.
    pub(super) fn change(
        &self,
        rollout: &Arc<Rollout>,
        what: Change,
        cause: Option<String>,
        by: By,
        change: impl FnOnce(&mut Live, &mut SavedRollout, &mut Split),
    ) -> bool {
        self.changes.beside(|| {
            // An operator may have paused it since the plan was looked at.
            let is_due = by != By::Rollout || !matches!(rollout.next(), Next::Wait(_));
            if rollout.is_over() || !is_due || self.expect_open().is_err() {
                return false;
            }
            self.versions.change_rollout(rollout.number(), |split, saved| {
                change(&mut rollout.live(), saved, split);
            });
            rollout.changed.notify_one();
            self.tell_rollout(rollout, what, cause, by);
            true
        })
    }

    /// Publishes the candidate of a rollout to all clients, which ends the rollout.
    pub(super) fn promote(self: &Arc<Self>, rollout: &Arc<Rollout>, by: By) -> Result<(), String> {
        let (label, mut times) = (rollout.kept.label.clone(), Times::default());
        let since = Instant::now();
        let publish = || {
            let candidate = self.versions.history().candidate(label.number);
            let is_due = by != By::Rollout || rollout.next() == Next::Finish;
            let Some(version) = candidate.filter(|_| is_due && !rollout.is_over()) else {
                return Err(NONE.to_owned());
            };
            let replaced = self.publish(version, &rollout.file, None, &mut times, by);
            let replaced = replaced.map_err(|rejection| rejection.to_string())?;
            judge::begin(self, label.number, replaced, &self.demand());
            Ok(replaced)
        };
        let replaced = self.changes.beside(publish)?;
        self.conclude(label, Ok((Published::Serving(replaced), None)), since, &times, by);
        Ok(())
    }

    /// Ends a rollout whose candidate is worse than the current version, and rejects the candidate.
    async fn end_worse(self: &Arc<Self>, rollout: &Arc<Rollout>, cause: String) {
        self.changes.beside(|| {
            if !rollout.is_over() && self.expect_open().is_ok() {
                self.reject_candidate(rollout, cause, By::Verdict);
            }
        });
        self.save_state_on_thread().await;
    }
}
