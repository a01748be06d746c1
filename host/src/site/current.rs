//! Stores the versions of a site that answer requests, and the sites of the server. No other file
//! stores them. A request loads the sites and the versions once each, so one version answers the
//! whole request.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache, Guard};
use host_http::client_net::Peer;
use host_http::field::Fields;

use crate::site::traffic::Traffic;
use crate::site::version::Version;

/// Version that answers a request. It stays the same, and stays in memory, even if a new version is
/// published meanwhile.
pub struct Serving {
    traffic: Guard<Arc<Traffic>>,
    is_candidate: bool,
}

impl Deref for Serving {
    type Target = Arc<Version>;

    fn deref(&self) -> &Arc<Version> {
        match &self.traffic.split {
            Some(split) if self.is_candidate => &split.candidate,
            _ => &self.traffic.current,
        }
    }
}

impl Serving {
    /// Masks the secrets of the current version, and of the candidate of a rollout, in a text.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = self.traffic.current.module.values().mask(text);
        if let Some(split) = &self.traffic.split {
            masked = Cow::Owned(split.candidate.module.values().mask(&masked).into_owned());
        }
        masked
    }
}

/// Holder of the current version and of the candidate of a rollout of one site.
pub(super) struct Current(ArcSwap<Traffic>);

impl Current {
    /// Creates the state with the first version as the current one.
    pub(super) fn new(version: Arc<Version>) -> Current {
        version.module.set_serving(true);
        Current(ArcSwap::from_pointee(Traffic { current: version, split: None }))
    }

    /// Returns the current version. Reading is free of contention between threads as long as each
    /// thread holds only a few guards.
    pub(super) fn version(&self) -> Serving {
        Serving { traffic: self.0.load(), is_candidate: false }
    }

    /// Returns the version that answers a request with these header fields: the current one, or the
    /// candidate of a rollout.
    pub(super) fn version_for(&self, fields: Fields<'_>, client: Peer, address: &str) -> Serving {
        let traffic = self.0.load();
        let is_candidate = traffic.takes_candidate(fields, client, address);
        Serving { traffic, is_candidate }
    }

    /// Returns the current version, and the candidate of a rollout with the clients that get it.
    pub(super) fn traffic(&self) -> Guard<Arc<Traffic>> {
        self.0.load()
    }

    /// Replaces the current version and the candidate of a rollout. New readers see the change at
    /// once; replaced versions stay in memory while guards hold them.
    pub(super) fn set(&self, traffic: Traffic) {
        traffic.versions().for_each(|version| version.module.set_serving(true));
        let traffic = Arc::new(traffic);
        let before = self.0.swap(Arc::clone(&traffic));
        let is_used = |old: &Version| traffic.versions().any(|new| new.module.is(&old.module));
        before.versions().filter(|old| !is_used(old)).for_each(|old| old.module.set_serving(false));
    }
}

/// Value that readers get without a lock, and that is replaced as a whole.
pub struct Published<T>(Arc<ArcSwap<T>>);

/// Reader of a [`Published`] value that caches the latest value. A check for a newer value costs no
/// more than reading a pointer.
pub struct Cached<T>(Cache<Arc<ArcSwap<T>>, Arc<T>>);

impl<T> Published<T> {
    /// Creates the holder of a value.
    pub fn new(value: T) -> Published<T> {
        Published(Arc::new(ArcSwap::from_pointee(value)))
    }

    /// Returns the current value. The guard keeps it in memory even if a new value is published
    /// meanwhile.
    pub fn get(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// Returns a reader that caches the latest value.
    pub fn cached(&self) -> Cached<T> {
        Cached(Cache::new(Arc::clone(&self.0)))
    }

    /// Replaces the value. Existing guards keep the old value.
    pub fn set(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}

impl<T> Cached<T> {
    /// Returns the current value. Loads it only if a new value was published since the last call.
    pub fn get(&mut self) -> &T {
        self.0.load()
    }
}
