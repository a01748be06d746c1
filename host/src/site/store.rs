//! What survives a restart: which of the versions are in the state folder, which
//! are not yet, and which of an earlier process stay there for later.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};

use crate::site::state_dir::{Kept, State, StateDir};
use crate::site::version::{Label, hash};
use crate::site::versions::Versions;

/// The SHA-256 of nothing that there is.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The record of the versions, if it is to survive.
pub(super) struct Store {
    dir: Option<StateDir>,
    record: Mutex<Record>,
}

struct Record {
    /// The SHA-256 of what the watched file held when it was last looked at.
    considered: String,
    /// Versions whose bytes are not in the folder.
    unsaved: Vec<(Label, Arc<[u8]>)>,
    /// Versions of an earlier process that did not come back: not yet, or not
    /// with the limits of this one. They stay in the folder for the next.
    left: Vec<Kept>,
}

impl Store {
    pub(super) fn new(dir: Option<StateDir>, considered: String, left: Vec<Kept>) -> Store {
        Store { dir, record: Mutex::new(Record { considered, unsaved: Vec::new(), left }) }
    }

    /// Returns the folder, if there is one.
    pub(super) fn dir(&self) -> Option<&StateDir> {
        self.dir.as_ref()
    }

    /// Notes that the watched file was looked at. Returns whether it holds what
    /// it held before.
    pub(super) fn consider(&self, file: &[u8]) -> bool {
        let found = hash(file);
        std::mem::replace(&mut self.record().considered, found.clone()) == found
    }

    /// Notes that the watched file should be looked at again, whatever it holds.
    pub(super) fn forget_considered(&self) {
        self.record().considered = NOTHING.into();
    }

    /// Notes a version whose bytes are to be saved, and publishes it, as one change
    /// of the record.
    pub(super) fn add<T>(&self, label: &Label, file: &Arc<[u8]>, publish: impl FnOnce() -> T) -> T {
        let mut record = self.record();
        if self.dir.is_some() {
            record.unsaved.push((label.clone(), Arc::clone(file)));
        }
        publish()
    }

    /// Returns the versions of an earlier process that did not come back yet.
    pub(super) fn left(&self) -> Vec<Kept> {
        self.record().left.clone()
    }

    /// Notes that a version of an earlier process is back.
    pub(super) fn is_back(&self, number: u64) {
        self.record().left.retain(|kept| kept.label.number != number);
    }

    /// Makes a version durable as the one that serves, before it does.
    ///
    /// # Errors
    ///
    /// When there is no folder, or it cannot be written.
    pub(super) fn save_ahead(&self, versions: &Versions, kept: Kept, file: &[u8]) -> anyhow::Result<()> {
        let dir = self.dir.as_ref().context("there is no state folder (--state-dir)")?;
        dir.save_module(&kept.label, file)?;
        let record = self.record();
        let (mut all, _, next_number) = versions.to_save();
        let number = kept.label.number;
        all.retain(|other| other.label.number != number);
        all.push(kept);
        let all = record.left.iter().cloned().chain(all).collect();
        dir.save(&State::new(number, next_number, record.considered.clone(), all))
    }

    /// Makes durable which versions there are, after the bytes of new ones.
    ///
    /// # Errors
    ///
    /// When the version that serves would not come back after a restart, or
    /// another one would not.
    pub(super) fn save(&self, versions: &Versions) -> anyhow::Result<()> {
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        // Without the lock, because a module may be large, and an undo does not
        // wait for it.
        let unsaved = self.record().unsaved.clone();
        let mut failure = None;
        for (label, file) in unsaved {
            // On a full disk, the record frees the room of versions that are not
            // kept any more.
            let saved = dir.save_module(&label, &file).or_else(|_| {
                let _ = self.save_record(versions);
                dir.save_module(&label, &file)
            });
            match saved {
                Ok(()) => self.record().unsaved.retain(|(other, _)| *other != label),
                Err(error) => failure = Some(error),
            }
        }
        let recorded = self.save_record(versions);
        failure.map_or(recorded, Err)
    }

    /// Makes durable which versions there are and which of them serves.
    ///
    /// # Errors
    ///
    /// When that cannot be written, or the version that serves is not in the
    /// folder.
    pub(super) fn save_record(&self, versions: &Versions) -> anyhow::Result<()> {
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        let mut record = self.record();
        let (kept, current, next_number) = versions.to_save();
        record.unsaved.retain(|(label, _)| kept.iter().any(|kept| kept.label == *label));
        let is_saved = |kept: &Kept| !record.unsaved.iter().any(|(label, _)| *label == kept.label);
        let all = record.left.iter().cloned().chain(kept.into_iter().filter(is_saved)).collect();
        dir.save(&State::new(current, next_number, record.considered.clone(), all))?;
        if record.unsaved.iter().any(|(label, _)| label.number == current) {
            bail!("the bytes of version {current} could not be written");
        }
        Ok(())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
