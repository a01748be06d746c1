//! Current version and history, shared by the threads that serve, swap and answer
//! commands. Both change under the lock of the history; a request reads the current
//! version without a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host_http::client_net::Peer;
use host_http::field::Fields;

use crate::metrics::requests::{ByKind, Kinds};
use crate::site::current::{Current, Serving};
use crate::site::entry::Entry;
use crate::site::history::History;
use crate::site::saved::{Kept, SavedRollout};
use crate::site::traffic::{Split, Traffic};
use crate::site::version::Version;

/// Current version of a site, and the history of its versions.
pub struct Versions {
    current: Current,
    history: Mutex<History>,
    /// Counts of the requests to versions that are no longer kept.
    older: ByKind,
}

/// Content of the state file.
pub(super) struct ToSave {
    /// Versions that passed the gate and are kept for rollback, including the current one.
    pub(super) kept: Vec<Kept>,
    /// Number of the current version.
    pub(super) current: u64,
    /// Number of the next candidate.
    pub(super) next_number: u64,
    /// Rollout in progress.
    pub(super) rollout: Option<SavedRollout>,
}

impl Versions {
    /// Creates the shared state from the first version, and from a history that contains this
    /// version.
    pub(super) fn new(first: Arc<Version>, history: History) -> Versions {
        Versions { current: Current::new(first), history: Mutex::new(history), older: ByKind::default() }
    }

    /// Returns the current version.
    pub fn current(&self) -> Serving {
        self.current.version()
    }

    /// Returns the version that answers a request: the current one, or the candidate of a
    /// rollout.
    pub(super) fn version_for(&self, fields: Fields<'_>, client: Peer, address: &str) -> Serving {
        self.current.version_for(fields, client, address)
    }

    /// Returns all remembered versions. Versions that are no longer kept, but may still answer a
    /// request, come first; the others follow, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let history = self.history();
        let traffic = self.current.traffic();
        let share = traffic.split.as_ref().and_then(|split| split.share);
        history.entries(traffic.current.label.number, share)
    }

    /// Returns the number of requests to each version. [`None`] in place of a version number stands
    /// for all versions that are no longer kept.
    pub(super) fn requests(&self) -> Vec<(Option<u64>, Kinds)> {
        let history = self.history();
        let kept = history.all().map(|version| (Some(version.label.number), version.requests.read()));
        kept.chain([(None, self.older.read())]).collect()
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a candidate that has passed all stages current. Returns the number of the version that
    /// it replaced.
    pub(super) fn publish(&self, version: Arc<Version>) -> u64 {
        let mut history = self.history();
        let replaced = self.current().label.number;
        self.current.set(Traffic { current: Arc::clone(&version), split: None });
        history.accept(version, Some(replaced));
        replaced
    }

    /// Begins a rollout of a candidate that has passed the gate.
    pub(super) fn begin_rollout(&self, split: Split, saved: SavedRollout) {
        let mut history = self.history();
        history.roll_out(Arc::clone(&split.candidate), saved);
        self.split(&history, Some(split));
    }

    /// Changes how the rollout in progress assigns clients, and its saved state, if its candidate
    /// is version `number`.
    pub(super) fn change_rollout(&self, number: u64, change: impl FnOnce(&mut Split, &mut SavedRollout)) {
        let mut history = self.history();
        let split = self.current.traffic().split.clone();
        if let Some(mut split) = split.filter(|split| split.candidate.label.number == number)
            && let Some(saved) = history.saved_rollout()
        {
            change(&mut split, saved);
            self.split(&history, Some(split));
        }
    }

    /// Ends the rollout in progress: no new request goes to its candidate. `end` records the result
    /// in the history.
    pub(super) fn end_rollout(&self, end: impl FnOnce(&mut History)) {
        let mut history = self.history();
        self.split(&history, None);
        end(&mut history);
    }

    fn split(&self, _history: &History, split: Option<Split>) {
        let current = Arc::clone(&self.current());
        self.current.set(Traffic { current, split });
    }

    /// Returns the content of the state file: the versions kept for rollback, the numbers of the
    /// current version and of the next candidate, and the rollout in progress.
    pub(super) fn to_save(&self) -> ToSave {
        let history = self.history();
        let current = self.current().label.number;
        ToSave {
            kept: history.kept(),
            current,
            next_number: history.next_number(),
            // One of an earlier process does not fit if its current version could not be restored.
            rollout: history.rollout().filter(|saved| saved.before == current).cloned(),
        }
    }

    /// Frees dropped versions that no longer answer a request. Returns whether dropped versions
    /// remain that still answer one.
    pub(super) fn release(&self) -> bool {
        let (gone, draining) = {
            // Under the lock, so that no reader misses these requests or counts them twice.
            let mut history = self.history();
            let (gone, draining) = history.release();
            gone.iter().for_each(|version| self.older.take_over(&version.requests));
            (gone, draining)
        };
        // Dropped outside of the lock, because freeing the code takes a while.
        drop(gone);
        draining
    }

    /// Makes version `number` current, or by default the version that the current one replaced.
    /// Returns the version that is current afterwards, and the number of the version that was
    /// current before; [`None`] if the version is not kept.
    pub(super) fn roll_back(&self, number: Option<u64>) -> Option<(Arc<Version>, u64)> {
        let history = self.history();
        let serving = self.current().label.number;
        let version = history.find(number.or_else(|| history.replaced_by(serving))?)?;
        if version.label.number != serving {
            self.current.set(Traffic { current: Arc::clone(&version), split: None });
        }
        Some((version, serving))
    }

    /// Replaces a version, whether it serves or not, by `better`, the same version with optimised
    /// code. Returns false if the version is no longer kept.
    pub(super) fn replace(&self, version: &Arc<Version>, better: Arc<Version>) -> bool {
        let mut history = self.history();
        let mut traffic = Traffic::clone(&self.current.traffic());
        if traffic.replace(version, &better) {
            self.current.set(traffic);
        }
        let current = self.current().label.number;
        history.replace(version, better, current)
    }
}
