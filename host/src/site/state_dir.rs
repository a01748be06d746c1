//! State folder, which keeps good versions across restarts: each module under its hash,
//! and the state file, which lists the versions and names the current one.
//!
//! A module is written under a temporary name, synced and renamed; the state file is
//! exchanged with a synced spare. So a crash leaves either the old or the new file. A
//! damaged module is reported and skipped. An unusable state file is set aside together
//! with all modules, and the server starts as without a saved state.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock;
use crate::config::value::{ADDRESSES, COUNT_MAX};
use crate::files::private_folder::PrivateFolder;
use crate::site::version::{EMBEDDED, Label, Origin, hash};

/// Format version of the state file.
const FORMAT: u32 = 1;

/// Largest accepted version number. Counting on from it cannot overflow, and any JSON
/// parser reads it exactly.
const NUMBER_MAX: u64 = 1 << 52;

/// Name of the state file.
const STATE: &str = "state.json";

/// Largest state file in bytes: room for 40,000 versions.
pub(crate) const STATE_MAX: usize = 16 << 20;

/// Longest origin of a version in bytes. A command's name for an upload is shorter,
/// because the longest line of a command has this length.
pub(crate) const ORIGIN_MAX: usize = 16 << 10;

/// State folder, locked against other servers.
pub struct StateDir {
    folder: PrivateFolder,
    module_max: usize,
    /// Modules that must not be removed. Locked while files are written or removed.
    named: Mutex<Named>,
}

#[derive(Default)]
struct Named {
    /// Hashes in the state file.
    now: HashSet<String>,
    /// Hashes that the next state file will contain.
    next: HashSet<String>,
}

/// Content of the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Number of the current version.
    pub current: u64,
    /// Number of the next candidate.
    pub next_number: u64,
    /// SHA-256 of the module file when it was last read.
    pub considered: String,
    /// Good versions, oldest first.
    pub versions: Vec<Kept>,
}

/// Entry of a good version in the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Number, origin, size and hash.
    pub label: Label,
    /// Time at which the version became a candidate.
    pub time: SystemTime,
    /// Number of the version that this one replaced.
    pub replaced: Option<u64>,
}

impl State {
    /// Creates a state in the current format.
    pub fn new(current: u64, next_number: u64, considered: String, versions: Vec<Kept>) -> State {
        let mut state = State { format: FORMAT, current, next_number, considered, versions };
        state.tidy();
        state.versions.dedup_by_key(|kept| kept.label.number);
        state
    }

    /// Sorts the versions and clamps their times to the range that can be written.
    fn tidy(&mut self) {
        self.versions.sort_by_key(|kept| kept.label.number);
        self.versions.iter_mut().for_each(|kept| kept.time = clock::showable(kept.time));
    }

    /// Parses and validates the state file.
    fn read(bytes: &[u8]) -> anyhow::Result<State> {
        let mut state: State = serde_json::from_slice(bytes)?;
        if state.format != FORMAT {
            bail!("its format is {}; expected {FORMAT}", state.format);
        }
        if state.next_number > NUMBER_MAX {
            bail!("its next version number is above {NUMBER_MAX}");
        }
        if state.versions.len() > COUNT_MAX {
            bail!("it names {} versions; expected at most {COUNT_MAX}", state.versions.len());
        }
        let numbers = 1..state.next_number;
        if !numbers.contains(&state.current) {
            bail!(
                "the current version is {}; expected a number from 1 to below {}",
                state.current,
                state.next_number
            );
        }
        if !is_hash(&state.considered) {
            bail!("the hash of the watched file is not a SHA-256");
        }
        state.tidy();
        let mut before = 0;
        for Kept { label, replaced, .. } in &state.versions {
            let number = label.number;
            if number == before || !numbers.contains(&number) {
                bail!(
                    "version {number} is listed twice, or is not below the next number, {}",
                    state.next_number
                );
            }
            before = number;
            if replaced.is_some_and(|replaced| !(1..number).contains(&replaced)) {
                bail!("version {number} is said to have replaced a later version");
            }
            if !is_hash(&label.sha256) || label.size > ADDRESSES || label.origin.length() > ORIGIN_MAX {
                bail!("version {number} has an invalid hash, size or origin");
            }
        }
        Ok(state)
    }

    /// Corrects the origin of versions that are listed as the embedded handler but have
    /// another hash than the one in this program.
    fn correct_origins(&mut self) {
        let claims = self.versions.iter_mut().map(|kept| &mut kept.label);
        let mut claims = claims.filter(|label| label.origin == Origin::Embedded).peekable();
        if claims.peek().is_none() {
            return;
        }
        let embedded = hash(EMBEDDED);
        for label in claims.filter(|label| label.sha256 != embedded) {
            warn!(
                "version {} is listed as the embedded handler, but this program embeds another",
                label.number
            );
            label.origin = Origin::Upload("embedded in another program".into());
        }
    }
}

impl StateDir {
    /// Opens or creates the folder.
    ///
    /// # Errors
    ///
    /// When the folder cannot be opened, can be changed by other users, or is locked by
    /// another server.
    pub fn open(path: &Path, module_max: usize) -> anyhow::Result<StateDir> {
        let mut folder = PrivateFolder::open(path)?;
        folder.lock("lock".as_ref())?;
        let dir = StateDir { folder, module_max, named: Mutex::default() };
        // Only a warning: serving needs neither a clean folder nor reserved space.
        if let Err(error) = dir.remove_litter().and_then(|()| dir.folder.set_room_aside(STATE)) {
            warn!(
                "no disk space is reserved for the state, so a full disk may keep it from being saved: {error}"
            );
        }
        Ok(dir)
    }

    /// Returns the saved state, if there is one. An unusable state file is set aside
    /// together with all modules, so that nothing is lost.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be read: that may be temporary, so the file is not
    /// set aside. When an unusable file cannot be set aside.
    pub fn load(&self) -> anyhow::Result<Option<State>> {
        let file = self.folder.path_of(STATE);
        let bytes = match self.folder.read(STATE, STATE_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
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
                Some(state)
            }
            Err(error) => {
                warn!("the state in {} is unusable and is set aside: {error:#}", file.display());
                self.set_aside().with_context(|| format!("cannot set {} aside", file.display()))?;
                None
            }
        })
    }

    /// Renames the state file and all modules, so that they are kept and no longer used.
    fn set_aside(&self) -> io::Result<()> {
        for hash in self.module_hashes()? {
            self.folder.rename(&file_of_module(&hash), &format!("{hash}.damaged"))?;
        }
        let taken = self.folder.names(|name| name.starts_with("state.damaged"))?.len();
        let aside = if taken == 0 { "state.damaged".into() } else { format!("state.damaged-{}", taken + 1) };
        self.folder.rename(STATE, &aside)
    }

    /// Returns the bytes of a version, after checking their hash.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than `--module-max`, or has another hash.
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
    /// When the file cannot be written and synced.
    pub fn save_module(&self, label: &Label, bytes: &[u8]) -> anyhow::Result<()> {
        let name = module_name(&label.sha256)?;
        let mut named = self.named();
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

    /// Writes the state file, and removes modules that no version in it needs.
    ///
    /// # Errors
    ///
    /// When the file would be too long, or cannot be written and synced.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.folder.path_of(STATE).display());
        let bytes = serde_json::to_vec_pretty(state).with_context(context)?;
        if bytes.len() > STATE_MAX {
            bail!("the state would be longer than {STATE_MAX} bytes (lower --keep to keep fewer versions)");
        }
        let mut named = self.named();
        self.folder.replace(STATE, &bytes).with_context(context)?;
        let Named { now, next } = &mut *named;
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

fn hashes(state: &State) -> HashSet<String> {
    state.versions.iter().map(|kept| kept.label.sha256.clone()).collect()
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

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{COUNT_MAX, Kept, NUMBER_MAX, State, hash};
    use crate::site::version::{Label, Origin};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn label(number: u64, origin: Origin, bytes: &[u8]) -> Label {
        Label { number, origin, size: bytes.len(), sha256: hash(bytes) }
    }

    fn kept(number: u64, origin: Origin) -> Kept {
        Kept { label: label(number, origin, b"x"), time: SystemTime::UNIX_EPOCH, replaced: None }
    }

    fn state(versions: Vec<Kept>) -> State {
        State::new(1, 10, hash(b""), versions)
    }

    fn read(state: &State) -> anyhow::Result<State> {
        State::read(&serde_json::to_vec(state).unwrap())
    }

    #[test]
    fn what_is_saved_is_read_whatever_the_path() {
        let paths = ["/a", "a b", "\"", "\u{1b}"].map(|path| Path::new(path).to_owned());
        let odd = Path::new(OsStr::from_bytes(b"/a/\xff\x00b")).to_owned();
        for path in paths.into_iter().chain([odd]) {
            let saved = state(vec![kept(1, Origin::Path(path)), kept(2, Origin::Upload("x".into()))]);
            assert_eq!(read(&saved).unwrap(), saved);
        }
        // Earlier releases wrote this format, which must stay readable.
        let text = serde_json::to_string(&Origin::Path("/a".into())).unwrap();
        assert_eq!(text, r#"{"path":"/a"}"#);
    }

    #[test]
    fn times_that_cannot_be_shown_are_neither_saved_nor_believed() {
        let mut odd = kept(1, Origin::Embedded);
        odd.time = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(read(&state(vec![odd.clone()])).unwrap().versions[0].time, SystemTime::UNIX_EPOCH);
        odd.time = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 60);
        let mut planted = state(Vec::new());
        planted.versions = vec![odd];
        let time = read(&planted).unwrap().versions[0].time;
        assert_eq!(humantime::format_rfc3339_seconds(time).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_planted_state_that_cannot_be_is_refused() {
        type Change = fn(&mut State);
        let changes: [Change; 13] = [
            |state| state.format = 2,
            |state| state.next_number = NUMBER_MAX + 1,
            |state| state.next_number = 2,
            |state| state.current = 0,
            |state| state.current = 10,
            |state| state.considered = "A".repeat(64),
            |state| state.versions[1].label.number = 1,
            |state| state.versions[1].label.number = 0,
            |state| state.versions[1].replaced = Some(2),
            |state| state.versions[1].label.sha256 = "../../../etc/passwd".into(),
            |state| state.versions[1].label.size = usize::MAX,
            |state| state.versions[1].label.origin = Origin::Upload("x".repeat(20_000)),
            |state| state.versions = vec![state.versions[0].clone(); COUNT_MAX + 1],
        ];
        let good = state(vec![kept(1, Origin::Embedded), kept(2, Origin::Embedded)]);
        read(&good).unwrap();
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = good.clone();
            change(&mut changed);
            assert!(read(&changed).is_err(), "change {index}: {changed:?}");
        }
    }

    #[test]
    fn versions_are_read_in_their_order() {
        let mut mixed = state(Vec::new());
        mixed.versions = vec![kept(4, Origin::Embedded), kept(1, Origin::Embedded)];
        let numbers: Vec<_> = read(&mixed).unwrap().versions.iter().map(|kept| kept.label.number).collect();
        assert_eq!(numbers, [1, 4]);
    }
}
