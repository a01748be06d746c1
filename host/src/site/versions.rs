//! The versions that there are, and which of them serves: what those who serve,
//! those who swap and those who ask all share. A change of both is one change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::site::current::{Current, Serving};
use crate::site::history::{Entry, History};
use crate::site::state_dir::Kept;
use crate::site::version::Version;

/// All that is known of versions.
pub struct Versions {
    current: Current,
    history: Mutex<History>,
}

impl Versions {
    /// One that serves, and a history that knows it.
    pub(super) fn new(first: Arc<Version>, history: History) -> Versions {
        Versions { current: Current::new(first), history: Mutex::new(history) }
    }

    /// The version that serves now.
    pub fn current(&self) -> Serving {
        self.current.version()
    }

    /// Returns all versions that are remembered, oldest first.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let history = self.history();
        history.entries(self.current().label.number)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a good candidate the version that serves. Returns the number of the
    /// one that it replaced.
    pub(super) fn publish(&self, version: Arc<Version>) -> u64 {
        let mut history = self.history();
        let replaced = self.current().label.number;
        self.current.publish(Arc::clone(&version));
        history.accept(version, Some(replaced));
        replaced
    }

    /// Returns what is to survive a restart: the good versions, the number of the
    /// one that serves, and the number of the next candidate.
    pub(super) fn to_save(&self) -> (Vec<Kept>, u64, u64) {
        let history = self.history();
        (history.kept(), self.current().label.number, history.next_number())
    }

    /// Drops versions that are not kept any more and answer no request. Returns
    /// whether some still answer one.
    pub(super) fn release(&self) -> bool {
        let (gone, draining) = self.history().release();
        // Outside of the lock, because giving memory back takes a while.
        drop(gone);
        draining
    }

    /// Makes a good version serve again: the one of this number, or else the one
    /// that the version which serves has replaced. Returns it and the number of
    /// the one that served.
    pub(super) fn go_back(&self, number: Option<u64>) -> Option<(Arc<Version>, u64)> {
        let history = self.history();
        let serving = self.current().label.number;
        let version = history.find(number.or_else(|| history.replaced_by(serving))?)?;
        if version.label.number != serving {
            self.current.publish(Arc::clone(&version));
        }
        Some((version, serving))
    }

    /// A version has better code, whether it serves or not. False when it is
    /// not kept any more.
    pub(super) fn replace(&self, version: &Arc<Version>, better: Arc<Version>) -> bool {
        let mut history = self.history();
        if Arc::ptr_eq(&self.current(), version) {
            self.current.publish(Arc::clone(&better));
        }
        let current = self.current().label.number;
        history.replace(version, better, current)
    }
}
