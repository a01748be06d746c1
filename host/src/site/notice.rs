//! Reason why the newest build or version does not serve. `host dev` shows it to the author of the
//! handler, instead of responses of the last good version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reason why the newest build or version does not serve. A default notice, used outside of
/// `host dev`, records and shows nothing.
#[derive(Clone, Debug, Default)]
pub struct Notice(Option<Arc<Mutex<Causes>>>);

#[derive(Debug, Default)]
struct Causes {
    /// Why the newest build failed; [`None`] if it succeeded.
    build: Option<Arc<str>>,
    /// Why the newest version was rejected; [`None`] if it was not.
    version: Option<Arc<str>>,
}

impl Notice {
    /// Creates a notice that records reasons, for `host dev`.
    pub fn shown() -> Notice {
        Notice(Some(Arc::default()))
    }

    /// Returns the reason to show, if any. A failed build takes precedence over a rejected version.
    pub fn get(&self) -> Option<Arc<str>> {
        let causes = self.causes()?;
        causes.build.clone().or_else(|| causes.version.clone())
    }

    /// Records why the newest build failed; [`None`] if it succeeded.
    pub fn set_build_failure(&self, cause: Option<String>) {
        if let Some(mut causes) = self.causes() {
            causes.build = cause.map(Arc::from);
        }
    }

    /// Records why the newest version was rejected; [`None`] if it was not.
    pub fn set_rejection(&self, cause: Option<String>) {
        if let Some(mut causes) = self.causes() {
            causes.version = cause.map(Arc::from);
        }
    }

    fn causes(&self) -> Option<MutexGuard<'_, Causes>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
