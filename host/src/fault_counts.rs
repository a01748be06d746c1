//! How often the host answered itself, and why.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The number of faults of each kind since the start, by the names of the table
/// in `fault`. Only requests that fail come by here.
#[derive(Default)]
pub struct FaultCounts(Mutex<BTreeMap<&'static str, u64>>);

impl FaultCounts {
    /// Counts one.
    pub fn add(&self, name: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
    }

    /// Those that there were.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }
}
