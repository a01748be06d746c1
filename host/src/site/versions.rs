//! Current version and history, shared by the threads that serve, swap and answer
//! commands. Both change under the lock of the history; a request reads the current
//! version without a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::site::current::{Current, Serving};
use crate::site::history::{Entry, History};
use crate::site::state_dir::Kept;
use crate::site::version::Version;

/// Current version and history.
pub struct Versions {
    current: Current,
    history: Mutex<History>,
}

impl Versions {
    /// Creates the shared state from the first version and a history that contains
    /// it.
    pub(super) fn new(first: Arc<Version>, history: History) -> Versions {
        Versions { current: Current::new(first), history: Mutex::new(history) }
    }

    /// Returns the current version.
    pub fn current(&self) -> Serving {
        self.current.version()
    }

    /// Returns all remembered versions, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let history = self.history();
        history.entries(self.current().label.number)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a good candidate current. Returns the number of the version that it
    /// replaced.
    pub(super) fn publish(&self, version: Arc<Version>) -> u64 {
        let mut history = self.history();
        let replaced = self.current().label.number;
        self.current.publish(Arc::clone(&version));
        history.accept(version, Some(replaced));
        replaced
    }

    /// Returns the content of the state file: the good versions, the number of the current
    /// one, and the number of the next candidate.
    pub(super) fn to_save(&self) -> (Vec<Kept>, u64, u64) {
        let history = self.history();
        (history.kept(), self.current().label.number, history.next_number())
    }

    /// Frees versions that are no longer kept and answer no request. Returns whether other
    /// dropped versions still answer one.
    pub(super) fn release(&self) -> bool {
        let (gone, draining) = self.history().release();
        // Dropped outside of the lock, because freeing the code takes a while.
        drop(gone);
        draining
    }

    /// Makes version `number` current, or without a number the version that the current one
    /// replaced. Returns that version, and the number of the one that was current.
    pub(super) fn roll_back(&self, number: Option<u64>) -> Option<(Arc<Version>, u64)> {
        let history = self.history();
        let serving = self.current().label.number;
        let version = history.find(number.or_else(|| history.replaced_by(serving))?)?;
        if version.label.number != serving {
            self.current.publish(Arc::clone(&version));
        }
        Some((version, serving))
    }

    /// Replaces a version, current or not, with `better`, which has optimised code. Returns
    /// false when the version is no longer kept.
    pub(super) fn replace(&self, version: &Arc<Version>, better: Arc<Version>) -> bool {
        let mut history = self.history();
        if Arc::ptr_eq(&self.current(), version) {
            self.current.publish(Arc::clone(&better));
        }
        let current = self.current().label.number;
        history.replace(version, better, current)
    }
}
