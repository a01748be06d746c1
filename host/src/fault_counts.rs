//! Counts the faults by name, and remembers the latest faults that were not caused by clients.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::{Fault, Whose};

/// Maximum number of faults that are remembered. A further fault replaces the oldest.
pub const RECENT_MAX: usize = 32;

/// Maximum length of a remembered target or cause, and of a text in an event, in bytes. Longer
/// texts are cut.
pub const TEXT_MAX: usize = 4 << 10;

/// Number of each fault since the start of the server, and the latest faults. Requests without a
/// fault do not take this lock.
#[derive(Default)]
pub struct FaultCounts(Mutex<Faults>);

#[derive(Default)]
struct Faults {
    /// Number of occurrences of each fault, by the name in [`Entry`](crate::fault::Entry).
    counts: BTreeMap<&'static str, u64>,
    recent: VecDeque<Arc<Recent>>,
}

/// Fault of the handler or of the server, with the request that ended in it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recent {
    /// Time at which the request arrived, in UTC.
    pub time: String,
    /// Id of the request, as in the log.
    pub id: String,
    /// Name of the fault.
    pub fault: String,
    /// Status of the response.
    pub status: u16,
    /// Method of the request.
    pub method: String,
    /// Target of the request.
    pub target: String,
    /// Name of the site; absent for the default site.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Number of the version that was called; absent if none was.
    pub version: Option<u64>,
    /// Cause of the fault, with the functions that were running if the handler trapped.
    pub cause: String,
}

/// Returns at most the first `TEXT_MAX` bytes of a text.
pub fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default().to_owned()
}

impl FaultCounts {
    /// Counts a fault.
    pub fn add(&self, fault: &Fault) {
        *self.lock().counts.entry(fault.entry().name).or_default() += 1;
    }

    /// Remembers a fault with its request and its cause, and returns what is remembered. Returns
    /// [`None`] for a fault that the client caused; such a fault is not remembered.
    pub fn remember(
        &self,
        (fault, cause): (&Fault, &str),
        time: SystemTime,
        id: String,
        (method, target): (&str, &str),
        (site, version): (Option<&str>, Option<u64>),
    ) -> Option<Arc<Recent>> {
        let entry = fault.entry();
        if entry.whose == Whose::Client {
            return None;
        }
        let recent = Arc::new(Recent {
            time: clock::micros(time).to_string(),
            id,
            fault: entry.name.into(),
            status: entry.status.as_u16(),
            method: method.into(),
            target: cut(target),
            site: site.map(str::to_owned),
            version,
            cause: cut(cause),
        });
        let mut faults = self.lock();
        faults.recent.truncate(RECENT_MAX - 1);
        faults.recent.push_front(Arc::clone(&recent));
        Some(recent)
    }

    /// Returns how often each fault has occurred, by the fault's name.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.lock().counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    /// Returns the remembered faults, newest first.
    pub fn recent(&self) -> Vec<Recent> {
        self.lock().recent.iter().map(|recent| Recent::clone(recent)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
