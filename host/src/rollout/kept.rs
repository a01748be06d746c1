//! Stores the requests of the traffic journal by class, and evicts requests when the journal is
//! full.
//!
//! Eviction is fair: busy classes lose requests to rare classes.
//!
//! - If there are too many requests, the oldest request of the class with the most requests is
//!   evicted. If the requests take too much memory, the oldest request of the class with the most
//!   memory is evicted. So a class within its fair share loses nothing.
//! - The number of classes is limited too, so that each class has room for several requests. When a
//!   new class exceeds this limit, a whole class is evicted: the one that has gone without a new
//!   request for the longest time. If more than a quarter of the maximum number of classes have had
//!   only one request so far, the evicted class is one of these, otherwise one of the others. So a
//!   new class has time to get a second request, and a flood of classes with one request each
//!   evicts mostly classes of the flood.
//!
//! Each eviction looks at all classes. Their number is limited, so an insertion takes about a
//! microsecond, however many requests the journal keeps.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::rollout::class::Class;
use crate::rollout::exchange::Exchange;

/// Maximum number of classes that the journal keeps at the same time.
pub(crate) const CLASSES_MAX: usize = 256;

/// Minimum number of requests for which each class has room. The number of classes is at most the
/// maximum number of requests divided by this number.
const FAIR_SHARE_MIN: usize = 4;

/// Divisor: if more than a quarter of the maximum number of classes have had only one request, a
/// new class evicts one of these, otherwise one of the other classes.
const MET_ONCE: usize = 4;

/// Exchanges (requests with their responses) that the journal keeps, by class.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) bounds: Bounds,
    classes: HashMap<Class, Held>,
    requests: usize,
    bytes: usize,
    /// Number of exchanges inserted so far. The latest exchange has this number.
    inserted: u64,
}

/// Limits of the journal: number of requests, and their memory in bytes. With 0, it keeps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

/// Kept exchanges of one class.
struct Held {
    /// Exchanges with their numbers in the order of insertion, oldest first.
    exchanges: VecDeque<(u64, Arc<Exchange>)>,
    /// Memory of the class and of its exchanges, in bytes.
    bytes: usize,
    /// Number of exchanges inserted since the class was added, including evicted ones.
    inserted: u64,
    /// Number of the latest exchange, in the order of insertion.
    latest: u64,
}

/// Snapshot of what the journal keeps of one class.
pub(crate) struct Share {
    /// Latest exchange of the class.
    pub(crate) latest: Arc<Exchange>,
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) inserted: u64,
}

impl Kept {
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn inserted(&self) -> u64 {
        self.inserted
    }

    /// Inserts an exchange, and returns the exchanges that are evicted for it. The caller drops
    /// these after it has released the lock of the journal.
    pub(crate) fn insert(&mut self, exchange: Arc<Exchange>) -> Vec<Arc<Exchange>> {
        self.inserted = self.inserted.saturating_add(1);
        let mut bytes = exchange.bytes();
        if !self.classes.contains_key(&exchange.class) {
            let held = Held::new(&exchange.class);
            bytes = bytes.saturating_add(held.bytes);
            self.classes.insert(exchange.class.clone(), held);
        }
        if let Some(held) = self.classes.get_mut(&exchange.class) {
            held.push(self.inserted, exchange);
        }
        self.requests = self.requests.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.shrink()
    }

    /// Evicts exchanges until the remaining ones are within the bounds. Returns the evicted
    /// exchanges.
    pub(crate) fn shrink(&mut self) -> Vec<Arc<Exchange>> {
        let mut removed = Vec::new();
        while self.classes.len() > self.classes_max() {
            let Some(held) = self.remove_class() else { break };
            removed.extend(held.exchanges.into_iter().map(|(_, exchange)| exchange));
        }
        while self.requests > self.bounds.requests {
            let Some(exchange) = self.evict(|held| held.exchanges.len()) else { break };
            removed.push(exchange);
        }
        while self.bytes > self.bounds.bytes {
            let Some(exchange) = self.evict(|held| held.bytes) else { break };
            removed.push(exchange);
        }
        removed
    }

    /// Removes the exchanges for which a condition is true, and returns them.
    pub(crate) fn remove(&mut self, is_removed: impl Fn(&Exchange) -> bool) -> Vec<Arc<Exchange>> {
        let mut removed = Vec::new();
        for held in self.classes.values_mut() {
            let (gone, stays) = held.exchanges.drain(..).partition(|(_, exchange)| is_removed(exchange));
            held.exchanges = stays;
            let gone: VecDeque<(u64, Arc<Exchange>)> = gone;
            removed.extend(gone.into_iter().map(|(_, exchange)| exchange));
        }
        for exchange in &removed {
            self.requests = self.requests.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(exchange.bytes());
            if let Some(held) = self.classes.get_mut(&exchange.class) {
                held.bytes = held.bytes.saturating_sub(exchange.bytes());
            }
        }
        let bytes = &mut self.bytes;
        self.classes.retain(|_, held| {
            let is_empty = held.exchanges.is_empty();
            if is_empty {
                *bytes = bytes.saturating_sub(held.bytes);
            }
            !is_empty
        });
        removed
    }

    fn classes_max(&self) -> usize {
        (self.bounds.requests / FAIR_SHARE_MIN).clamp(1, CLASSES_MAX)
    }

    /// Evicts the oldest exchange of the class for which `share` is largest. Among several such
    /// classes, chooses the one that has gone without a new request for the longest time.
    fn evict(&mut self, share: fn(&Held) -> usize) -> Option<Arc<Exchange>> {
        let largest = self.classes.values_mut().max_by_key(|held| (share(held), Reverse(held.latest)))?;
        let oldest = largest.pop()?;
        if largest.exchanges.is_empty() {
            self.bytes = self.bytes.saturating_sub(largest.bytes);
            self.classes.remove(&oldest.class);
        }
        self.requests = self.requests.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(oldest.bytes());
        Some(oldest)
    }

    /// Evicts a whole class to make room for a new class. The documentation of this module has the
    /// rules.
    fn remove_class(&mut self) -> Option<Held> {
        let met_once = self.classes.values().filter(|held| held.inserted == 1).count();
        let gives_way = met_once > (self.classes_max() / MET_ONCE).max(1);
        let candidates = self.classes.values().filter(|held| (held.inserted == 1) == gives_way);
        let (_, any) = candidates.min_by_key(|held| held.latest)?.exchanges.front()?;
        let any = Arc::clone(any);
        let held = self.classes.remove(&any.class)?;
        self.requests = self.requests.saturating_sub(held.exchanges.len());
        self.bytes = self.bytes.saturating_sub(held.bytes);
        Some(held)
    }

    /// Returns all exchanges. Each comes with its rank within its class, which is 0 for the newest
    /// exchange, and with its number in the order of insertion.
    pub(crate) fn ranked(&self) -> Vec<(usize, u64, Arc<Exchange>)> {
        let mut all = Vec::with_capacity(self.requests);
        for held in self.classes.values() {
            let newest_first = held.exchanges.iter().rev().enumerate();
            all.extend(newest_first.map(|(rank, (number, exchange))| (rank, *number, Arc::clone(exchange))));
        }
        all
    }

    /// Returns a [`Share`] for each class.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let share = |held: &Held| {
            let latest = Arc::clone(&held.exchanges.back()?.1);
            let (requests, bytes, inserted) = (held.exchanges.len(), held.bytes, held.inserted);
            Some(Share { latest, requests, bytes, inserted })
        };
        self.classes.values().filter_map(share).collect()
    }
}

impl Held {
    fn new(class: &Class) -> Held {
        // The hash table is about half full, unless it held more classes before.
        let places = 2 * size_of::<(Class, Held)>();
        let bytes = class.bytes().saturating_add(places);
        Held { exchanges: VecDeque::new(), bytes, inserted: 0, latest: 0 }
    }

    fn push(&mut self, number: u64, exchange: Arc<Exchange>) {
        self.bytes = self.bytes.saturating_add(exchange.bytes());
        self.inserted = self.inserted.saturating_add(1);
        self.latest = number;
        self.exchanges.push_back((number, exchange));
    }

    fn pop(&mut self) -> Option<Arc<Exchange>> {
        let (_, oldest) = self.exchanges.pop_front()?;
        self.bytes = self.bytes.saturating_sub(oldest.bytes());
        // The accounting assumes that the queue is at least half full.
        if self.exchanges.len() < self.exchanges.capacity() / 4 {
            self.exchanges.shrink_to(self.exchanges.len().saturating_mul(2));
        }
        Some(oldest)
    }
}
