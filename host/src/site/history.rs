//! Versions that a site remembers: good ones, which stay compiled for rollback, and rejected ones,
//! with their reasons. A version is good if it was published and not rejected afterwards.

use std::sync::Arc;

use host_wasm::CompiledHandler;

use crate::clock;
use crate::config::swap::SwapLimits;
use crate::rollout::report::outcomes::Counts;
use crate::rollout::share::Share;
use crate::site::activate::Rejection;
use crate::site::entry::{Entry, VersionState, entry};
use crate::site::saved::{Kept, SavedRollout};
use crate::site::version::{Candidate, Label, Version};

/// Versions that a site remembers, oldest first: candidates, good versions and rejected versions. A
/// version is good if it was published and not rejected afterwards; it stays compiled for rollback.
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
    /// Versions that were dropped, but may still answer a request.
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
    /// files of the versions stay in memory, and so count as memory of the versions.
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

    /// Continues the version numbers of an earlier server process: the next candidate gets at least
    /// `next_number`.
    pub fn count_from(&mut self, next_number: u64) {
        self.next_number = self.next_number.max(next_number);
    }

    /// Returns the number of the next candidate.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Adds a good version that an earlier server process has saved. The records stay sorted by
    /// version number.
    pub fn restore(&mut self, version: Arc<Version>, kept: &Kept) {
        let index = self.records.partition_point(|record| record.number() < version.label.number);
        self.records.insert(index, Record { kept: kept.clone(), state: RecordState::Good(version) });
    }

    /// Returns the good versions as the state file lists them, oldest first.
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

    /// Records the results of running the requests of the journal again on candidate `number`.
    pub fn replayed(&mut self, number: u64, counts: Counts) {
        if let Some(record) = self.record(number) {
            record.kept.replayed = Some(counts);
        }
    }

    /// Records a rollout, and marks `version` as its candidate.
    pub fn roll_out(&mut self, version: Arc<Version>, mut saved: SavedRollout) {
        if let Some(record) = self.record(version.label.number) {
            saved.kept = record.kept.clone();
            record.state = RecordState::Rollout(version);
        }
        self.rollout = Some(saved);
    }

    /// Records a rollout that an earlier server process has saved. Its candidate counts as being
    /// prepared until it is loaded.
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

    /// Returns the saved state of the rollout in progress for modification.
    pub fn saved_rollout(&mut self) -> Option<&mut SavedRollout> {
        self.rollout.as_mut()
    }

    /// Returns version `number` if it is the candidate of the rollout in progress.
    pub fn candidate(&self, number: u64) -> Option<Arc<Version>> {
        self.records.iter().find_map(|record| match &record.state {
            RecordState::Rollout(version) if version.label.number == number => Some(Arc::clone(version)),
            _ => None,
        })
    }

    /// Ends the rollout of candidate `number` and forgets the candidate without rejecting it, as at
    /// the end of a shadow.
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

    /// Returns the memory of a version in bytes, including its module file if `holds_files` is set.
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

    /// Replaces a version by `better`, the same version with optimised code. Then drops good
    /// versions beyond the limits, because the memory has changed. Returns false if the version is
    /// no longer kept.
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

    /// Returns why version `number` was rejected; [`None`] if the history remembers no rejection of
    /// it.
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

    /// Returns the compiled module with this hash from the newest version that still has it.
    pub fn compiled(&self, sha256: &str) -> Option<CompiledHandler> {
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

    /// Returns all versions that may answer a request: dropped ones, good ones, and the candidate
    /// of a rollout.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Version>> {
        let kept = self.records.iter().filter_map(|record| match &record.state {
            RecordState::Good(version) | RecordState::Rollout(version) => Some(version),
            RecordState::Candidate | RecordState::Rejected(_) => None,
        });
        self.leaving.iter().chain(kept)
    }

    /// Removes and returns the dropped versions that no longer answer a request. The flag says
    /// whether dropped versions remain that still answer one.
    pub fn release(&mut self) -> (Vec<Arc<Version>>, bool) {
        let is_gone = |version: &mut Arc<Version>| Arc::strong_count(version) == 1;
        let gone = self.leaving.extract_if(.., is_gone).collect();
        (gone, !self.leaving.is_empty())
    }

    /// Returns all versions as `host versions` shows them, first the dropped ones that may still
    /// answer a request. `current` is the number of the current version. `share` is the share of
    /// the clients that get the candidate of a rollout; [`None`] in a shadow.
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
