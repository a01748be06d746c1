//! Saves versions in the state folder. Tracks which versions are not saved yet, and which versions
//! of an earlier server process are in the folder without being loaded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};

use crate::site::after_restart::AfterRestart;
use crate::site::handed::Handed;
use crate::site::saved::{Kept, State};
use crate::site::state_dir::StateDir;
use crate::site::version::Label;
use crate::site::versions::{ToSave, Versions};

/// Placeholder for the hash of the module file. No file has this SHA-256, so the file
/// counts as changed.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Saves the versions in the state folder. Without a state folder, keeps the bytes of their modules
/// in memory, for an upgrade.
pub(super) struct Store {
    dir: Option<StateDir>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// SHA-256 of the module file when it was last read.
    considered: String,
    /// Whether a version with the hash `considered` has served since the module file was read.
    has_served: bool,
    /// Versions whose modules are not saved in the state folder, with the bytes of the modules.
    unsaved: Vec<(Label, Arc<[u8]>)>,
    /// Versions of an earlier server process that are not loaded yet, or could not be restored.
    /// Their modules stay in the folder.
    left: Vec<Kept>,
    /// Number of the version that serves first after a restart, as the state file says; [`None`] if
    /// it names none.
    first: Option<u64>,
    /// Number of the candidate whose rollout continues after a restart, as the state file says;
    /// [`None`] if it has no rollout.
    rollout: Option<u64>,
    /// Why the latest change is not saved.
    failure: Option<String>,
}

impl Store {
    /// Creates the store. `considered` is the hash of the module file, `saved` the state of an
    /// earlier server process, `left` the versions in that state that are not loaded, and `unsaved`
    /// the modules of versions that are not in the folder.
    pub(super) fn new(
        dir: Option<StateDir>,
        considered: String,
        left: Vec<Kept>,
        saved: Option<&State>,
        unsaved: Vec<(Label, Arc<[u8]>)>,
    ) -> Store {
        let (first, rollout) = (saved.and_then(first), saved.and_then(candidate));
        let has_served = saved.is_none_or(|saved| saved.considered != considered || saved.has_served);
        let progress = Progress { considered, has_served, unsaved, left, first, rollout, failure: None };
        Store { dir, progress: Mutex::new(progress) }
    }

    /// Returns the state folder, if there is one.
    pub(super) fn dir(&self) -> Option<&StateDir> {
        self.dir.as_ref()
    }

    /// Returns the bytes of a version that an earlier server process has saved or handed over.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be read.
    pub(super) fn module(&self, label: &Label) -> anyhow::Result<Arc<[u8]>> {
        module(&self.progress().unsaved, self.dir.as_ref(), label)
    }

    /// Returns the state and the unsaved modules, for the process that replaces this one in an
    /// upgrade.
    pub(super) fn to_hand_over(&self, versions: &Versions) -> Handed {
        let progress = self.progress();
        let ToSave { kept, current, next_number, rollout } = versions.to_save();
        let all = progress.left.iter().cloned().chain(kept).collect();
        let mut state = State::new(current, next_number, progress.considered.clone(), all);
        (state.has_served, state.rollout) = (progress.has_served, rollout);
        Handed { state, files: progress.unsaved.clone() }
    }

    /// Records the hash of the module file. Returns whether the file is unchanged since it
    /// was last read.
    pub(super) fn consider(&self, sha256: &str) -> bool {
        let mut progress = self.progress();
        let is_same = progress.considered == sha256;
        if !is_same {
            (progress.considered, progress.has_served) = (sha256.to_owned(), false);
        }
        is_same
    }

    /// Records that a version with the bytes of the module file has served, if the current version
    /// has these bytes.
    pub(super) fn serves_now(&self, versions: &Versions) {
        let mut progress = self.progress();
        progress.has_served |= progress.considered == versions.current().label.sha256;
    }

    /// Returns whether the module file had this hash when it was last read, and a version with
    /// these bytes has served since.
    pub(super) fn has_served(&self, sha256: &str) -> bool {
        let progress = self.progress();
        progress.considered == sha256 && progress.has_served
    }

    /// Forgets the hash of the module file, so that the file counts as changed when it is
    /// read next.
    pub(super) fn forget_considered(&self) {
        let mut progress = self.progress();
        (progress.considered, progress.has_served) = (NOTHING.into(), false);
    }

    /// Records that the bytes of a version are not saved yet, and calls `publish`, which makes the
    /// version serve. Both happen under one lock, so that no state file lists the version without
    /// its bytes.
    pub(super) fn add<T>(&self, label: &Label, file: &Arc<[u8]>, publish: impl FnOnce() -> T) -> T {
        let mut progress = self.progress();
        progress.unsaved.push((label.clone(), Arc::clone(file)));
        publish()
    }

    /// Returns the versions of an earlier server process that are not loaded.
    pub(super) fn left(&self) -> Vec<Kept> {
        self.progress().left.clone()
    }

    /// Removes a version of an earlier server process from the list of those that are not loaded,
    /// because it was loaded or will not be.
    pub(super) fn loaded(&self, number: u64) {
        self.progress().left.retain(|kept| kept.label.number != number);
    }

    /// Saves the bytes of a version, and a state file that names the version as the current one,
    /// before the version is published.
    ///
    /// # Errors
    ///
    /// When there is no state folder, or it cannot be written.
    pub(super) fn save_ahead(&self, versions: &Versions, kept: Kept, file: &[u8]) -> anyhow::Result<()> {
        let dir = self.dir.as_ref().context("there is no state folder (--state-dir)")?;
        dir.save_module(&kept.label, file)?;
        let mut progress = self.progress();
        let ToSave { kept: mut all, next_number, .. } = versions.to_save();
        let number = kept.label.number;
        let has_served = progress.has_served || kept.label.sha256 == progress.considered;
        let is_saved = |kept: &Kept| !progress.unsaved.iter().any(|(label, _)| *label == kept.label);
        all.retain(|other| other.label.number != number && is_saved(other));
        all.push(kept);
        let all = progress.left.iter().cloned().chain(all).collect();
        // A rollout in progress ends when the version is published.
        let mut state = State::new(number, next_number, progress.considered.clone(), all);
        state.has_served = has_served;
        dir.save(&state)?;
        (progress.first, progress.rollout) = (Some(number), None);
        Ok(())
    }

    /// Saves the bytes of a version.
    ///
    /// # Errors
    ///
    /// When there is no state folder, or it cannot be written.
    pub(super) fn save_file(&self, label: &Label, file: &[u8]) -> anyhow::Result<()> {
        let dir = self.dir.as_ref().context("there is no state folder (--state-dir)")?;
        dir.save_module(label, file)
    }

    /// Saves the bytes of new versions, then the state file.
    ///
    /// # Errors
    ///
    /// When the bytes of a version or the state file cannot be written, so that a version
    /// would not survive a restart.
    pub(super) fn save(&self, versions: &Versions) -> anyhow::Result<()> {
        // Another process saves all, and this one again if it takes back.
        if self.is_left() {
            return Ok(());
        }
        let Some(dir) = &self.dir else {
            return self.save_state(versions);
        };
        // Clones the list, to write without the lock: a module may be large, and a
        // rollback must not wait for the write.
        let unsaved = self.progress().unsaved.clone();
        let mut failure = None;
        for (label, file) in unsaved {
            // Tries again after saving the state file, which removes modules of versions
            // that are no longer kept and so frees space on a full disk.
            let saved = dir.save_module(&label, &file).or_else(|_| {
                let _ = self.save_state(versions);
                dir.save_module(&label, &file)
            });
            match saved {
                Ok(()) => self.progress().unsaved.retain(|(other, _)| *other != label),
                Err(error) => failure = Some(error),
            }
        }
        let saved = failure.map_or(self.save_state(versions), Err);
        self.progress().failure = saved.as_ref().err().map(|error| format!("{error:#}"));
        saved
    }

    /// Saves the state file: the versions, and which one is current.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or the bytes of the current version are
    /// not saved.
    pub(super) fn save_state(&self, versions: &Versions) -> anyhow::Result<()> {
        if self.is_left() {
            return Ok(());
        }
        let mut progress = self.progress();
        let ToSave { kept, current, next_number, rollout } = versions.to_save();
        let rolling_out = rollout.iter().map(|rollout| &rollout.kept);
        let known = kept.iter().chain(rolling_out).chain(&progress.left);
        let known: Vec<_> = known.map(|kept| kept.label.clone()).collect();
        progress.unsaved.retain(|(label, _)| known.contains(label));
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        let is_saved = |kept: &Kept| !progress.unsaved.iter().any(|(label, _)| *label == kept.label);
        let all = progress.left.iter().cloned().chain(kept.into_iter().filter(is_saved)).collect();
        let mut state = State::new(current, next_number, progress.considered.clone(), all);
        state.has_served = progress.has_served;
        state.rollout = rollout.filter(|rollout| is_saved(&rollout.kept));
        let written = dir.save(&state).and_then(|()| {
            (progress.first, progress.rollout) = (first(&state), candidate(&state));
            match progress.first {
                Some(number) if number == current => Ok(()),
                _ => bail!("the bytes of version {current} could not be written"),
            }
        });
        progress.failure = written.as_ref().err().map(|error| format!("{error:#}"));
        written
    }

    fn is_left(&self) -> bool {
        self.dir.as_ref().is_some_and(StateDir::is_left)
    }

    /// Returns which version serves first after a restart, and which rollout continues, according
    /// to the state file.
    pub(super) fn after_restart(&self) -> AfterRestart {
        // A client may be in another folder than the server.
        let absolute = |dir: &StateDir| std::path::absolute(dir.path()).unwrap_or_else(|_| dir.path().into());
        let state_dir = self.dir.as_ref().map(|dir| absolute(dir).display().to_string());
        let progress = self.progress();
        AfterRestart {
            state_dir,
            version: progress.first,
            rollout: progress.rollout,
            cause: progress.failure.clone(),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the bytes of a version of an earlier server process: from `files`, which that process
/// has handed over, or else from the state folder.
///
/// # Errors
///
/// When the bytes are neither in `files` nor in the state folder, or cannot be read.
pub(super) fn module(
    files: &[(Label, Arc<[u8]>)],
    dir: Option<&StateDir>,
    label: &Label,
) -> anyhow::Result<Arc<[u8]>> {
    if let Some((_, file)) = files.iter().find(|(other, _)| other.sha256 == label.sha256) {
        return Ok(Arc::clone(file));
    }
    Ok(dir.context("there is no state folder (--state-dir)")?.module(label)?.into())
}

/// Returns the number of the candidate whose rollout continues after a restart; [`None`] if there
/// is no such rollout.
fn candidate(state: &State) -> Option<u64> {
    state.rollout.as_ref().map(|rollout| rollout.kept.label.number)
}

/// Returns the number of the version that serves first after a restart.
fn first(state: &State) -> Option<u64> {
    state.preferred().first().map(|label| label.number)
}
