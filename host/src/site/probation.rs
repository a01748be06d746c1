//! Watches a version during a rollout and for some time after it was published: counts its
//! requests, and hands those that failed to the judge, together with a sample of all requests.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::fault::{Entry, Whose};
use crate::rollout::assign::Point;
use crate::rollout::exchange::{Answered, Exchange, Received};
use crate::rollout::share::Share;
use crate::site::current::Published;

/// Largest number of failed requests that wait for the judge. Further requests are counted, but not
/// judged.
pub const SUSPECTS_MAX: usize = 16;

/// Largest number of sampled requests that wait for the judge. Further requests are counted, but
/// not judged.
pub const SAMPLES_MAX: usize = 64;

/// Largest request that the judge gets, in bytes.
pub const COPY_MAX: usize = 64 << 10;

/// Maximum memory of the requests that wait for the judge of a site, in bytes.
pub(crate) const MEMORY_MAX: u64 = ((SUSPECTS_MAX + SAMPLES_MAX) * COPY_MAX) as u64;

/// Prefix of the names of header fields that differ with each request, such as its id.
const REQUEST: &[u8] = b"x-request-";

/// Lowest status that counts as a failure.
const FAILURE: u16 = 500;

/// Watch of the newest version of a site.
pub struct Probation {
    /// Whether a version is watched. If not, a request reads only this flag.
    is_on: AtomicBool,
    watch: Published<Option<Watch>>,
    /// Locked while a watch begins or ends.
    change: Mutex<()>,
    keys: RandomState,
}

/// Versions that a watch compares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// Number of the version that is judged.
    pub(super) new: u64,
    /// Number of the version with which the judged version is compared.
    pub(super) old: u64,
    /// Share of the requests to both versions that the judge gets as a sample.
    pub(super) share: Share,
}

/// Watch of one version.
struct Watch {
    watched: Watched,
    counts: Arc<Counts>,
    suspects: Sender<Copied>,
    samples: Sender<Copied>,
}

/// Counts and requests that the judge of a watched version gets.
pub(super) struct Seen {
    pub(super) counts: Arc<Counts>,
    /// Requests that the watched version failed.
    pub(super) suspects: Receiver<Copied>,
    /// Sample of the requests to both versions.
    pub(super) samples: Receiver<Copied>,
}

/// Numbers of requests to a watched version.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) served: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Number of requests of the sample that the judge does not get: too many wait, or they are
    /// too large.
    pub(super) left_out: AtomicU64,
    /// Clients whose failed requests wait for the judge. Each client has one place, so that no
    /// client can keep the judge from the requests of others.
    waiting: Mutex<Vec<ClientNet>>,
}

impl Counts {
    /// Returns whether a failed request of a client may wait for the judge, and if so takes the
    /// client's only place. A client without a network, such as a trusted proxy, stands for many
    /// clients and may always wait.
    fn may_wait(&self, client: Option<ClientNet>) -> bool {
        let Some(client) = client else { return true };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !waiting.contains(&client);
        if is_first {
            waiting.push(client);
        }
        is_first
    }

    /// Records that the judge has taken a request, which frees the place of its client.
    pub(super) fn taken(&self, copied: &Copied) {
        self.waits_no_more(copied.client);
    }

    fn waits_no_more(&self, client: Option<ClientNet>) {
        if let Some(client) = client {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != client);
        }
    }
}

/// Copy of an answered request, for the judge.
pub(super) struct Copied {
    /// Hash of the request and its client. A client that repeats a request has nothing new to
    /// tell, so equal facts count once.
    pub(super) fact: u64,
    /// Client whose place a failed request takes; [`None`] for a request of the sample.
    client: Option<ClientNet>,
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
    /// Begins to watch a version, and ends an earlier watch. The returned receivers get requests
    /// until the watch ends.
    pub(super) fn begin(&self, watched: Watched) -> Seen {
        let ((suspects, failed), (samples, sampled)) =
            (mpsc::channel(SUSPECTS_MAX), mpsc::channel(SAMPLES_MAX));
        let counts = Arc::<Counts>::default();
        let _change = self.change();
        self.watch.set(Some(Watch { watched, counts: Arc::clone(&counts), suspects, samples }));
        self.is_on.store(true, Relaxed);
        Seen { counts, suspects: failed, samples: sampled }
    }

    /// Returns whether the watch with these counts is still in progress.
    pub(super) fn is_watching(&self, counts: &Arc<Counts>) -> bool {
        self.watch.get().as_ref().as_ref().is_some_and(|watch| Arc::ptr_eq(&watch.counts, counts))
    }

    /// Ends the watch, if there is one.
    pub(super) fn end(&self) {
        self.clear(&self.change());
    }

    /// Ends the watch of version `version`. Does nothing if another version is watched.
    pub(super) fn end_of(&self, version: u64) {
        let change = self.change();
        if self.watch.get().as_ref().as_ref().is_some_and(|watch| watch.watched.new == version) {
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

    /// Counts a request that a version has answered, or that ended in a fault of the handler.
    /// Copies the request for the judge if it failed or is in the sample.
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
        let Some(Watch { watched, counts, suspects, samples }) = watch.as_ref() else { return };
        let fault = fault.map(|fault| fault.name);
        let copy = |to: &Sender<Copied>, waits: Option<ClientNet>| {
            // Copies the request only if there is a place for it.
            let place = to.try_reserve().ok().filter(|_| received.message.length() <= COPY_MAX);
            let is_sent = place.is_some();
            if let Some(place) = place {
                let fact = self.fact(&received, client);
                let answered = Answered { version, status, fault };
                place.send(Copied { fact, client: waits, exchange: Exchange::new(received, answered) });
            }
            is_sent
        };
        if watched.new == version {
            counts.served.fetch_add(1, Relaxed);
            if status >= FAILURE {
                counts.failed.fetch_add(1, Relaxed);
                if counts.may_wait(client) && !copy(suspects, client) {
                    counts.waits_no_more(client);
                }
                return;
            }
        } else if watched.old != version {
            return;
        }
        let is_sampled = Point::of_hash(self.keys.hash_one(received.id.as_str())).is_within(watched.share);
        if is_sampled && !copy(samples, None) {
            counts.left_out.fetch_add(1, Relaxed);
        }
    }

    /// Returns a hash of a request and its client, without the header fields that differ each time,
    /// such as the id.
    fn fact(&self, received: &Received<'_>, client: Option<ClientNet>) -> u64 {
        let mut hasher = self.keys.build_hasher();
        for part in [received.method.as_bytes(), received.target.as_bytes()] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        let lines = received.message.head.split(|byte| *byte == b'\n');
        lines.filter(|line| !line.starts_with(REQUEST)).for_each(|line| hasher.write(line));
        received.message.body.iter().for_each(|piece| hasher.write(piece));
        client.hash(&mut hasher);
        hasher.finish()
    }
}
