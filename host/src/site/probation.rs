//! Watches a version during a rollout and for some time after it was published: counts its
//! requests, and hands those that failed to the judge, together with a sample of all requests.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host_http::client_net::ClientNet;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::fault::{Entry, Whose};
use crate::rollout::assign::Point;
use crate::rollout::exchange::{Answered, Exchange, Received};
use crate::rollout::share::Share;
use crate::site::current::Published;

/// Maximum number of failed requests that wait for the judge. Further requests are counted, but not
/// judged.
pub const SUSPECTS_MAX: usize = 16;

/// Maximum number of sampled requests that wait for the judge. Further requests are counted, but
/// not judged.
pub const SAMPLES_MAX: usize = 64;

/// Maximum size of a request that is copied for the judge, in bytes. Larger requests are counted,
/// but not judged.
pub const COPY_MAX: usize = 64 << 10;

/// Maximum memory of the requests that wait for the judge of a site, in bytes.
pub(crate) const MEMORY_MAX: u64 = ((SUSPECTS_MAX + SAMPLES_MAX) * COPY_MAX) as u64;

/// Prefix of the names of header fields whose values differ for each request, such as the request
/// id.
const REQUEST: &[u8] = b"x-request-";

/// Lowest status that counts as a failure.
const FAILURE: u16 = 500;

/// Watch of the newest version of a site: the candidate of a rollout, or the version that was
/// published last.
pub struct Probation {
    /// Whether a version is watched. If none is, requests read nothing but this flag.
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

/// Watch in progress, with the senders of the queues of requests that wait for the judge.
struct Watch {
    watched: Watched,
    counts: Arc<Counts>,
    suspects: Sender<Copied>,
    samples: Sender<Copied>,
}

/// Counts of a watch, and the queues of the requests that the judge is to run again.
pub(super) struct Seen {
    pub(super) counts: Arc<Counts>,
    /// Queue of requests that failed on the watched version, with a status of 500 or above.
    pub(super) suspects: Receiver<Copied>,
    /// Queue of sampled requests to both versions.
    pub(super) samples: Receiver<Copied>,
}

/// Counts of the requests to a watched version. Each watch has its own counts, which identify the
/// watch.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) served: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Number of sampled requests that the judge does not get, because too many wait or because
    /// they are too large.
    pub(super) left_out: AtomicU64,
    /// Clients that have a failed request waiting for the judge. Each client may have one at most,
    /// so that no client can crowd out the requests of others.
    waiting: Mutex<Vec<ClientNet>>,
}

impl Counts {
    /// Returns whether a failed request of a client may wait for the judge. If so, records that the
    /// client has one waiting, because each client may have one at most. [`None`] stands for
    /// clients that cannot be told apart, such as those behind a trusted proxy: their requests may
    /// always wait.
    fn may_wait(&self, client: Option<ClientNet>) -> bool {
        let Some(client) = client else { return true };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !waiting.contains(&client);
        if is_first {
            waiting.push(client);
        }
        is_first
    }

    /// Records that the judge has taken a request, so that its client may have another failed
    /// request waiting.
    pub(super) fn taken(&self, copied: &Copied) {
        self.waits_no_more(copied.client);
    }

    fn waits_no_more(&self, client: Option<ClientNet>) {
        if let Some(client) = client {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != client);
        }
    }
}

/// Copy of an answered request, which [`LiveJudge`](crate::site::judge::LiveJudge) runs again on
/// both versions.
pub(super) struct Copied {
    /// Hash of the request and its client. Requests with equal hashes count once, because a client
    /// that repeats a request adds no evidence.
    pub(super) fact: u64,
    /// Client that may have no other failed request waiting while this one waits; [`None`] for a
    /// sampled request, or for a client that cannot be told apart.
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

    /// Counts a request that the watched version has answered, and copies it for the judge if it
    /// failed. Also copies a sample of the requests to both versions. Ignores faults that are not
    /// those of the handler.
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

    /// Returns a hash of a request and its client. Leaves out header fields that differ for each
    /// request, such as the request id.
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
