//! Stores the current version of a site, and the sites of the server. No other file stores
//! them. A request reads each of the two once, so one version answers the whole request.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};

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

/// Value that readers get without a lock, and that is replaced as a whole.
pub struct Published<T>(Arc<ArcSwap<T>>);

/// Value as a reader has seen it last. To look whether another one is stored costs no more
/// than to read a pointer.
pub struct Cached<T>(Cache<Arc<ArcSwap<T>>, Arc<T>>);

impl<T> Published<T> {
    /// Stores the first value.
    pub fn new(value: T) -> Published<T> {
        Published(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// Returns the value. The guard keeps it alive if another one is stored meanwhile.
    pub fn get(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// Returns a reader that keeps the value that it has seen last.
    pub fn cached(&self) -> Cached<T> {
        Cached(Cache::new(Arc::clone(&self.0)))
    }

    /// Stores another value, for new readers.
    pub fn set(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> Cached<T> {
    /// Returns the value.
    pub fn get(&mut self) -> &T {
        self.0.load()
    }
}
