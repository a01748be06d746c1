//! Remembered versions: good ones, which stay compiled for rollback, and rejected ones,
//! with their reasons.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use host_wasm::CompiledModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::swap::SwapLimits;
use crate::site::activate::Rejection;
use crate::site::state_dir::Kept;
use crate::site::version::{Candidate, Label, Version};

/// Remembered versions, oldest first.
pub struct History {
    /// Most good versions to keep, the current one included.
    keep: usize,
    /// Most memory of all good versions, in bytes.
    keep_bytes: usize,
    next_number: u64,
    records: Vec<Record>,
    /// Dropped versions that may still answer a request.
    leaving: Vec<Arc<Version>>,
}

struct Record {
    kept: Kept,
    state: RecordState,
}

enum RecordState {
    /// The version is being prepared.
    Candidate,
    /// The version passed all stages; it is or was current.
    Good(Arc<Version>),
    /// The version never served.
    Rejected(Rejection),
}

/// Version as shown by `host versions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Number, counted from 1.
    pub number: u64,
    /// State of the version.
    pub state: VersionState,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Source of the bytes.
    pub origin: String,
    /// Size of the module file in bytes.
    pub size: usize,
    /// Time at which the version became a candidate, in UTC.
    pub time: String,
    /// Number of the version that this one replaced when it was published, to which
    /// `host rollback` goes from this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced: Option<u64>,
    /// Reason of the rejection.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// State of a version, as `host versions` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Being prepared.
    Candidate,
    /// Serving new requests.
    Current,
    /// Replaced, and still answering a request.
    Draining,
    /// Kept for rollback.
    Retired,
    /// Never served.
    Rejected,
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl History {
    /// Creates an empty history with the bounds of `limits`.
    pub fn new(limits: &SwapLimits) -> History {
        let SwapLimits { keep, keep_bytes, .. } = *limits;
        History { keep, keep_bytes, next_number: 1, records: Vec::new(), leaving: Vec::new() }
    }

    /// Continues the numbering of an earlier process.
    pub fn count_from(&mut self, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
    }

    /// Returns the number of the next candidate.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Adds a version of an earlier process, in the order of the numbers.
    pub fn restore(&mut self, version: Arc<Version>, kept: &Kept) {
        let index = self.records.partition_point(|record| record.number() < version.label.number);
        self.records.insert(index, Record { kept: kept.clone(), state: RecordState::Good(version) });
    }

    /// Returns the good versions in the form in which they are saved, oldest first.
    pub fn kept(&self) -> Vec<Kept> {
        let good = self.records.iter().filter(|record| matches!(record.state, RecordState::Good(_)));
        good.map(|record| record.kept.clone()).collect()
    }

    /// Adds a candidate and gives it the next number.
    pub fn begin(&mut self, candidate: &Candidate) -> Label {
        let label = candidate.label(self.next_number);
        self.next_number += 1;
        let kept = Kept { label: label.clone(), time: SystemTime::now(), replaced: None };
        self.records.push(Record { kept, state: RecordState::Candidate });
        label
    }

    /// Marks a candidate as rejected, and forgets the oldest rejected versions if there
    /// are more than `keep`.
    pub fn reject(&mut self, number: u64, rejection: Rejection) {
        if let Some(record) = self.record(number)
            && let RecordState::Good(version) =
                std::mem::replace(&mut record.state, RecordState::Rejected(rejection))
        {
            // It served, and may still answer a request.
            self.leaving.push(version);
        }
        let is_rejected = |record: &Record| matches!(record.state, RecordState::Rejected(_));
        let count = self.records.iter().filter(|record| is_rejected(record)).count();
        let mut excess = count.saturating_sub(self.keep);
        self.records.retain(|record| {
            let dropped = excess > 0 && is_rejected(record);
            excess -= usize::from(dropped);
            !dropped
        });
    }

    /// Marks a candidate as good and current.
    pub fn accept(&mut self, version: Arc<Version>, replaced: Option<u64>) {
        let number = version.label.number;
        if let Some(record) = self.record(number) {
            record.state = RecordState::Good(version);
            record.kept.replaced = replaced;
        }
        self.forget_good(number);
    }

    /// Returns the memory of all good versions, in bytes.
    pub fn memory(&self) -> usize {
        self.good().map(|version| version.module.memory()).sum()
    }

    /// Returns whether the limits allow another good version.
    pub fn has_room(&self) -> bool {
        self.good().count() < self.keep && self.memory() < self.keep_bytes
    }

    /// Drops good versions, oldest first, until the rest is within the limits. Drops the
    /// version that `current` replaced only after all others, and never `current`.
    fn forget_good(&mut self, current: u64) {
        let undo = self.replaced_by(current);
        let (mut count, mut memory) = (self.good().count(), self.memory());
        let by_age = self.good().map(|version| (version.label.number, version.module.memory()));
        let mut candidates: Vec<_> = by_age.filter(|(number, _)| *number != current).collect();
        candidates.sort_by_key(|(number, _)| Some(*number) == undo);
        let mut dropped = Vec::new();
        for (number, bytes) in candidates {
            if count > self.keep || memory > self.keep_bytes {
                (count, memory) = (count - 1, memory.saturating_sub(bytes));
                dropped.push(number);
            }
        }
        let leaving = &mut self.leaving;
        self.records.retain(|record| match &record.state {
            RecordState::Good(version) if dropped.contains(&record.number()) => {
                leaving.push(Arc::clone(version));
                false
            }
            _ => true,
        });
    }

    /// Replaces a good version with `better`, which has optimised code. Returns false when
    /// the version is no longer kept.
    pub fn replace(&mut self, version: &Arc<Version>, better: Arc<Version>, current: u64) -> bool {
        let of_this =
            |state: &&mut RecordState| matches!(state, RecordState::Good(good) if Arc::ptr_eq(good, version));
        let found = self.records.iter_mut().map(|record| &mut record.state).find(of_this);
        let replaced = found.map(|state| *state = RecordState::Good(better)).is_some();
        self.forget_good(current);
        replaced
    }

    /// Returns the good version with this number, if it is kept.
    pub fn find(&self, number: u64) -> Option<Arc<Version>> {
        self.good().find(|version| version.label.number == number).cloned()
    }

    /// Returns why the version of this number was rejected, if a rejection is remembered.
    pub fn rejection(&self, number: u64) -> Option<&Rejection> {
        let record = self.records.iter().find(|record| record.number() == number)?;
        match &record.state {
            RecordState::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Returns the compiled module of the newest good version with this hash.
    pub fn compiled(&self, sha256: &str) -> Option<CompiledModule> {
        let same = self.good().rfind(|version| version.label.sha256 == sha256)?;
        Some(same.module.compiled())
    }

    /// Returns the number of the version that version `number` replaced.
    pub fn replaced_by(&self, number: u64) -> Option<u64> {
        self.records.iter().find(|record| record.number() == number)?.kept.replaced
    }

    /// Returns the good versions, oldest first.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = &Arc<Version>> {
        self.records.iter().filter_map(|record| match &record.state {
            RecordState::Good(version) => Some(version),
            _ => None,
        })
    }

    /// Removes and returns the dropped versions that answer no request any more. Also
    /// returns whether other dropped versions still answer one.
    pub fn release(&mut self) -> (Vec<Arc<Version>>, bool) {
        let is_gone = |version: &mut Arc<Version>| Arc::strong_count(version) == 1;
        let gone = self.leaving.extract_if(.., is_gone).collect();
        (gone, !self.leaving.is_empty())
    }

    /// Returns all versions as `host versions` shows them. `current` is the number of the
    /// current version.
    pub fn entries(&self, current: u64) -> Vec<Entry> {
        let leaving = self.leaving.iter().map(|version| entry(&version.label, VersionState::Draining, None));
        let kept = self.records.iter().map(|record| {
            let (state, reason) = match &record.state {
                RecordState::Candidate => (VersionState::Candidate, None),
                RecordState::Rejected(rejection) => (VersionState::Rejected, Some(rejection.to_string())),
                RecordState::Good(_) if record.number() == current => (VersionState::Current, None),
                // Any reference besides that of this record belongs to a request.
                RecordState::Good(version) if Arc::strong_count(version) > 1 => {
                    (VersionState::Draining, None)
                }
                RecordState::Good(_) => (VersionState::Retired, None),
            };
            let Kept { label, time, replaced } = &record.kept;
            let time = clock::seconds(*time).to_string();
            Entry { time, replaced: *replaced, ..entry(label, state, reason) }
        });
        leaving.chain(kept).collect()
    }

    fn record(&mut self, number: u64) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.number() == number)
    }
}

impl Record {
    fn number(&self) -> u64 {
        self.kept.label.number
    }
}

fn entry(label: &Label, state: VersionState, reason: Option<String>) -> Entry {
    Entry {
        number: label.number,
        state,
        sha256: label.sha256.clone(),
        origin: label.origin.to_string(),
        size: label.size,
        time: "-".into(),
        replaced: None,
        reason,
    }
}
