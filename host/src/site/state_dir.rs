//! State folder, which keeps good versions across restarts: one file for each module, named after
//! the hash of the module, and the state file, which lists the versions and names the current one.
//!
//! A module is written under a temporary name, synced and renamed; the state file is exchanged with
//! a synced spare file. So a crash leaves either the old or the new file. A damaged module is
//! reported and skipped. An unusable state file is set aside together with all modules, and the
//! server starts as if there were no saved state.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use tracing::{info, warn};

use crate::files::private_folder::PrivateFolder;
use crate::site::saved::{State, hashes, is_hash, number_after};
use crate::site::version::{Label, hash};

/// Name of the state file.
const STATE: &str = "state.json";

/// Maximum size of the state file in bytes: room for 40,000 versions.
pub(crate) const STATE_MAX: usize = 16 << 20;

/// Error message when this process would write to the state folder, but another process owns the
/// folder during an upgrade.
const OTHER_WRITES: &str = "another process writes to the state folder";

/// State that an earlier server process has left in a state folder.
#[derive(Default)]
pub struct Left {
    /// Saved state, if there is a usable one.
    pub state: Option<State>,
    /// Number of the next version. All earlier versions have smaller numbers.
    pub next_number: u64,
}

/// State folder, locked against other servers.
pub struct StateDir {
    folder: Arc<PrivateFolder>,
    module_max: usize,
    /// Modules that must not be removed. Locked while files are written or removed.
    named: Mutex<Named>,
}

#[derive(Default)]
struct Named {
    /// Hashes of the modules that the state file names.
    now: HashSet<String>,
    /// Hashes of the modules that the next state file will name.
    next: HashSet<String>,
    /// Whether another process owns the folder, so that this process writes nothing.
    is_left: bool,
}

impl StateDir {
    /// Opens or creates a folder, and locks it against other servers.
    ///
    /// # Errors
    ///
    /// When the folder cannot be opened, can be changed by other users, or is locked by
    /// another server.
    pub fn lock(path: &Path) -> anyhow::Result<Arc<PrivateFolder>> {
        let mut folder = PrivateFolder::open(path)?;
        folder.lock("lock".as_ref())?;
        if folder.is_new() {
            info!("made the state folder {}; it keeps no version yet", path.display());
        }
        Ok(Arc::new(folder))
    }

    /// Creates the handle of a folder that [`StateDir::lock`] has locked. Changes nothing in the
    /// folder; [`StateDir::set_up`] prepares it for writing.
    pub fn new(folder: Arc<PrivateFolder>, module_max: usize) -> StateDir {
        StateDir { folder, module_max, named: Mutex::default() }
    }

    /// Removes temporary files of interrupted writes, and reserves disk space for the state file.
    pub fn set_up(&self) {
        // Only a warning: serving needs neither a clean folder nor reserved space.
        if let Err(error) = self.remove_litter().and_then(|()| self.folder.set_room_aside(STATE)) {
            warn!(
                "no disk space is reserved for the state, so a full disk may keep it from being saved: {error}"
            );
        }
    }

    /// Marks the folder as still owned by the previous process, which has handed over this state in
    /// an upgrade. Nothing is written until [`StateDir::take_back`].
    pub fn go_on(&self, state: &State) {
        let mut named = self.named();
        (named.now, named.is_left) = (hashes(state), true);
    }

    /// Returns whether another process owns the folder, so that this process writes nothing.
    pub fn is_left(&self) -> bool {
        self.named().is_left
    }

    /// Leaves the folder to another process: waits for a write in progress to end, and writes
    /// nothing more until [`StateDir::take_back`].
    pub fn leave(&self) {
        self.named().is_left = true;
    }

    /// Writes to the folder again after [`StateDir::leave`] or [`StateDir::go_on`], because the
    /// other process has ended or left the folder.
    pub fn take_back(&self) {
        self.named().is_left = false;
    }

    /// Returns the lock file of the folder, if the lock is held.
    pub fn held_lock(&self) -> Option<&File> {
        self.folder.held_lock()
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Reads the state that an earlier server process has left. Sets an unusable state file aside
    /// together with all modules, so that nothing is lost.
    ///
    /// # Errors
    ///
    /// When the state file exists but cannot be read; it is not set aside then, because the failure
    /// may be temporary. When an unusable state file cannot be set aside.
    pub fn load(&self) -> anyhow::Result<Left> {
        let file = self.folder.path_of(STATE);
        let bytes = match self.folder.read(STATE, STATE_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Left::default()),
            bytes => bytes.with_context(|| format!("cannot read {}", file.display()))?,
        };
        Ok(match State::read(&bytes) {
            Ok(mut state) => {
                state.correct_origins();
                if state.versions.iter().all(|kept| kept.label.number != state.current) {
                    warn!("version {}, which served last, is not in the state folder", state.current);
                }
                let mut named = self.named();
                named.now = hashes(&state);
                self.sweep(&named);
                Left { next_number: state.next_number, state: Some(state) }
            }
            Err(error) => {
                let (file, next_number) = (file.display(), number_after(&bytes));
                let aside = self.set_aside().with_context(|| format!("cannot set {file} aside"))?;
                warn!(
                    "the state in {file} is unusable: {error:#}; it is set aside as {aside}, and its modules as \
                     HASH.damaged: these versions are lost to the server, which serves the module of its start instead, \
                     and counts versions from {next_number}"
                );
                Left { state: None, next_number }
            }
        })
    }

    /// Renames the state file and all modules, so that nothing is lost but the server no longer
    /// uses them. Returns the new name of the state file.
    fn set_aside(&self) -> io::Result<String> {
        for hash in self.module_hashes()? {
            self.folder.rename(&file_of_module(&hash), &format!("{hash}.damaged"))?;
        }
        let taken = self.folder.names(|name| name.starts_with("state.damaged"))?.len();
        let aside = if taken == 0 { "state.damaged".into() } else { format!("state.damaged-{}", taken + 1) };
        self.folder.rename(STATE, &aside)?;
        Ok(aside)
    }

    /// Returns the bytes of a version, after checking their hash.
    ///
    /// # Errors
    ///
    /// When the module file cannot be read, is larger than `--module-max`, or has another hash than
    /// `label`.
    pub fn module(&self, label: &Label) -> anyhow::Result<Vec<u8>> {
        let name = module_name(&label.sha256)?;
        let file = self.folder.path_of(&name);
        if self.folder.size(&name).is_some_and(|size| size > self.module_max) {
            bail!("{} is larger than {} bytes (--module-max)", file.display(), self.module_max);
        }
        let bytes = self.folder.read(&name, self.module_max);
        let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
        if hash(&bytes) != label.sha256 {
            bail!("{} is damaged: its SHA-256 is not the recorded one", file.display());
        }
        Ok(bytes)
    }

    /// Writes the bytes of a version unless they are saved already.
    ///
    /// # Errors
    ///
    /// When another process owns the folder, or the module file cannot be written and synced.
    pub fn save_module(&self, label: &Label, bytes: &[u8]) -> anyhow::Result<()> {
        let name = module_name(&label.sha256)?;
        let mut named = self.named();
        if named.is_left {
            bail!(OTHER_WRITES);
        }
        named.next.insert(label.sha256.clone());
        if self.module(label).is_ok() {
            return Ok(());
        }
        self.sweep(&named);
        let written = self.folder.write_durably(&name, bytes).inspect_err(|_| {
            named.next.remove(&label.sha256);
        });
        written.with_context(|| format!("cannot write {}", self.folder.path_of(&name).display()))
    }

    /// Writes the state file, and removes modules that no version in the file needs.
    ///
    /// # Errors
    ///
    /// When another process owns the folder, or the state file would be too long or cannot be
    /// written and synced.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.folder.path_of(STATE).display());
        let bytes = serde_json::to_vec_pretty(state).with_context(context)?;
        if bytes.len() > STATE_MAX {
            bail!("the state would be longer than {STATE_MAX} bytes (lower --keep to keep fewer versions)");
        }
        let mut named = self.named();
        if named.is_left {
            bail!(OTHER_WRITES);
        }
        self.folder.replace(STATE, &bytes).with_context(context)?;
        let Named { now, next, .. } = &mut *named;
        *now = hashes(state);
        next.retain(|hash| !now.contains(hash));
        self.sweep(&named);
        Ok(())
    }

    /// Removes files that no version needs. A failure costs only disk space, so it
    /// is only logged.
    fn sweep(&self, named: &Named) {
        let swept = self.remove_litter().and_then(|()| {
            for hash in self.module_hashes()? {
                if !named.now.contains(&hash) && !named.next.contains(&hash) {
                    self.folder.remove(&file_of_module(&hash))?;
                }
            }
            Ok(())
        });
        if let Err(error) = swept {
            warn!("cannot remove files of versions that are no longer kept from the state folder: {error}");
        }
    }

    /// Removes temporary files of interrupted writes, including those with the names that
    /// earlier releases used.
    fn remove_litter(&self) -> io::Result<()> {
        self.folder.remove_litter(|name| hash_of_module(name).is_some())?;
        let is_old =
            |name: &str| name.strip_suffix(".new").is_some_and(|stem| stem == "state" || is_hash(stem));
        self.folder.names(is_old)?.iter().try_for_each(|name| self.folder.remove(name))
    }

    /// Returns the hashes of all modules in the folder.
    fn module_hashes(&self) -> io::Result<Vec<String>> {
        let names = self.folder.names(|name| hash_of_module(name).is_some())?;
        Ok(names.iter().filter_map(|name| hash_of_module(name)).map(str::to_owned).collect())
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn module_name(sha256: &str) -> anyhow::Result<String> {
    // The hash may come from a damaged state file, and a name such as `../x` would lead
    // out of the folder.
    if !is_hash(sha256) {
        bail!("`{sha256}` is not a SHA-256");
    }
    Ok(file_of_module(sha256))
}

fn file_of_module(sha256: &str) -> String {
    format!("{sha256}.module")
}

fn hash_of_module(name: &str) -> Option<&str> {
    name.strip_suffix(".module").filter(|hash| is_hash(hash))
}
