//! State of a site that the tasks for its swaps, rollbacks and rollouts share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use host_wasm::health;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::background::Background;
use crate::events::event::{Change, Event, How, now};
use crate::events::hub::Events;
use crate::fault_counts::cut;
use crate::metrics::OfSite;
use crate::rollout::journal::Journal;
use crate::site::activate::{Activator, Rejection, Stage};
use crate::site::by::By;
use crate::site::changes::Changes;
use crate::site::demand::Demand;
use crate::site::notice::Notice;
use crate::site::optimising::Optimising;
use crate::site::outcome::Outcome;
use crate::site::probation::Probation;
use crate::site::replayed::Replayed;
use crate::site::rolling::Rollout;
use crate::site::store::Store;
use crate::site::version::{Label, Version};
use crate::site::versions::Versions;
use crate::telemetry::service;

/// Settings of a [`Swapper`](crate::site::swapper::Swapper).
pub struct Settings {
    /// Name of the site, for the log; [`None`] for the default site.
    pub site: Option<Arc<str>>,
    /// Prepares candidates.
    pub activator: Activator,
    /// Maximum size of a module file in bytes (`--module-max`).
    pub module_max: usize,
    /// Whether only a version that survives a restart may serve (`--require-durable`).
    pub require_durable: bool,
    /// Recent requests, with which candidates are tested.
    pub journal: Arc<Journal>,
    /// Watch of the newest version.
    pub probation: Arc<Probation>,
    /// Thread that runs requests again, for the gate and for judges.
    pub replays: Background,
    /// Shows rejections to the author of the handler during development.
    pub notice: Notice,
    /// Receives the events of the site.
    pub events: Arc<Events>,
    /// Counts requests and changes.
    pub metrics: Arc<OfSite>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) demand: Mutex<Demand>,
    pub(super) versions: Versions,
    pub(super) changes: Changes,
    pub(super) store: Store,
    pub(super) optimising: Mutex<Optimising>,
    /// Latest rollout, in progress or not.
    pub(super) rollout: Mutex<Option<Arc<Rollout>>>,
    /// Result of running the requests of the journal again on the latest candidate.
    pub(super) replayed: Mutex<Option<Arc<Replayed>>>,
    /// Notified when a version may have been dropped, so that it can be freed.
    pub(super) left: Notify,
    /// Thread on which candidates are prepared (the swap thread).
    pub(super) thread: Background,
    /// Why the site refuses changes, such as after its removal; [`None`] while it accepts changes.
    /// Read under the lock of `Changes`.
    pub(super) closed: Mutex<Option<&'static str>>,
    /// Tasks that run as long as the site exists.
    pub(super) tasks: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    /// Returns the requirements of the configuration: source of the handler, values, probes, gate
    /// and plan.
    pub(super) fn demand(&self) -> Demand {
        self.demand.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fails if the site accepts no changes. The error is the reason.
    pub(super) fn expect_open(&self) -> Result<(), &'static str> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Refuses all further changes for the reason `cause`. With [`None`], accepts changes again.
    pub(super) fn close(&self, cause: Option<&'static str>) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Locks and returns the optimisations in progress.
    pub(super) fn optimising(&self) -> MutexGuard<'_, Optimising> {
        self.optimising.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks and returns the result of running the requests of the journal again on the latest
    /// candidate; [`None`] if there was no such run.
    pub(super) fn replayed(&self) -> MutexGuard<'_, Option<Arc<Replayed>>> {
        self.replayed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the name of the site, for the log; [`None`] for the default site.
    pub(super) fn site(&self) -> Option<&str> {
        self.settings.site.as_deref()
    }

    /// Empties the journal, and forgets the result of the latest replay, if versions `before` and
    /// `now` have different values and one of them has secrets. Only the secrets of versions
    /// that serve are masked when requests of the journal are shown.
    pub(super) fn forget_secrets(&self, before: &Version, now: &Version) {
        let (before, now) = (before.module.values(), now.module.values());
        if before != now && (before.has_secrets() || now.has_secrets()) {
            self.settings.journal.clear();
            // It is masked with the secrets of its time.
            *self.replayed() = None;
        }
    }

    /// Reports that a version has become current: as an event, in the metrics and to systemd. The
    /// caller must hold the lock of `Changes`, so that events have the order of the changes.
    pub(super) fn tell_serving(&self, label: &Label, replaced: u64, how: How, by: By) {
        let (site, sha256) = (self.site().map(str::to_owned), label.sha256.clone());
        let (time, version, by) = (now(), label.number, by.to_string());
        self.settings.metrics.changes.published(how.to_string());
        let of = site.as_ref().map(|site| format!(" of site {site}")).unwrap_or_default();
        service::status(&format!("serves version {version}{of}"));
        self.settings.events.tell(&Event::Serving { time, site, version, sha256, replaced, how, by });
    }

    /// Reports a change of a rollout as an event and in the metrics.
    pub(super) fn tell_rollout_event(
        &self,
        version: u64,
        change: Change,
        phase: String,
        cause: Option<String>,
        by: By,
    ) {
        self.settings.metrics.changes.rolled(change.name());
        let (time, site, cause) = (now(), self.site().map(str::to_owned), cause.as_deref().map(cut));
        self.settings.events.tell(&Event::Rollout {
            time,
            site,
            version,
            change,
            phase,
            cause,
            by: by.to_string(),
        });
    }

    /// Reports that a version was rejected, as an event and in the metrics.
    pub(super) fn tell_rejected(&self, version: u64, rejection: &Rejection, serving: u64, by: By) {
        let Rejection { stage, cause, remedy, .. } = rejection;
        self.settings.metrics.changes.rejected(stage.to_string());
        self.settings.events.tell(&Event::Rejected {
            time: now(),
            site: self.site().map(str::to_owned),
            version,
            stage: stage.to_string(),
            cause: cut(cause),
            remedy: remedy.as_deref().map(cut),
            serving,
            by: by.to_string(),
        });
    }

    /// Spawns a task on the swap thread, which prepares candidates.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.thread.runtime().spawn(work).abort_handle()
    }

    /// Calls `save`, which saves versions or the state file. Logs and returns the cause of a
    /// failure.
    pub(super) fn save(&self, save: impl FnOnce(&Store) -> anyhow::Result<()>) -> Option<String> {
        let error = save(&self.store).err()?;
        let cause = format!("{error:#}");
        warn!(site = self.site(), %cause, "cannot save the versions: not all of them would survive a restart");
        Some(cause)
    }

    /// Saves the state file on a separate thread, so that a slow disk does not block the
    /// caller, which also answers other commands. Returns the cause of a failure.
    pub(super) async fn save_state_on_thread(self: &Arc<Self>) -> Option<String> {
        self.store.dir()?;
        let (done, saved) = oneshot::channel();
        let shared = Arc::clone(self);
        let save = move || {
            let _ = done.send(shared.save(|store| store.save_state(&shared.versions)));
        };
        match thread::Builder::new().name("save".into()).stack_size(health::STACK).spawn(save) {
            Ok(_) => {
                saved.await.unwrap_or_else(|_| Some("the thread that saves the state file panicked".into()))
            }
            Err(_) => self.save(|store| store.save_state(&self.versions)),
        }
    }

    /// Returns the reason why a rollback to version `number` is not possible. [`None`] stands for
    /// the version that the current one replaced.
    pub(super) fn not_kept(&self, number: Option<u64>) -> String {
        let serving = self.versions.current().label.number;
        // Read first: a swap locks this list before the history.
        let left = self.store.left();
        let history = self.versions.history();
        let good: Vec<_> = history.good().map(|version| version.label.number.to_string()).collect();
        let kept = format!("kept versions, to which a rollback can go: {}", good.join(", "));
        let Some(wanted) = number.or_else(|| history.replaced_by(serving)) else {
            return format!(
                "version {serving} replaced no other, so there is no version to go back to; {kept}"
            );
        };
        if left.iter().any(|left| left.label.number == wanted) {
            return format!(
                "version {wanted} is in the state folder but not loaded, or not yet (the log says which); {kept}"
            );
        }
        match history.rejection(wanted) {
            _ if wanted >= history.next_number() => format!("there is no version {wanted} yet; {kept}"),
            Some(rejection) => {
                let never = match rejection.stage {
                    Stage::Shadow | Stage::Canary | Stage::Watch => "",
                    _ => " and has never served",
                };
                format!("version {wanted} was rejected{never} ({rejection}); {kept}")
            }
            None if number.is_none() => format!(
                "version {wanted}, which version {serving} replaced, is no longer kept (--keep, --keep-bytes); {kept}"
            ),
            None => format!("version {wanted} is not kept (--keep, --keep-bytes); {kept}"),
        }
    }

    /// Returns the number of the current version. Fails if `expected` is another version.
    pub(super) fn expect_current(&self, expected: Option<u64>) -> Result<u64, String> {
        let serving = self.versions.current().label.number;
        match expected.filter(|expected| *expected != serving) {
            None => Ok(serving),
            Some(expected) => Err(format!(
                "version {serving} is current; expected version {expected} (--if-version, If-Match)"
            )),
        }
    }

    pub(super) fn refused(&self, cause: String) -> Outcome {
        Outcome::Refused { cause, serving: self.versions.current().label.number }
    }
}
