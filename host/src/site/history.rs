//! Remembered versions: good ones, which stay compiled for rollback, and rejected ones,
//! with their reasons.

use std::sync::Arc;

use host_wasm::CompiledModule;

use crate::clock;
use crate::config::swap::SwapLimits;
use crate::rollout::report::outcomes::Counts;
use crate::rollout::share::Share;
use crate::site::activate::Rejection;
use crate::site::entry::{Entry, VersionState, entry};
use crate::site::saved::{Kept, SavedRollout};
use crate::site::version::{Candidate, Label, Version};

/// Remembered versions, oldest first.
pub struct History {
    /// Maximum number of good versions to keep, including the current one.
    keep: usize,
    /// Maximum memory of all good versions together, in bytes.
    keep_bytes: usize,
    holds_files: bool,
    next_number: u64,
    records: Vec<Record>,
    /// Rollout in progress.
    rollout: Option<SavedRollout>,
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
    /// The version is the candidate of the rollout in progress.
    Rollout(Arc<Version>),
    /// The version passed all stages; it is or was current.
    Good(Arc<Version>),
    /// The version was rejected: before it served, during its rollout, or after it was published.
    Rejected(Rejection),
}

impl History {
    /// Creates an empty history with the bounds of `limits`. `holds_files` says whether the module
    /// files of the versions stay in memory.
    pub fn new(limits: &SwapLimits, holds_files: bool) -> History {
        let SwapLimits { keep, keep_bytes, .. } = *limits;
        History {
            keep,
            keep_bytes,
            holds_files,
            next_number: 1,
            records: Vec::new(),
            rollout: None,
            leaving: Vec::new(),
        }
    }

    /// Continues the numbering of an earlier process: the next candidate gets at least
    /// `next_number`.
    pub fn count_from(&mut self, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
    }

    /// Returns the number of the next candidate.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Adds a good version of an earlier process, in the order of the numbers.
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
        self.records.push(Record { kept: Kept::new(label.clone()), state: RecordState::Candidate });
        label
    }

    /// Records the counts of the requests of the journal that were tried on a candidate.
    pub fn replayed(&mut self, number: u64, counts: Counts) {
        if let Some(record) = self.record(number) {
            record.kept.replayed = Some(counts);
        }
    }

    /// Marks a candidate as the candidate of a rollout, and records the rollout.
    pub fn roll_out(&mut self, version: Arc<Version>, mut saved: SavedRollout) {
        if let Some(record) = self.record(version.label.number) {
            saved.kept = record.kept.clone();
            record.state = RecordState::Rollout(version);
        }
        self.rollout = Some(saved);
    }

    /// Adds the rollout of an earlier process, whose candidate is not loaded yet.
    pub fn restore_rollout(&mut self, saved: &SavedRollout) {
        let kept = saved.kept.clone();
        let index = self.records.partition_point(|record| record.number() < kept.label.number);
        self.records.insert(index, Record { kept, state: RecordState::Candidate });
        self.rollout = Some(saved.clone());
    }

    /// Returns the rollout in progress.
    pub fn rollout(&self) -> Option<&SavedRollout> {
        self.rollout.as_ref()
    }

    /// Returns the saved state of the rollout in progress, for changes.
    pub fn saved_rollout(&mut self) -> Option<&mut SavedRollout> {
        self.rollout.as_mut()
    }

    /// Returns the candidate of the rollout in progress, if it has this number.
    pub fn candidate(&self, number: u64) -> Option<Arc<Version>> {
        self.records.iter().find_map(|record| match &record.state {
            RecordState::Rollout(version) if version.label.number == number => Some(Arc::clone(version)),
            _ => None,
        })
    }

    /// Forgets the candidate of a rollout without rejecting it, at the end of a shadow.
    pub fn forget_candidate(&mut self, number: u64) {
        self.end_rollout(number);
        let leaving = &mut self.leaving;
        self.records.retain(|record| match &record.state {
            RecordState::Rollout(version) if record.number() == number => {
                leaving.push(Arc::clone(version));
                false
            }
            _ => true,
        });
    }

    fn end_rollout(&mut self, number: u64) {
        self.rollout.take_if(|saved| saved.kept.label.number == number);
    }

    /// Marks a version as rejected. Forgets the oldest rejected versions if there are more than
    /// `--keep`.
    pub fn reject(&mut self, number: u64, rejection: Rejection) {
        self.end_rollout(number);
        if let Some(record) = self.record(number)
            && let RecordState::Good(version) | RecordState::Rollout(version) =
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

    /// Marks a candidate as good, because it has become current. Drops other good versions beyond
    /// the limits.
    pub fn accept(&mut self, version: Arc<Version>, replaced: Option<u64>) {
        let number = version.label.number;
        self.end_rollout(number);
        if let Some(record) = self.record(number) {
            record.state = RecordState::Good(version);
            record.kept.replaced = replaced;
        }
        self.forget_good(number);
    }

    /// Returns the memory of all good versions, in bytes.
    pub fn memory(&self) -> usize {
        self.good().map(|version| self.memory_of(version)).sum()
    }

    /// Returns the memory of one version, with its module file if files are held, in bytes.
    fn memory_of(&self, version: &Version) -> usize {
        version.module.memory() + if self.holds_files { version.label.size } else { 0 }
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
        let by_age = self.good().map(|version| (version.label.number, self.memory_of(version)));
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

    /// Replaces a version with `better`, which has optimised code, then drops good versions beyond
    /// the limits. Returns false when the version is no longer kept.
    pub fn replace(&mut self, version: &Arc<Version>, better: Arc<Version>, current: u64) -> bool {
        let mut kept = self.records.iter_mut().filter_map(|record| match &mut record.state {
            RecordState::Good(kept) | RecordState::Rollout(kept) => Some(kept),
            RecordState::Candidate | RecordState::Rejected(_) => None,
        });
        let found = kept.find(|kept| Arc::ptr_eq(kept, version));
        let replaced = found.map(|kept| *kept = better).is_some();
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

    /// Returns whether the newest version with this hash was rejected.
    pub fn has_rejected(&self, sha256: &str) -> bool {
        let newest = self.records.iter().rev().find(|record| record.kept.label.sha256 == sha256);
        newest.is_some_and(|record| matches!(record.state, RecordState::Rejected(_)))
    }

    /// Returns the compiled module of the newest version with this hash.
    pub fn compiled(&self, sha256: &str) -> Option<CompiledModule> {
        let mut versions = self.records.iter().rev().filter_map(|record| match &record.state {
            RecordState::Good(version) | RecordState::Rollout(version) => Some(version),
            RecordState::Candidate | RecordState::Rejected(_) => None,
        });
        Some(versions.find(|version| version.label.sha256 == sha256)?.module.compiled())
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

    /// Returns all versions that may answer a request.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Version>> {
        let kept = self.records.iter().filter_map(|record| match &record.state {
            RecordState::Good(version) | RecordState::Rollout(version) => Some(version),
            RecordState::Candidate | RecordState::Rejected(_) => None,
        });
        self.leaving.iter().chain(kept)
    }

    /// Removes and returns the dropped versions that answer no request any more. Also
    /// returns whether other dropped versions still answer one.
    pub fn release(&mut self) -> (Vec<Arc<Version>>, bool) {
        let is_gone = |version: &mut Arc<Version>| Arc::strong_count(version) == 1;
        let gone = self.leaving.extract_if(.., is_gone).collect();
        (gone, !self.leaving.is_empty())
    }

    /// Returns all versions as `host versions` shows them. `current` is the number of the current
    /// version. `share` is the share of the clients that get the candidate of a rollout; [`None`]
    /// in a shadow.
    pub fn entries(&self, current: u64, share: Option<Share>) -> Vec<Entry> {
        let leaving = self.leaving.iter().map(|version| entry(&version.label, VersionState::Draining, None));
        let kept = self.records.iter().map(|record| {
            let (state, reason) = match &record.state {
                RecordState::Candidate => (VersionState::Candidate, None),
                RecordState::Rollout(_) => (VersionState::Rollout, None),
                RecordState::Rejected(rejection) => (VersionState::Rejected, Some(rejection.to_string())),
                RecordState::Good(_) if record.number() == current => (VersionState::Current, None),
                // Any reference besides that of this record belongs to a request.
                RecordState::Good(version) if Arc::strong_count(version) > 1 => {
                    (VersionState::Draining, None)
                }
                RecordState::Good(_) => (VersionState::Retired, None),
            };
            let Kept { label, time, replaced, replayed } = &record.kept;
            let time = clock::seconds(*time).to_string();
            let share = match (state, share) {
                (VersionState::Rollout, share) => Some(share.map_or("0%".into(), |share| share.to_string())),
                (VersionState::Current, Some(share)) => Some(share.rest()),
                _ => None,
            };
            let (replaced, replayed) = (*replaced, *replayed);
            Entry { time, replaced, share, replayed, ..entry(label, state, reason) }
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
