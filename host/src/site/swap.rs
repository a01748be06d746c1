//! Carries out a swap: prepares the bytes of a candidate, and publishes or rejects it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use host_wasm::Priority;
use tokio::time::sleep;
use tracing::field::display;
use tracing::{debug, info, warn};

use crate::rollout::plan::Plan;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::outcomes::Counts;
use crate::site::activate::{Rejection, Stage, Times};
use crate::site::by::By;
use crate::site::changes::{Cancelled, Change};
use crate::site::demand::Demand;
use crate::site::outcome::{Outcome, Published};
use crate::site::publish::Approved;
use crate::site::shared::Shared;
use crate::site::version::{Candidate, Label, Origin};

/// Conditions and options of a swap.
struct Order {
    /// Number of the version that must be current, if the order names one.
    if_version: Option<u64>,
    /// Differences from the responses of the current version that the gate accepts.
    accept: Accept,
    way: Way,
    /// Whether this is a new order for these bytes, rather than a module file that has not changed.
    /// A new order ends the rollout in progress even if the current version already has these
    /// bytes.
    is_new: bool,
    is_gone: IsGone,
    by: By,
}

/// How a candidate that has passed the gate is published.
#[derive(Clone, Debug)]
pub enum Way {
    /// As the configuration says.
    Configured,
    /// To all clients at once.
    AtOnce,
    /// In a rollout with this plan.
    Plan(Box<Plan>),
}

impl Way {
    /// Returns the plan of the rollout; [`None`] if the candidate serves all clients at once.
    fn plan(&self, demand: &Demand) -> Option<Plan> {
        match self {
            Way::Configured => demand.rollout(),
            Way::AtOnce => None,
            Way::Plan(plan) => Some(Plan::clone(plan)),
        }
    }
}

/// Function that returns whether the client that asked for a swap or a comparison has disconnected.
pub type IsGone = Box<dyn Fn() -> bool + Send + Sync>;

/// Interval at which the server checks whether the client that asked for a swap or a comparison is
/// still connected.
const GONE_INTERVAL: Duration = Duration::from_millis(50);

impl Shared {
    /// Reads the module file and swaps to its content, as `Swapper::read_file` describes.
    pub(super) async fn read_file(self: Arc<Self>, by: By) {
        // The process that makes the changes reads the file.
        if self.expect_open().is_err() {
            return;
        }
        let demand = self.demand();
        let Some(path) = demand.file.clone() else {
            let cause = "the handler was not loaded from a file, so there is no file to read again";
            warn!(site = self.site(), %cause, %by, "not swapped");
            return;
        };
        let source = Origin::Path(path);
        let mut times = Times::default();
        let read = times.measure_here(Stage::Read, || source.read(self.settings.module_max));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                let serving = self.versions.current().label.number;
                let cause = format!("cannot read {source}: {error}");
                match by.tries_again() {
                    true => warn!(site = self.site(), %cause, serving, %by, "not swapped"),
                    // Not a warning: the file can be missing for a moment while it is
                    // replaced. The watch warns when it stays away.
                    false => debug!(site = self.site(), %cause, serving, %by, "not swapped"),
                }
                return;
            }
        };
        let candidate = Candidate::new(source, bytes);
        let is_same = self.store.consider(&candidate.sha256);
        self.store.serves_now(&self.versions);
        if is_same && !by.tries_again() {
            return;
        }
        let change = self.changes.begin();
        let (accept, way) = (Accept::default(), Way::Configured);
        let is_gone = Box::new(|| false);
        let order = Order { if_version: None, accept, way, is_new: !is_same, is_gone, by };
        let outcome = self.prepare_and_publish(change, candidate, &demand, times, order).await;
        if let Outcome::Unchanged { version } = outcome {
            self.is_unchanged(version, by);
        }
    }

    /// Logs that the module file has the bytes of the current version, and saves that the file was
    /// read.
    pub(super) fn is_unchanged(&self, version: u64, by: By) {
        info!(site = self.site(), serving = version, %by, "the file is unchanged: its bytes serve already");
        // Saves the file's new hash, so that a restart does not try the file again.
        self.save(|store| store.save_state(&self.versions));
    }

    /// Swaps to a module that a client has uploaded under the name `name`.
    pub(super) async fn swap(
        self: Arc<Self>,
        name: String,
        bytes: Vec<u8>,
        if_version: Option<u64>,
        (accept, way): (Accept, Way),
        is_gone: IsGone,
        by: By,
    ) -> Outcome {
        if let Err(cause) = self.expect_current(if_version) {
            return self.refused(cause);
        }
        // Begins before the bytes are hashed, so that a rollback meanwhile counts as the
        // newer change and is not undone.
        let change = self.changes.begin();
        let candidate = Candidate::new(Origin::Upload(name), bytes);
        let (demand, times) = (self.demand(), Times::default());
        let order = Order { if_version, accept, way, is_new: true, is_gone, by };
        self.prepare_and_publish(change, candidate, &demand, times, order).await
    }

    async fn prepare_and_publish(
        self: &Arc<Self>,
        mut change: Change,
        candidate: Candidate,
        demand: &Demand,
        mut times: Times,
        Order { if_version, accept, way, is_new, is_gone, by }: Order,
    ) -> Outcome {
        let serving = self.versions.current();
        if serving.is_of(&candidate.sha256, &demand.values) {
            self.settings.notice.set_rejection(None);
            let version = serving.label.number;
            if is_new && !matches!(way, Way::Plan(_)) {
                self.changes.beside(|| self.end_rollout_for(&format!("version {version} was ordered"), by));
                self.save(|store| store.save_state(&self.versions));
            }
            return Outcome::Unchanged { version };
        }
        let plan = way.plan(demand);
        if let (Way::Configured, Some(_), Some((label, plan))) =
            (&way, &plan, self.rolls_out(&candidate.sha256, &demand.values))
        {
            return self.rolling_out(label, serving.label.number, &plan, None);
        }
        // Dropped early: preparing may take long, and the guard keeps a replaced version
        // from being freed.
        drop(serving);
        let (label, compiled) = {
            let mut history = self.versions.history();
            (history.begin(&candidate), history.compiled(&candidate.sha256))
        };
        let since = Instant::now();
        let activator = &self.settings.activator;
        let (bytes, priority) = (&candidate.bytes, Priority::Awaited);
        let preparing = async {
            let preparing = activator.prepare(label.clone(), bytes, demand, compiled, priority, &mut times);
            let version = preparing.await?;
            let replayed = self.pass_gate(&version, &demand.proof, &accept, &mut times).await?;
            Ok((version, replayed))
        };
        let prepared = tokio::select! {
            biased;
            end = change.cancelled() => Err(if end == Cancelled::Aborted { ABORTED } else { SUPERSEDED }),
            () = until_gone(&is_gone) => Err(GONE),
            prepared = preparing => Ok(prepared),
        };
        let published = match prepared {
            Ok(Ok(_)) if is_gone() => Err(times.rejection(GONE)),
            Ok(Ok((version, replayed))) => {
                let file = Arc::clone(&candidate.bytes);
                let approved = Approved { version, file, plan, accept, if_version, by };
                let publish = || self.publish_or_roll_out(approved, demand, &mut times);
                let published = self.changes.if_newest(&change, publish);
                let published = published.unwrap_or_else(|| Err(times.rejection(SUPERSEDED)));
                published.map(|published| (published, replayed))
            }
            Ok(Err(rejection)) => Err(rejection),
            Err(cause) => Err(times.rejection(cause)),
        };
        if published.as_ref().is_err_and(|rejection| rejection.is_passing) {
            self.store.forget_considered();
        }
        self.conclude(label, published, since, &times, by)
    }

    /// Completes a swap whose preparation began at `since`: logs and saves the result, and returns
    /// the outcome. `published` says how the candidate was published, with the counts of the
    /// replayed requests, or why it was rejected.
    pub(super) fn conclude(
        &self,
        label: Label,
        published: Result<(Published, Option<Box<Counts>>), Rejection>,
        since: Instant,
        times: &Times,
        by: By,
    ) -> Outcome {
        for (stage, time) in times.taken() {
            self.settings.metrics.changes.stage(stage.to_string(), *time);
        }
        match published {
            Ok((Published::RollingOut(before, plan), replayed)) => {
                self.settings.notice.set_rejection(None);
                self.save(|store| store.save(&self.versions));
                let total = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                let proved = replayed.as_ref().map(|counts| counts.to_string());
                info!(site = self.site(), version = label.number, serving = before, %total, stages = %times, replayed = proved, %by, "rolling out {label}");
                self.rolling_out(label, before, &plan, replayed)
            }
            Ok((Published::Serving(replaced), replayed)) => {
                self.left.notify_one();
                self.settings.notice.set_rejection(None);
                let total = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                let not_durable = self.save(|store| store.save(&self.versions));
                let proved = replayed.as_ref().map(|counts| counts.to_string());
                info!(site = self.site(), version = label.number, replaced, %total, stages = %times, replayed = proved, %by, "serving {label}");
                Outcome::Serving {
                    version: label.number,
                    sha256: label.sha256,
                    replaced,
                    replayed,
                    not_durable,
                }
            }
            Err(rejection) => self.reject(label, rejection, by),
        }
    }

    /// Returns the outcome for a candidate that is in a rollout.
    pub(super) fn rolling_out(
        &self,
        label: Label,
        serving: u64,
        plan: &Plan,
        replayed: Option<Box<Counts>>,
    ) -> Outcome {
        let Label { number: version, sha256, .. } = label;
        Outcome::RollingOut { version, sha256, serving, plan: Box::new(plan.clone()), replayed }
    }

    fn reject(&self, label: Label, rejection: Rejection, by: By) -> Outcome {
        let Rejection { stage, cause, remedy, .. } = &rejection;
        let serving = self.versions.current().label.number;
        let helps = remedy.as_ref().map(display);
        warn!(site = self.site(), version = label.number, %stage, %cause, serving, %by, remedy = helps, "rejected {label}");
        let helps = remedy.as_ref().map(|remedy| format!("\nremedy: {remedy}")).unwrap_or_default();
        let notice = format!("the handler was rejected in stage {stage}: {cause}{helps}");
        self.settings.notice.set_rejection(Some(notice));
        let (version, stage, cause, remedy) =
            (label.number, stage.to_string(), cause.clone(), remedy.clone());
        self.tell_rejected(version, &rejection, serving, by);
        self.versions.history().reject(version, rejection);
        self.save(|store| store.save_state(&self.versions));
        Outcome::Rejected { version, stage, cause, remedy, serving }
    }
}

/// Cause of the rejection of a candidate whose preparation was cancelled by a newer change.
pub const SUPERSEDED: &str = "a newer swap, rollback or reload was ordered before it was ready";

/// Cause of the rejection of a candidate whose preparation was cancelled by an operator.
const ABORTED: &str = "it was aborted before it was ready";

/// Cause of the rejection of a candidate whose client disconnected during the preparation.
pub(super) const GONE: &str = "its client disconnected before it was ready";

pub(super) async fn until_gone(is_gone: &IsGone) {
    while !is_gone() {
        sleep(GONE_INTERVAL).await;
    }
}
