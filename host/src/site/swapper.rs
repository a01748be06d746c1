//! Handle with which commands, signals and the file watch order swaps and rollbacks.
//!
//! Candidates are prepared on the swap thread, which has its own runtime. A swap that panics is
//! refused and does not affect the next one. A rollback needs no preparation, so it happens at once
//! on the caller's thread.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host_http::client_net::Peer;
use host_http::field::Fields;
use tokio::sync::Notify;
use tracing::error;

use crate::background::Background;
use crate::metrics::requests::Kinds;
use crate::rollout::plan::Plan;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::outcomes::Report;
use crate::site::after_restart::AfterRestart;
use crate::site::begin::Beginning;
use crate::site::by::By;
use crate::site::changes::Changes;
use crate::site::current::Serving;
use crate::site::demand::Demand;
use crate::site::diff::{Diff, NotCompared};
use crate::site::entry::Entry;
use crate::site::handed::Handed;
use crate::site::optimise;
use crate::site::outcome::{BEGINS, HANDED_OVER, Outcome, REMOVED};
use crate::site::reload::{NotCommitted, Prepared};
use crate::site::replayed::Replayed;
use crate::site::restore;
use crate::site::rollout_status::{InProgress, RolloutStatus};
use crate::site::saved::Kept;
use crate::site::shared::{Settings, Shared};
use crate::site::store::Store;
use crate::site::swap::{IsGone, Way};
use crate::site::versions::Versions;

/// Handle with which callers swap, roll back and list the versions of one site.
#[derive(Clone)]
pub struct Swapper(Arc<Shared>);

impl Swapper {
    /// Creates the handle with the first version as the current one. Starts to restore the other
    /// versions of an earlier server process in the background.
    ///
    /// # Errors
    ///
    /// When `--require-durable` is set and the first version cannot be saved.
    pub fn start(settings: Settings, beginning: Beginning, thread: &Background) -> io::Result<Swapper> {
        let Beginning { version, file, mut history, demand, dir, left, taken_over } = beginning;
        let closed = taken_over.as_ref().map(|_| BEGINS);
        let (files, before) = taken_over.map_or_else(Default::default, |taken| (taken.files, taken.before));
        let first = Arc::new(version);
        let label = first.label.clone();
        let restored = left.as_ref().and_then(|left| left.versions.iter().find(|kept| kept.label == label));
        let considered = match (&left, restored) {
            (Some(left), Some(_)) => left.considered.clone(),
            _ => label.sha256.clone(),
        };
        if let Some(saved) = left.as_ref().and_then(|left| left.rollout.as_ref()) {
            history.restore_rollout(saved);
        }
        let is_ready = |kept: &Kept| {
            kept.label == label || before.as_ref().is_some_and(|before| before.label == kept.label)
        };
        let others = left.iter().flat_map(|left| &left.versions).filter(|kept| !is_ready(kept));
        let store = Store::new(dir, considered, others.cloned().collect(), left.as_ref(), files);
        if let Some(before) = before
            && let Some(kept) =
                left.iter().flat_map(|left| &left.versions).find(|kept| kept.label == before.label)
        {
            history.restore(Arc::new(before), kept);
        }
        match restored {
            Some(kept) => history.restore(Arc::clone(&first), kept),
            None => {
                store.add(&label, &file, || history.accept(Arc::clone(&first), None));
            }
        }
        let shared = Arc::new(Shared {
            settings,
            demand: Mutex::new(demand),
            versions: Versions::new(first, history),
            changes: Changes::default(),
            store,
            optimising: Mutex::default(),
            rollout: Mutex::default(),
            replayed: Mutex::default(),
            left: Notify::new(),
            thread: thread.clone(),
            closed: Mutex::new(closed),
            tasks: Mutex::default(),
        });
        if shared.settings.require_durable
            && let Err(error) = shared.store.save(&shared.versions)
        {
            let what = "the first version would not survive a restart (--require-durable)";
            return Err(io::Error::other(format!("{what}: {error:#}")));
        }
        optimise::serves(&shared, &shared.versions.current());
        let tasks = vec![
            shared.spawn(restore::restore(Arc::clone(&shared))),
            shared.spawn(restore::release(Arc::clone(&shared))),
        ];
        *shared.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        Ok(Swapper(shared))
    }

    /// Cancels the candidate in preparation, the rollout and all background work, because a reload
    /// has removed the site. Requests in progress are still answered.
    pub fn close(&self) {
        self.0.close(Some(REMOVED));
        drop(self.0.changes.begin());
        self.0.changes.beside(|| self.0.close_with_site());
        self.0.versions.current().module.set_serving(false);
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.into_iter().for_each(|task| task.abort());
        self.0.optimising().end();
    }

    /// Returns the versions, for a new process that replaces this one in an upgrade, and a mark
    /// with which [`Swapper::hand_over`] detects later changes.
    pub fn to_hand_over(&self) -> (u64, Handed) {
        self.0.changes.look(|| self.0.store.to_hand_over(&self.0.versions))
    }

    /// Refuses all further changes, and leaves the state folder to a new process. Returns false,
    /// and does nothing, if something has changed since [`Swapper::to_hand_over`] returned `mark`,
    /// or if a candidate is being prepared.
    pub fn hand_over(&self, mark: u64) -> bool {
        let close = || {
            self.0.close(Some(HANDED_OVER));
            if let Some(dir) = self.0.store.dir() {
                dir.leave();
            }
        };
        self.0.changes.close(mark, close).is_some()
    }

    /// Accepts changes again after [`Swapper::hand_over`], because the new process has ended.
    pub fn take_back(&self) {
        if let Some(dir) = self.0.store.dir() {
            dir.take_back();
        }
        self.0.close(None);
        self.save();
    }

    /// Begins to accept changes, after this process has replaced the one that handed over its
    /// versions. Reads the module file, which may have changed meanwhile.
    pub fn go_on(&self) {
        if let Some(dir) = self.0.store.dir() {
            dir.take_back();
            dir.set_up();
        }
        self.0.close(None);
        self.save();
        if self.0.demand().file.is_some() {
            self.read_file(By::File);
        }
    }

    /// Saves the versions on the swap thread.
    fn save(&self) {
        let shared = Arc::clone(&self.0);
        self.0.spawn(async move {
            // The outcome is logged.
            let _ = shared.save(|store| store.save(&shared.versions));
        });
    }

    /// Returns whether a candidate is being prepared.
    pub fn is_preparing(&self) -> bool {
        self.0.changes.is_preparing()
    }

    /// Returns the lock file of the state folder; [`None`] without a state folder.
    pub fn held_lock(&self) -> Option<&File> {
        self.0.store.dir()?.held_lock()
    }

    /// Returns the current version.
    pub fn current(&self) -> Serving {
        self.0.versions.current()
    }

    /// Returns the version that answers a request: the current one, or the candidate of a
    /// rollout.
    pub fn version_for(&self, fields: Fields<'_>, client: Peer, address: &str) -> Serving {
        self.0.versions.version_for(fields, client, address)
    }

    /// Swaps to a module that a client has uploaded under the name `name`, and waits for the
    /// outcome. Changes nothing if `if_version` is given and is not current, or if the client
    /// disconnects before the swap. The gate accepts the differences that `accept` describes.
    pub async fn swap(
        &self,
        name: String,
        bytes: Vec<u8>,
        if_version: Option<u64>,
        (accept, way): (Accept, Way),
        is_gone: IsGone,
        by: By,
    ) -> Outcome {
        let swap = Arc::clone(&self.0).swap(name, bytes, if_version, (accept, way), is_gone, by);
        self.run(swap).await.unwrap_or_else(|cause| self.0.refused(cause))
    }

    /// Compares a module that a client has uploaded with a kept version, by default the current
    /// one: runs the requests of the journal again on both. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the module cannot serve, the version is not kept, the client disconnects, or the
    /// comparison panics.
    pub async fn diff(&self, diff: Diff, is_gone: IsGone) -> Result<Report, NotCompared> {
        let diff = Arc::clone(&self.0).diff(diff, is_gone);
        self.run(diff).await.unwrap_or_else(|cause| Err(NotCompared::Failed(cause)))
    }

    /// Starts to read the module file, and to swap to its content if that has changed since the
    /// file was last read. With [`By::Hangup`], also tries unchanged content, for example after a
    /// rejection. Returns at once; the outcome is only logged.
    pub fn read_file(&self, by: By) {
        let swapper = self.clone();
        self.0.spawn(async move {
            let _ = swapper.run(Arc::clone(&swapper.0).read_file(by)).await;
        });
    }

    /// Prepares a change to a reloaded configuration: the source of the handler, its probes, its
    /// values, and how new versions are published. Nothing changes until [`Swapper::commit`].
    ///
    /// # Errors
    ///
    /// When the module file cannot be read, the candidate is rejected, or the current version fails
    /// the new probes.
    pub async fn prepare_reload(&self, demand: Demand, by: By) -> Result<Prepared, String> {
        self.run(Arc::clone(&self.0).prepare_reload(demand, by)).await?
    }

    /// Carries out a prepared change. Returns the outcome; [`None`] if the configuration names no
    /// module to load, or if the current version stays because it was ordered after the module file
    /// was last read.
    ///
    /// # Errors
    ///
    /// When another version has become current since the preparation, or the change cannot be made.
    /// Nothing is changed then.
    pub async fn commit(&self, prepared: Prepared) -> Result<Option<Outcome>, NotCommitted> {
        // On the swap thread, because it writes to the state folder.
        self.run(async move { prepared.commit() }).await.map_err(NotCommitted::Failed)?
    }

    /// Runs work on the swap thread and waits for its result. The error, which is also
    /// logged, says why the work was not completed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        self.0.thread.run(work).await.inspect_err(|cause| {
            error!(site = self.0.site(), %cause, "swap not carried out");
        })
    }

    /// Rolls back to version `number`, or by default to the version that the current one replaced.
    /// During a rollout, only ends the rollout if `number` is [`None`] or the current version. Takes
    /// effect at once, and cancels a swap in progress.
    pub async fn roll_back(&self, number: Option<u64>, if_version: Option<u64>, by: By) -> Outcome {
        self.0.roll_back(number, if_version, by).await
    }

    /// Returns the configured plan for rollouts of new versions.
    pub fn plan(&self) -> Plan {
        self.0.demand().plan
    }

    /// Returns the state of the latest rollout.
    ///
    /// # Errors
    ///
    /// When there was no rollout since the server started, or when a rollout from before the start
    /// is still being loaded.
    pub fn rollout(&self) -> Result<RolloutStatus, String> {
        self.0.rollout_status()
    }

    /// Returns the result of running the requests of the journal again on the latest candidate;
    /// [`None`] if there was no such run.
    pub fn replayed(&self) -> Option<Arc<Replayed>> {
        self.0.replayed().clone()
    }

    /// Returns a summary of the rollout in progress, if there is one.
    pub fn rolling_out(&self) -> Option<InProgress> {
        self.0.rolling().map(|rollout| rollout.in_progress())
    }

    /// Pauses the rollout in progress: its phase does not end until an operator resumes the
    /// rollout.
    ///
    /// # Errors
    ///
    /// When no rollout is in progress, the rollout has stopped already, or its candidate is not
    /// version `candidate`.
    pub async fn pause_rollout(&self, candidate: Option<u64>, by: By) -> Result<RolloutStatus, String> {
        self.0.pause_rollout(candidate, by).await
    }

    /// Resumes a rollout that was paused or has stopped, and restarts its current phase.
    ///
    /// # Errors
    ///
    /// When no rollout is in progress, the rollout is neither paused nor stopped, or its candidate
    /// is not version `candidate`.
    pub async fn resume_rollout(&self, candidate: Option<u64>, by: By) -> Result<RolloutStatus, String> {
        self.0.resume_rollout(candidate, by).await
    }

    /// Publishes the candidate of the rollout in progress.
    ///
    /// # Errors
    ///
    /// When no rollout is in progress, its candidate is not version `candidate`, the rollout is
    /// only a shadow, or the candidate cannot be saved as `--require-durable` demands.
    pub async fn promote_rollout(&self, candidate: Option<u64>, by: By) -> Result<RolloutStatus, String> {
        self.run(Arc::clone(&self.0).promote_rollout(candidate, by)).await?
    }

    /// Ends the rollout in progress, so that all clients get the current version at once, and
    /// returns the number of its candidate. Without a rollout, cancels the candidate that is being
    /// prepared, and returns [`None`].
    ///
    /// # Errors
    ///
    /// When neither a rollout nor a preparation is in progress, or the candidate of the rollout is
    /// not version `candidate`.
    pub async fn abort_rollout(&self, candidate: Option<u64>, by: By) -> Result<Option<u64>, String> {
        self.0.abort_rollout(candidate, by).await
    }

    /// Returns the maximum time for running the requests of the journal on a candidate
    /// (`--gate-time`).
    pub fn gate_time(&self) -> Duration {
        self.0.demand().proof.time
    }

    /// Returns all remembered versions. Versions that are no longer kept, but may still answer a
    /// request, come first; the others follow, oldest first.
    pub fn versions(&self) -> Vec<Entry> {
        self.0.versions.entries()
    }

    /// Returns the number of requests to each version, by method and class of statuses. [`None`] in
    /// place of a version number stands for all versions that are no longer kept.
    pub fn requests(&self) -> Vec<(Option<u64>, Kinds)> {
        self.0.versions.requests()
    }

    /// Returns which version serves first after a restart, and which rollout continues, according
    /// to the state file.
    pub fn after_restart(&self) -> AfterRestart {
        self.0.store.after_restart()
    }

    /// Returns the number of versions that are kept for rollback, including the current one.
    pub fn kept(&self) -> usize {
        self.0.versions.history().good().count()
    }

    /// Returns the memory in bytes that the current version and the versions kept for rollback take
    /// up.
    pub fn kept_memory(&self) -> usize {
        self.0.versions.history().memory()
    }
}
