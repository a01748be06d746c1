//! Why the newest version does not serve, for the author of a handler, who sees
//! it instead of the last good version. Only `host dev` shows it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The reason that is shown, if one is to be shown at all.
#[derive(Clone, Debug, Default)]
pub struct Notice(Option<Arc<Mutex<Causes>>>);

#[derive(Debug, Default)]
struct Causes {
    /// Until a module is built.
    build: Option<Arc<str>>,
    /// Until a version is published.
    version: Option<Arc<str>>,
}

impl Notice {
    /// Makes one that is shown.
    pub fn shown() -> Notice {
        Notice(Some(Arc::default()))
    }

    /// Returns what is to be shown now.
    pub fn get(&self) -> Option<Arc<str>> {
        let causes = self.causes()?;
        causes.build.clone().or_else(|| causes.version.clone())
    }

    /// Says that nothing was built, and why.
    pub fn build_failed(&self, cause: String) {
        if let Some(mut causes) = self.causes() {
            causes.build = Some(cause.into());
        }
    }

    /// Says that a module was built.
    pub fn built(&self) {
        if let Some(mut causes) = self.causes() {
            causes.build = None;
        }
    }

    /// Says that a version was rejected, and why.
    pub fn rejected(&self, cause: String) {
        if let Some(mut causes) = self.causes() {
            causes.version = Some(cause.into());
        }
    }

    /// Says that the newest version serves.
    pub fn serves(&self) {
        if let Some(mut causes) = self.causes() {
            causes.version = None;
        }
    }

    fn causes(&self) -> Option<MutexGuard<'_, Causes>> {
        Some(self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
