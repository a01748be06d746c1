//! The folder in which good versions survive the end of the process: each
//! module under its hash, and one small file that says which were there and
//! which of them served.
//!
//! A file is written beside its place, made durable, and renamed into it, so
//! that a crash at any moment leaves either the old one or the new one. What is
//! damaged all the same is reported and passed over: nothing here keeps the
//! server from serving.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::version::{Label, Origin, hash};

/// The form of the small file. Another number is another form.
const FORMAT: u32 = 1;

/// The highest number of a version that is believed: counting on from it for
/// centuries does not overflow, and JSON can hold it exactly.
const NUMBER_MAX: u64 = 1 << 52;

/// The folder, which no other server uses at the same time.
pub struct StateDir {
    path: PathBuf,
    module_max: usize,
    _lock: File,
}

/// What the small file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// The number of the version that served.
    pub current: u64,
    /// The number that the next candidate gets.
    pub next_number: u64,
    /// The SHA-256 of what the watched file held when it was last looked at.
    pub considered: String,
    /// The good versions, oldest first.
    pub versions: Vec<Kept>,
}

/// A good version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What it is called.
    pub label: Label,
    /// When it became a candidate.
    pub time: SystemTime,
    /// Which version it took the place of.
    pub replaced: Option<u64>,
}

impl State {
    /// The state with these values, in the form that is written now.
    pub fn new(current: u64, next_number: u64, considered: String, versions: Vec<Kept>) -> State {
        State { format: FORMAT, current, next_number, considered, versions }
    }
}

impl StateDir {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be had, or another server has it.
    pub fn open(path: &Path, module_max: usize) -> anyhow::Result<StateDir> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(StateDir { path: path.to_owned(), module_max, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!("another server uses it"),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// What was saved last, if anything was and it can be read. A file that
    /// cannot be read is set aside, so that it is not lost with the next save.
    pub fn load(&self) -> Option<State> {
        let file = self.state_file();
        let state = fs::read(&file).map_err(anyhow::Error::from).and_then(|bytes| {
            let state: State = serde_json::from_slice(&bytes)?;
            match state.format {
                FORMAT if state.next_number <= NUMBER_MAX => Ok(state),
                FORMAT => bail!("its versions are numbered past {NUMBER_MAX}"),
                other => bail!("it has the form {other}; expected {FORMAT}"),
            }
        });
        match state {
            Ok(state) => Some(state),
            Err(error) if is_not_found(&error) => None,
            Err(error) => {
                warn!("the state in {} cannot be used and is set aside: {error:#}", file.display());
                let _ = fs::rename(&file, file.with_extension("damaged"));
                None
            }
        }
    }

    /// The bytes of a version, if they are what they were.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or have another hash.
    pub fn module(&self, label: &Label) -> anyhow::Result<Vec<u8>> {
        let file = self.module_file(&label.sha256)?;
        let bytes = Origin::Path(file.clone()).read(self.module_max);
        let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
        if bytes.len() > self.module_max {
            bail!("{} is larger than {} bytes (--module-max)", file.display(), self.module_max);
        }
        if hash(&bytes) != label.sha256 {
            bail!("{} is damaged: its SHA-256 is another", file.display());
        }
        Ok(bytes)
    }

    /// Writes a version's bytes, unless they are there.
    ///
    /// # Errors
    ///
    /// When they cannot be written and made durable.
    pub fn save_module(&self, label: &Label, bytes: &[u8]) -> anyhow::Result<()> {
        if self.module(label).is_ok() {
            return Ok(());
        }
        let file = self.module_file(&label.sha256)?;
        self.write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Writes the state, and removes the modules that neither it nor `unsaved`
    /// names: those are about to be written.
    ///
    /// # Errors
    ///
    /// When it cannot be written and made durable.
    pub fn save(&self, state: &State, unsaved: &[Label]) -> anyhow::Result<()> {
        let file = self.state_file();
        let bytes = serde_json::to_vec_pretty(state)?;
        self.write(&file, &bytes).with_context(|| format!("cannot write {}", file.display()))?;
        for entry in fs::read_dir(&self.path)?.flatten() {
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_module = path.extension().is_some_and(|extension| extension == "module");
            let named = state.versions.iter().map(|kept| &kept.label).chain(unsaved);
            let is_named = named.into_iter().any(|label| label.sha256 == stem);
            // Only what this server wrote: files named by a hash.
            if is_module && !is_named && is_hash(stem) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn write(&self, place: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = place.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, place)?;
        // The rename is durable when the folder is.
        File::open(&self.path)?.sync_all()
    }

    fn state_file(&self) -> PathBuf {
        self.path.join("state.json")
    }

    fn module_file(&self, sha256: &str) -> anyhow::Result<PathBuf> {
        // It may come from a damaged file, and must not lead out of the folder.
        if !is_hash(sha256) {
            bail!("`{sha256}` is not a SHA-256");
        }
        Ok(self.path.join(sha256).with_extension("module"))
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}
