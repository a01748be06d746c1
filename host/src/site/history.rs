//! The versions that there were: those that can come back, compiled as they
//! are, and why others never served.

use std::sync::Arc;
use std::time::SystemTime;

use host_wasm::CompiledModule;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::limits::Limits;
use crate::site::activate::Rejection;
use crate::site::state_dir::Kept;
use crate::site::version::{Label, Origin, Version};

/// All versions that are remembered, oldest first.
pub struct History {
    /// How many good versions are kept, the current one included.
    keep: usize,
    /// How much memory the good versions may take together, in bytes.
    keep_bytes: usize,
    next_number: u64,
    records: Vec<Record>,
    /// No longer kept, and perhaps still answering a request.
    leaving: Vec<Arc<Version>>,
}

struct Record {
    label: Label,
    time: SystemTime,
    /// Which version it took the place of when it began to serve.
    replaced: Option<u64>,
    fate: Fate,
}

enum Fate {
    /// It is being checked.
    Candidate,
    /// It may serve, whether it does or not.
    Good(Arc<Version>),
    /// It never served.
    Rejected(Rejection),
}

/// A version as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1.
    pub number: u64,
    /// candidate, current, draining, retired or rejected.
    pub state: String,
    /// In hexadecimal.
    pub sha256: String,
    /// Where its bytes came from.
    pub origin: String,
    /// In bytes.
    pub size: usize,
    /// When it became a candidate, in UTC.
    pub time: String,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl History {
    /// Makes an empty history, within these bounds.
    pub fn new(limits: &Limits) -> History {
        let Limits { keep, keep_bytes, .. } = *limits;
        History { keep, keep_bytes, next_number: 1, records: Vec::new(), leaving: Vec::new() }
    }

    /// Goes on counting where an earlier process ended.
    pub fn count_from(&mut self, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
    }

    /// The number of the next candidate.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// A good version of an earlier process is back.
    pub fn restore(&mut self, version: Arc<Version>, kept: &Kept) {
        let number = version.label.number;
        let place = self.records.partition_point(|record| record.label.number < number);
        let Kept { label, time, replaced } = kept.clone();
        let record = Record { label, time, replaced, fate: Fate::Good(version) };
        self.records.insert(place, record);
    }

    /// The good versions as they are saved, oldest first.
    pub fn kept(&self) -> Vec<Kept> {
        let good = self.records.iter().filter(|record| matches!(record.fate, Fate::Good(_)));
        let kept = |record: &Record| Kept {
            label: record.label.clone(),
            time: record.time,
            replaced: record.replaced,
        };
        good.map(kept).collect()
    }

    /// A candidate appears, and is given its number.
    pub fn begin(&mut self, origin: Origin, size: usize, sha256: String) -> Label {
        let label = Label { number: self.next_number, origin, size, sha256 };
        self.next_number += 1;
        self.records.push(Record {
            label: label.clone(),
            time: SystemTime::now(),
            replaced: None,
            fate: Fate::Candidate,
        });
        label
    }

    /// The candidate of this number is no good.
    pub fn reject(&mut self, number: u64, rejection: Rejection) {
        self.settle(number, Fate::Rejected(rejection));
        let is_rejected = |record: &Record| matches!(record.fate, Fate::Rejected(_));
        let count = self.records.iter().filter(|record| is_rejected(record)).count();
        let mut excess = count.saturating_sub(self.keep);
        self.records.retain(|record| {
            let goes = excess > 0 && is_rejected(record);
            excess -= usize::from(goes);
            !goes
        });
    }

    /// The candidate is good, and serves from now on, in the place of another.
    pub fn accept(&mut self, version: Arc<Version>, replaced: Option<u64>) {
        let number = version.label.number;
        self.settle(number, Fate::Good(version));
        if let Some(record) = self.record(number) {
            record.replaced = replaced;
        }
        self.forget_good(number);
    }

    /// Returns the memory of the good versions, in bytes.
    pub fn memory(&self) -> usize {
        self.good().map(|version| version.module.memory()).sum()
    }

    /// Whether another good version may be kept.
    pub fn has_room(&self) -> bool {
        self.good().count() < self.keep && self.memory() < self.keep_bytes
    }

    /// Keeps the good versions within their bounds: the oldest go first, and the one
    /// that `current` has replaced goes last. The current one stays always.
    fn forget_good(&mut self, current: u64) {
        let undo = self.replaced_by(current);
        let (mut count, mut memory) = (self.good().count(), self.memory());
        let by_age = self.good().map(|version| (version.label.number, version.module.memory()));
        let mut candidates: Vec<_> = by_age.filter(|(number, _)| *number != current).collect();
        candidates.sort_by_key(|(number, _)| Some(*number) == undo);
        let mut goes = Vec::new();
        for (number, bytes) in candidates {
            if count > self.keep || memory > self.keep_bytes {
                (count, memory) = (count - 1, memory.saturating_sub(bytes));
                goes.push(number);
            }
        }
        let leaving = &mut self.leaving;
        self.records.retain(|record| match &record.fate {
            Fate::Good(version) if goes.contains(&record.label.number) => {
                leaving.push(Arc::clone(version));
                false
            }
            _ => true,
        });
    }

    /// A good version has better code from now on, if it is kept.
    pub fn replace(&mut self, version: &Arc<Version>, better: Arc<Version>, current: u64) -> bool {
        let of_this = |fate: &&mut Fate| matches!(fate, Fate::Good(good) if Arc::ptr_eq(good, version));
        let found = self.records.iter_mut().map(|record| &mut record.fate).find(of_this);
        let replaced = found.map(|fate| *fate = Fate::Good(better)).is_some();
        self.forget_good(current);
        replaced
    }

    /// The good version of this number, if it is kept.
    pub fn find(&self, number: u64) -> Option<Arc<Version>> {
        self.good().find(|version| version.label.number == number).cloned()
    }

    /// What the newest good version of these bytes was compiled to, if one is kept.
    pub fn compiled(&self, sha256: &str) -> Option<CompiledModule> {
        let same = self.good().rfind(|version| version.label.sha256 == sha256)?;
        Some(CompiledModule::of(&same.module))
    }

    /// The number of the version that this one took the place of.
    pub fn replaced_by(&self, number: u64) -> Option<u64> {
        self.records.iter().find(|record| record.label.number == number)?.replaced
    }

    /// The good versions that are kept, oldest first.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = &Arc<Version>> {
        self.records.iter().filter_map(|record| match &record.fate {
            Fate::Good(version) => Some(version),
            _ => None,
        })
    }

    /// Returns the versions that are no longer kept and answer no request any
    /// more, and whether others still answer one.
    pub fn release(&mut self) -> (Vec<Arc<Version>>, bool) {
        let is_gone = |version: &mut Arc<Version>| Arc::strong_count(version) == 1;
        let gone = self.leaving.extract_if(.., is_gone).collect();
        (gone, !self.leaving.is_empty())
    }

    /// All of them as they are shown, when `current` is the number of the
    /// current version.
    pub fn entries(&self, current: u64) -> Vec<Entry> {
        let leaving = self.leaving.iter().map(|version| entry(&version.label, "draining", None, None));
        let kept = self.records.iter().map(|record| {
            let (state, reason) = match &record.fate {
                Fate::Candidate => ("candidate", None),
                Fate::Rejected(rejection) => ("rejected", Some(rejection.to_string())),
                Fate::Good(_) if record.label.number == current => ("current", None),
                // One reference is this record's.
                Fate::Good(version) if Arc::strong_count(version) > 1 => ("draining", None),
                Fate::Good(_) => ("retired", None),
            };
            entry(&record.label, state, Some(record.time), reason)
        });
        leaving.chain(kept).collect()
    }

    fn settle(&mut self, number: u64, fate: Fate) {
        if let Some(record) = self.record(number) {
            record.fate = fate;
        }
    }

    fn record(&mut self, number: u64) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.label.number == number)
    }
}

fn entry(label: &Label, state: &str, time: Option<SystemTime>, reason: Option<String>) -> Entry {
    Entry {
        number: label.number,
        state: state.into(),
        sha256: label.sha256.clone(),
        origin: label.origin.to_string(),
        size: label.size,
        time: time.map_or("-".into(), |time| clock::seconds(time).to_string()),
        reason,
    }
}
