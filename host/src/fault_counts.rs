//! Counts the responses that the host made itself, by fault, and remembers the latest of
//! those that are not the client's.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::{Fault, Whose};

/// Most faults that are remembered.
pub const RECENT_MAX: usize = 32;

/// Most bytes of a target, and of a cause, that are remembered or told.
pub const TEXT_MAX: usize = 4 << 10;

/// Faults since the start. A request without a fault does not take this lock.
#[derive(Default)]
pub struct FaultCounts(Mutex<Faults>);

#[derive(Default)]
struct Faults {
    /// Number of faults by their names in `fault`.
    counts: BTreeMap<&'static str, u64>,
    recent: VecDeque<Arc<Recent>>,
}

/// Fault of the handler or of the server.
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
    /// Name of the site, unless it is the default one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Number of the version that was called, if one was.
    pub version: Option<u64>,
    /// Cause, with the functions that were running if the handler trapped.
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

    /// Remembers a fault with its text, and returns it, unless it is the client's.
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

    /// Returns the number of each fault that has occurred.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.lock().counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    /// Returns the latest faults, newest first.
    pub fn recent(&self) -> Vec<Recent> {
        self.lock().recent.iter().map(|recent| Recent::clone(recent)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
