//! Stores the current version. No other file stores it. A request reads it once, so
//! that one version answers the whole request.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::site::version::Version;

/// Guard of the version that was current when it was read.
pub type Serving = Guard<Arc<Version>>;

/// Current version.
pub struct Current(ArcSwap<Version>);

impl Current {
    /// Creates the state with its first version.
    pub fn new(version: Arc<Version>) -> Current {
        version.module.set_serving(true);
        Current(ArcSwap::new(version))
    }

    /// Returns the current version. The guard keeps the version alive, even if another one
    /// is published meanwhile. Reading is free of contention between threads as long as
    /// each holds only a few guards.
    pub fn version(&self) -> Serving {
        self.0.load()
    }

    /// Makes a version current. New readers get it at once; the previous version lives on
    /// in existing guards.
    pub(super) fn publish(&self, version: Arc<Version>) {
        version.module.set_serving(true);
        self.0.swap(version).module.set_serving(false);
    }
}
