//! Counts the changes of a site, and records how long candidates take for each stage. Changes are
//! rare, so all counts are behind one lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::histogram::{self, Histogram};

/// Counters of the changes of one site.
#[derive(Default)]
pub struct Changes(Mutex<Counts>);

/// Numbers of changes of one site since the start.
#[derive(Clone, Default)]
pub struct Counts {
    /// Number of versions that became current. The key is `swap` or `rollback`.
    pub published: BTreeMap<String, u64>,
    /// Number of rejected versions. The key is the stage that failed.
    pub rejected: BTreeMap<String, u64>,
    /// Number of changes of rollouts. The key is the kind of change, such as `begun`.
    pub rollouts: BTreeMap<String, u64>,
    stages: BTreeMap<String, [u64; histogram::COUNTERS]>,
}

impl Changes {
    /// Counts a version that became current. `how` is `swap` or `rollback`.
    pub fn published(&self, how: String) {
        *self.lock().published.entry(how).or_default() += 1;
    }

    /// Counts a version that was rejected in this stage.
    pub fn rejected(&self, stage: String) {
        *self.lock().rejected.entry(stage).or_default() += 1;
    }

    /// Counts a change of a rollout. `change` is the kind of change, such as `begun`.
    pub fn rolled(&self, change: String) {
        *self.lock().rollouts.entry(change).or_default() += 1;
    }

    /// Adds the time that a candidate took for a stage that it completed.
    pub fn stage(&self, stage: String, time: Duration) {
        let nanoseconds = histogram::nanoseconds(time);
        let mut counts = self.lock();
        let counters = counts.stages.entry(stage).or_insert([0; histogram::COUNTERS]);
        for (index, count) in [(histogram::bucket(nanoseconds), 1), (histogram::SUM, nanoseconds)] {
            if let Some(counter) = counters.get_mut(index) {
                *counter = counter.wrapping_add(count);
            }
        }
    }

    /// Returns a copy of all counts.
    pub fn read(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Returns the stages, each with a histogram of the times that candidates took for the stage.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Histogram)> {
        self.stages.iter().map(|(stage, counters)| (stage.as_str(), Histogram::read(counters, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::Changes;
    use std::time::Duration;

    #[test]
    fn changes_are_counted_by_name() {
        let changes = Changes::default();
        changes.rejected("probe".into());
        changes.rejected("probe".into());
        changes.published("swap".into());
        changes.stage("compile".into(), Duration::from_millis(30));
        changes.stage("compile".into(), Duration::from_millis(10));
        let read = changes.read();
        assert_eq!(read.rejected.get("probe"), Some(&2));
        assert_eq!(read.published.get("swap"), Some(&1));
        let (stage, times) = read.stages().next().unwrap();
        assert_eq!((stage, times.count, times.sum), ("compile", 2, 0.04));
    }
}
