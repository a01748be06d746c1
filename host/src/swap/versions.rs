//! The versions that there are, and which of them serves: what those who serve,
//! those who swap and those who ask all share. A change of both is one change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::current::{Current, Serving};
use super::history::History;
use super::version::Version;

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

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on a good candidate serves.
    pub(super) fn publish(&self, version: Arc<Version>, replaced: Option<u64>) {
        let mut history = self.history();
        self.current.publish(Arc::clone(&version));
        history.accept(version, replaced);
    }

    /// From here on the good version of this number serves, if it is kept.
    pub(super) fn go_back(&self, number: u64) -> Option<Arc<Version>> {
        let history = self.history();
        let version = history.find(number)?;
        if self.current().label.number != number {
            self.current.publish(Arc::clone(&version));
        }
        Some(version)
    }

    /// A version has better code, whether it serves or not. False when it is
    /// not kept any more.
    pub(super) fn replace(&self, version: &Arc<Version>, better: Arc<Version>) -> bool {
        let mut history = self.history();
        if Arc::ptr_eq(&self.current(), version) {
            self.current.publish(Arc::clone(&better));
        }
        history.replace(version, better)
    }
}
