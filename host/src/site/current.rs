//! Which version serves now. This is the only place that knows, and a request
//! asks it exactly once, so that one version answers the whole of it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::site::version::Version;

/// A version that served when it was asked for.
pub type Serving = Guard<Arc<Version>>;

/// The version that serves.
pub struct Current(ArcSwap<Version>);

impl Current {
    /// Begins with this version.
    pub fn new(version: Arc<Version>) -> Current {
        version.module.wake();
        Current(ArcSwap::new(version))
    }

    /// The version that serves now. It stays whole for as long as it is held,
    /// whatever is published meanwhile. As long as a thread holds a few at the most,
    /// that is noted with the thread, and not in one place for all.
    pub fn version(&self) -> Serving {
        self.0.load()
    }

    /// From now on this version serves. When this returns, nobody can come by
    /// the one before any more, except from those who hold it.
    pub(super) fn publish(&self, version: Arc<Version>) {
        version.module.wake();
        self.0.swap(version).module.rest();
    }
}
