//! Content of the state file: the good versions, which one is current, and the rollout in
//! progress.

use std::collections::HashSet;
use std::time::SystemTime;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock;
use crate::config::value::{ADDRESSES, COUNT_MAX};
use crate::rollout::plan::Plan;
use crate::rollout::progress::{Halt, Phase};
use crate::rollout::report::outcomes::Counts;
use crate::site::version::{EMBEDDED, Label, Origin, hash};

/// Format version of the state file.
const FORMAT: u32 = 1;

/// Maximum version number that a state file may have. Counting up from it cannot overflow, and any
/// JSON parser reads it exactly.
const NUMBER_MAX: u64 = 1 << 52;

/// Maximum length of a version's origin in bytes: a file path, or the name of an upload. A name is
/// always shorter, because it arrives in the head of an API request, and such a head has at most
/// this length.
pub(crate) const ORIGIN_MAX: usize = 16 << 10;

/// Content of the state file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Number of the current version.
    pub current: u64,
    /// Number of the next candidate.
    pub next_number: u64,
    /// SHA-256 of the module file when it was last read.
    pub considered: String,
    /// Whether a version with the hash `considered` has served since the module file was read.
    #[serde(default = "yes")]
    pub has_served: bool,
    /// Good versions, oldest first.
    pub versions: Vec<Kept>,
    /// Rollout in progress.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rollout: Option<SavedRollout>,
}

/// Rollout in progress, as the state file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedRollout {
    /// Entry of the candidate.
    pub kept: Kept,
    /// Number of the current version, which serves the other clients during the rollout.
    pub before: u64,
    /// Plan of the rollout.
    pub plan: Plan,
    /// Salt of the assignment of clients.
    pub salt: [u8; 16],
    /// Phase in which the rollout was saved.
    #[serde(flatten)]
    pub phase: Phase,
    /// Why the rollout is halted, if it is: paused by an operator, or stopped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub halt: Option<Halt>,
    /// Why the rollout has stopped, if it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped: Option<String>,
}

/// Entry of a good version, or of the candidate of a rollout, in the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Number, origin, size and hash.
    pub label: Label,
    /// Time at which the version became a candidate.
    pub time: SystemTime,
    /// Number of the version that this version replaced when it was published.
    pub replaced: Option<u64>,
    /// Counts of the requests of the journal on which the version was tried, if any were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replayed: Option<Counts>,
}

impl Kept {
    /// Creates the entry of a version that has just become a candidate.
    pub(super) fn new(label: Label) -> Kept {
        Kept { label, time: SystemTime::now(), replaced: None, replayed: None }
    }
}

impl State {
    /// Creates a state in the current format. Sorts the versions, and drops repeated ones.
    pub fn new(current: u64, next_number: u64, considered: String, versions: Vec<Kept>) -> State {
        let mut state = State {
            format: FORMAT,
            current,
            next_number,
            considered,
            has_served: true,
            versions,
            rollout: None,
        };
        state.tidy();
        state.versions.dedup_by_key(|kept| kept.label.number);
        state
    }

    /// Returns the versions in the order in which a restart tries them: the current one, if the
    /// file lists it, then the others, newest first.
    pub(super) fn preferred(&self) -> Vec<&Label> {
        let mut labels: Vec<&Label> = self.versions.iter().rev().map(|kept| &kept.label).collect();
        labels.sort_by_key(|label| label.number != self.current);
        labels
    }

    /// Sorts the versions by number, and clamps their times to the range that can be written.
    fn tidy(&mut self) {
        self.versions.sort_by_key(|kept| kept.label.number);
        self.versions.iter_mut().for_each(|kept| kept.time = clock::showable(kept.time));
    }

    /// Parses and validates the state file. Only warns of an unusable rollout and drops it, because
    /// the versions matter more.
    pub(super) fn read(bytes: &[u8]) -> anyhow::Result<State> {
        let mut value: serde_json::Value = serde_json::from_slice(bytes)?;
        let rollout = value.as_object_mut().and_then(|fields| fields.remove("rollout"));
        let mut state: State = serde_json::from_value(value)?;
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
            check(label)?;
        }
        match rollout.map(|rollout| state.read_rollout(rollout)).transpose() {
            Ok(rollout) => state.rollout = rollout,
            // The versions are worth more.
            Err(error) => warn!("the saved rollout is unusable, and does not go on: {error:#}"),
        }
        Ok(state)
    }

    /// Parses and validates the rollout of this state.
    fn read_rollout(&self, value: serde_json::Value) -> anyhow::Result<SavedRollout> {
        let mut rollout: SavedRollout = serde_json::from_value(value)?;
        let SavedRollout { kept: Kept { label, time, .. }, before, phase, plan, .. } = &mut rollout;
        *time = clock::showable(*time);
        check(label)?;
        let is_listed = self.versions.iter().any(|kept| kept.label.number == label.number);
        if is_listed || !(1..self.next_number).contains(&label.number) || *before != self.current {
            bail!("version {} does not fit the versions", label.number);
        }
        if let Phase::Step { step } = phase
            && *step >= plan.steps.shares().len()
        {
            bail!("it is in a step that its plan lacks");
        }
        Ok(rollout)
    }

    /// Corrects the origin of versions that are listed as the embedded handler, but whose hash
    /// differs from that of the handler embedded in this program.
    pub(super) fn correct_origins(&mut self) {
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

/// Default of `has_served`, which state files of earlier releases lack.
fn yes() -> bool {
    true
}

/// Returns a number above all version numbers that an unusable state file contains, so that no
/// number is used twice. Returns 1 if the file contains none.
pub(super) fn number_after(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    let number = |rest: &str| {
        let rest = rest.trim_start().strip_prefix(':')?.trim_start();
        let digits = rest.get(..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()))?;
        digits.parse().ok().filter(|number: &u64| *number < NUMBER_MAX)
    };
    let behind = |key: &str| text.split(key).skip(1).filter_map(number).max();
    let next = behind("\"next_number\"").unwrap_or(1);
    next.max(behind("\"number\"").map_or(1, |last| last + 1)).max(1)
}

/// Returns the hashes of all modules that a state names.
pub(super) fn hashes(state: &State) -> HashSet<String> {
    let candidate = state.rollout.iter().map(|rollout| &rollout.kept);
    state.versions.iter().chain(candidate).map(|kept| kept.label.sha256.clone()).collect()
}

fn check(label: &Label) -> anyhow::Result<()> {
    if !is_hash(&label.sha256) || label.size > ADDRESSES || label.origin.length() > ORIGIN_MAX {
        bail!("version {} has an invalid hash, size or origin", label.number);
    }
    Ok(())
}

/// Returns whether a text is a SHA-256 in lower-case hexadecimal.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{COUNT_MAX, Counts, Kept, NUMBER_MAX, State, hash, number_after};
    use crate::site::version::{Label, Origin};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn label(number: u64, origin: Origin, bytes: &[u8]) -> Label {
        Label { number, origin, size: bytes.len(), sha256: hash(bytes) }
    }

    fn kept(number: u64, origin: Origin) -> Kept {
        Kept { time: SystemTime::UNIX_EPOCH, ..Kept::new(label(number, origin, b"x")) }
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
            let counts = Counts { same: 7, different: 1, ..Counts::default() };
            let replayed = Kept { replayed: Some(counts), ..kept(2, Origin::Upload("x".into())) };
            let saved = state(vec![kept(1, Origin::Path(path)), replayed]);
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
    fn an_unusable_rollout_is_dropped_and_the_versions_stay() {
        let rollout = serde_json::json!({
            "kept": kept(2, Origin::Embedded), "before": 1, "salt": vec![7; 16], "phase": "step", "step": 1,
            "plan": {
                "shadow": "0s", "percent": "10%", "steps": "1%,50%", "hold": "30s", "key": "client",
                "slower": "2x", "requests": 100, "wait": "10m",
            },
        });
        let read = |path: &str, value: serde_json::Value| {
            let mut saved = serde_json::to_value(state(vec![kept(1, Origin::Embedded)])).unwrap();
            saved["rollout"] = rollout.clone();
            if !path.is_empty() {
                *saved["rollout"].pointer_mut(path).unwrap() = value;
            }
            State::read(&serde_json::to_vec(&saved).unwrap()).unwrap()
        };
        let good = read("", 0.into());
        assert_eq!(good.rollout.as_ref().map(|rollout| rollout.before), Some(1));
        assert_eq!(self::read(&good).unwrap(), good);
        for (path, value) in [
            ("/step", 2.into()),
            ("/phase", "later".into()),
            ("/before", 3.into()),
            ("/kept/label/number", 1.into()),
            ("/kept/label/number", 10.into()),
            ("/kept/label/sha256", "../x".into()),
            ("/plan/percent", "0%".into()),
            ("/plan/key", "moon".into()),
            ("/salt", "x".into()),
            ("/kept", 1.into()),
        ] {
            let read = read(path, value);
            assert_eq!((read.rollout, read.versions.len()), (None, 1), "{path}");
        }
    }

    #[test]
    fn what_is_left_of_a_damaged_state_says_which_numbers_were_given() {
        let whole = serde_json::to_vec(&state(vec![kept(4, Origin::Embedded)])).unwrap();
        assert_eq!(number_after(&whole), 10);
        for (damaged, expected) in [
            (&b""[..], 1),
            (b"\xff{", 1),
            (b"\"next_number\" : 7", 7),
            (b"\"number\":8,\xff \"next_number\":3", 9),
            (b"\"next_number\":99999999999999999999", 1),
            (b"\"next_number\":0 \"number\":-1 \"number\"", 1),
        ] {
            assert_eq!(number_after(damaged), expected, "{}", damaged.escape_ascii());
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
