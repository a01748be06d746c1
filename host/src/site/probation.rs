//! Watches a version for some time after it was published: counts its requests, and hands those
//! that failed to the judge.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::fault::{Entry, Whose};
use crate::rollout::exchange::{Answered, Exchange, Received};
use crate::site::current::Published;

/// Most failed requests that wait for the judge; further ones only count.
pub const SUSPECTS_MAX: usize = 16;

/// Largest failed request that the judge gets, in bytes.
pub const SUSPECT_MAX: usize = 64 << 10;

/// Lowest status of a failure.
const FAILURE: u16 = 500;

/// Watch of the newest version of a site.
pub struct Probation {
    /// Whether a version is watched. Without a watch, a request reads nothing else.
    is_on: AtomicBool,
    watch: Published<Option<Watch>>,
    /// Locked while a watch begins or ends.
    change: Mutex<()>,
    keys: RandomState,
}

/// Watch of one version.
struct Watch {
    /// Number of the version.
    version: u64,
    counts: Arc<Counts>,
    suspects: Sender<Suspect>,
}

/// Numbers of requests to a watched version.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) served: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Request that a watched version failed.
pub(super) struct Suspect {
    /// Hash of the request and its client. A client that repeats a request has nothing new to
    /// tell, so equal facts count once.
    pub(super) fact: u64,
    pub(super) exchange: Exchange,
}

impl Default for Probation {
    fn default() -> Probation {
        Probation {
            is_on: AtomicBool::new(false),
            watch: Published::new(None),
            change: Mutex::new(()),
            keys: RandomState::new(),
        }
    }
}

impl Probation {
    /// Begins to watch a version, and ends the watch of the one before. The receiver gets failed
    /// requests until the watch ends.
    pub(super) fn begin(&self, version: u64) -> (Arc<Counts>, Receiver<Suspect>) {
        let (suspects, receiver) = mpsc::channel(SUSPECTS_MAX);
        let counts = Arc::<Counts>::default();
        let _change = self.change();
        self.watch.set(Some(Watch { version, counts: Arc::clone(&counts), suspects }));
        self.is_on.store(true, Relaxed);
        (counts, receiver)
    }

    /// Ends the watch, if there is one.
    pub(super) fn end(&self) {
        self.clear(&self.change());
    }

    /// Ends the watch of a version, unless another one is watched.
    pub(super) fn end_of(&self, version: u64) {
        let change = self.change();
        if self.watch.get().as_ref().as_ref().is_some_and(|watch| watch.version == version) {
            self.clear(&change);
        }
    }

    fn clear(&self, _change: &MutexGuard<'_, ()>) {
        self.is_on.store(false, Relaxed);
        self.watch.set(None);
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request that a version has answered, or that ended in a fault of the handler.
    pub fn see(
        &self,
        received: Received<'_>,
        client: Option<ClientNet>,
        status: u16,
        fault: Option<Entry>,
        version: u64,
    ) {
        let is_of_handler = fault.is_none_or(|fault| fault.whose == Whose::Handler);
        if !self.is_on.load(Relaxed) || !is_of_handler {
            return;
        }
        let watch = self.watch.get();
        let Some(watch) = watch.as_ref().as_ref().filter(|watch| watch.version == version) else {
            return;
        };
        watch.counts.served.fetch_add(1, Relaxed);
        if status < FAILURE {
            return;
        }
        watch.counts.failed.fetch_add(1, Relaxed);
        if received.message.length() > SUSPECT_MAX {
            return;
        }
        // Copies the request only if there is a place for it.
        if let Ok(place) = watch.suspects.try_reserve() {
            let fact = self.fact(&received, client);
            let fault = fault.map(|fault| fault.name);
            let answered = Answered { version, status, fault, took: Duration::ZERO };
            place.send(Suspect { fact, exchange: Exchange::new(received, answered) });
        }
    }

    /// Hashes a request without what differs each time, such as its id.
    fn fact(&self, received: &Received<'_>, client: Option<ClientNet>) -> u64 {
        let mut hasher = self.keys.build_hasher();
        for part in [received.method.as_bytes(), received.target.as_bytes()] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        received.message.body.iter().for_each(|piece| hasher.write(piece));
        client.hash(&mut hasher);
        hasher.finish()
    }
}
