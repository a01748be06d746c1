//! Counts the responses that the host made itself, by fault.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Number of faults since the start, by their names in `fault`. A request without a
/// fault does not take this lock.
#[derive(Default)]
pub struct FaultCounts(Mutex<BTreeMap<&'static str, u64>>);

impl FaultCounts {
    /// Counts a fault.
    pub fn add(&self, name: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// Returns the number of each fault that has occurred.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}
