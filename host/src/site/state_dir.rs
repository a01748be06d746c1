//! The folder in which good versions survive the end of the process: each
//! module under its hash, and one small file that says which were there and
//! which of them served.
//!
//! A file is written beside its place, made durable, and renamed into it, so
//! that a crash at any moment leaves either the old one or the new one. What is
//! damaged all the same is reported and passed over: nothing here keeps the
//! server from serving.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock;
use crate::config::limits::{ADDRESSES, COUNT_MAX};
use crate::files::private_folder::PrivateFolder;
use crate::site::version::{EMBEDDED, Label, Origin, hash};

/// The form of the small file. Another number is another form.
const FORMAT: u32 = 1;

/// The highest number of a version that is believed: counting on from it for
/// centuries does not overflow, and JSON can hold it exactly.
const NUMBER_MAX: u64 = 1 << 52;

/// The small file.
const STATE: &str = "state.json";

/// The longest small file, in bytes: room for 40,000 versions.
pub(crate) const STATE_MAX: usize = 16 << 20;

/// The longest name of where a version came from, in bytes: that of a command's
/// line.
pub(crate) const ORIGIN_MAX: usize = 16 << 10;

/// The folder, which no other server uses at the same time.
pub struct StateDir {
    folder: PrivateFolder,
    module_max: usize,
    /// The hashes of the modules that stay: those that the small file names, and
    /// those that it will name next.
    named: Mutex<Named>,
    /// Held while something is written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Named {
    now: HashSet<String>,
    next: HashSet<String>,
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
        let mut state = State { format: FORMAT, current, next_number, considered, versions };
        state.tidy();
        state.versions.dedup_by_key(|kept| kept.label.number);
        state
    }

    /// Puts the versions in order, with times that can be written and shown.
    fn tidy(&mut self) {
        self.versions.sort_by_key(|kept| kept.label.number);
        self.versions.iter_mut().for_each(|kept| kept.time = clock::showable(kept.time));
    }

    /// Reads the small file, and believes nothing of it that cannot be.
    fn read(bytes: &[u8]) -> anyhow::Result<State> {
        let mut state: State = serde_json::from_slice(bytes)?;
        if state.format != FORMAT {
            bail!("it has the form {}; expected {FORMAT}", state.format);
        }
        if state.next_number > NUMBER_MAX {
            bail!("its versions are numbered past {NUMBER_MAX}");
        }
        if state.versions.len() > COUNT_MAX {
            bail!("it names {} versions; expected at most {COUNT_MAX}", state.versions.len());
        }
        let numbers = 1..state.next_number;
        if !numbers.contains(&state.current) {
            bail!("the version {} that served has no number below {}", state.current, state.next_number);
        }
        if !is_hash(&state.considered) {
            bail!("what was looked at last has no SHA-256");
        }
        state.tidy();
        let mut before = 0;
        for Kept { label, replaced, .. } in &state.versions {
            let number = label.number;
            if number == before || !numbers.contains(&number) {
                bail!("it names version {number} twice, or the next number, {}, is wrong", state.next_number);
            }
            before = number;
            if replaced.is_some_and(|replaced| !(1..number).contains(&replaced)) {
                bail!("version {number} replaced one that did not come before");
            }
            if !is_hash(&label.sha256) || label.size > ADDRESSES || label.origin.length() > ORIGIN_MAX {
                bail!("the hash, the size or the origin of version {number} is none");
            }
        }
        Ok(state)
    }

    /// Lets nothing pass for the embedded handler that is not.
    fn correct_origins(&mut self) {
        let claims = self.versions.iter_mut().map(|kept| &mut kept.label);
        let mut claims = claims.filter(|label| label.origin == Origin::Embedded).peekable();
        if claims.peek().is_none() {
            return;
        }
        let embedded = hash(EMBEDDED);
        for label in claims.filter(|label| label.sha256 != embedded) {
            warn!("version {} is not the handler embedded in this program, as the state says", label.number);
            label.origin = Origin::Upload("embedded in another program".into());
        }
    }
}

impl StateDir {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be had, is not this user's alone, or another server has it.
    pub fn open(path: &Path, module_max: usize) -> anyhow::Result<StateDir> {
        let mut folder = PrivateFolder::open(path)?;
        folder.lock("lock".as_ref())?;
        let dir = StateDir { folder, module_max, named: Mutex::default(), writing: Mutex::default() };
        // Without these it is as it was.
        if let Err(error) = dir.remove_litter().and_then(|()| dir.folder.set_room_aside(STATE)) {
            warn!("the state may not be kept on a full disk: {error}");
        }
        Ok(dir)
    }

    /// Returns what was saved last, if anything was. A file that says nothing of
    /// use is set aside together with the modules, so that neither is lost.
    ///
    /// # Errors
    ///
    /// When the file is there and cannot be read, which may be over soon.
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
                    warn!("version {}, which served, was not kept", state.current);
                }
                self.named().now = hashes(&state);
                self.sweep();
                Some(state)
            }
            Err(error) => {
                warn!("the state in {} cannot be used and is set aside: {error:#}", file.display());
                self.set_aside().with_context(|| format!("cannot set {} aside", file.display()))?;
                None
            }
        })
    }

    /// Gives the state and all modules names under which nothing here looks for
    /// them.
    fn set_aside(&self) -> io::Result<()> {
        for name in self.folder.names(|name| hash_of_module(name).is_some())? {
            let hash = hash_of_module(&name).unwrap_or_default();
            self.folder.rename(&name, &format!("{hash}.damaged"))?;
        }
        let taken = self.folder.names(|name| name.starts_with("state.damaged"))?.len();
        let aside = if taken == 0 { "state.damaged".into() } else { format!("state.damaged-{}", taken + 1) };
        self.folder.rename(STATE, &aside)
    }

    /// The bytes of a version, if they are what they were.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or have another hash.
    pub fn module(&self, label: &Label) -> anyhow::Result<Vec<u8>> {
        let name = module_name(&label.sha256)?;
        let file = self.folder.path_of(&name);
        if self.folder.size(&name).is_some_and(|size| size > self.module_max) {
            bail!("{} is larger than {} bytes (--module-max)", file.display(), self.module_max);
        }
        let bytes = self.folder.read(&name, self.module_max);
        let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
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
        let name = module_name(&label.sha256)?;
        let _writing = lock(&self.writing);
        self.named().next.insert(label.sha256.clone());
        if self.module(label).is_ok() {
            return Ok(());
        }
        self.sweep();
        let written = self.folder.write_durably(&name, bytes).inspect_err(|_| {
            self.named().next.remove(&label.sha256);
        });
        written.with_context(|| format!("cannot write {}", self.folder.path_of(&name).display()))
    }

    /// Writes the state, and takes away the modules that it does not name.
    ///
    /// # Errors
    ///
    /// When it cannot be written and made durable.
    pub fn save(&self, state: &State) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.folder.path_of(STATE).display());
        let bytes = serde_json::to_vec_pretty(state).with_context(context)?;
        if bytes.len() > STATE_MAX {
            bail!(
                "the state would be longer than {STATE_MAX} bytes (--keep says how many versions are in it)"
            );
        }
        let _writing = lock(&self.writing);
        self.folder.replace(STATE, &bytes).with_context(context)?;
        let mut named = self.named();
        named.now = hashes(state);
        let Named { now, next } = &mut *named;
        next.retain(|hash| !now.contains(hash));
        drop(named);
        self.sweep();
        Ok(())
    }

    /// Makes room: removes what no version needs. That costs disk, no more, so
    /// failing to is only told.
    fn sweep(&self) {
        let swept = self.remove_litter().and_then(|()| {
            for name in self.folder.names(|name| hash_of_module(name).is_some())? {
                let named = self.named();
                let hash = hash_of_module(&name).unwrap_or_default();
                if !named.now.contains(hash) && !named.next.contains(hash) {
                    self.folder.remove(&name)?;
                }
            }
            Ok(())
        });
        if let Err(error) = swept {
            warn!("files of versions that are no longer kept stay in the folder for the state: {error}");
        }
    }

    /// Removes what writing has left behind: now, or as it was done earlier.
    fn remove_litter(&self) -> io::Result<()> {
        self.folder.remove_litter(|name| hash_of_module(name).is_some())?;
        let is_old =
            |name: &str| name.strip_suffix(".new").is_some_and(|stem| stem == "state" || is_hash(stem));
        self.folder.names(is_old)?.iter().try_for_each(|name| self.folder.remove(name))
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        lock(&self.named)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hashes(state: &State) -> HashSet<String> {
    state.versions.iter().map(|kept| kept.label.sha256.clone()).collect()
}

fn module_name(sha256: &str) -> anyhow::Result<String> {
    // It may come from a damaged file, and must not lead out of the folder.
    if !is_hash(sha256) {
        bail!("`{sha256}` is not a SHA-256");
    }
    Ok(format!("{sha256}.module"))
}

fn hash_of_module(name: &str) -> Option<&str> {
    name.strip_suffix(".module").filter(|hash| is_hash(hash))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{COUNT_MAX, EMBEDDED, Kept, NUMBER_MAX, State, hash};
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
        // As it was always written.
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

    #[test]
    fn nothing_but_the_embedded_handler_passes_for_it() {
        let mut planted = state(vec![kept(1, Origin::Embedded), kept(2, Origin::Upload("x".into()))]);
        planted
            .versions
            .push(Kept { label: label(3, Origin::Embedded, EMBEDDED), ..kept(3, Origin::Embedded) });
        planted.correct_origins();
        let origins: Vec<_> = planted.versions.iter().map(|kept| kept.label.origin.to_string()).collect();
        assert_eq!(origins, ["embedded in another program (sent)", "x (sent)", "the embedded handler"]);
    }
}
