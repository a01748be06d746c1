//! Instances that wait for their next request.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::instance::Instance;
use crate::per_thread::PerThread;

/// The idle instances of one module, last in, first out: what was used last is
/// still in the caches. Each thread has a place of its own, and uses another when
/// that one is empty, or full.
pub(super) struct Idle {
    places: PerThread<Mutex<Stack>>,
    /// How many there may be in each place.
    max: usize,
    /// Whether none are to be kept, as long as the module does not serve.
    resting: AtomicBool,
}

#[allow(clippy::vec_box, reason = "a box is moved, not the instance")]
type Stack = Vec<Box<Instance>>;

impl Idle {
    /// None yet; and no more than this once it is woken, or a few less, because all
    /// places have the same room.
    pub(super) fn new(max: usize, threads: usize) -> Idle {
        let places = PerThread::new(threads.min(max));
        let max = max / places.count().max(1);
        Idle { places, max, resting: AtomicBool::new(true) }
    }

    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.free_places().find_map(|mut place| place.pop())
    }

    /// Keeps an instance that is as it was at first.
    pub(super) fn put(&self, instance: Box<Instance>) {
        // Whether it rests is looked at while nobody can empty the place.
        let has_room = |place: &MutexGuard<'_, Stack>| !self.resting.load(Relaxed) && place.len() < self.max;
        if let Some(mut place) = self.free_places().find(has_room) {
            place.push(instance);
        }
    }

    /// Keeps no instances from now on, until it is woken.
    pub(super) fn rest(&self) {
        self.resting.store(true, Relaxed);
        for place in self.places.all() {
            let instances = std::mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner));
            // It takes some time, and the place is free again.
            drop(instances);
        }
    }

    pub(super) fn wake(&self) {
        self.resting.store(false, Relaxed);
    }

    /// The places that nobody looks into at this moment, that of this thread
    /// first.
    fn free_places(&self) -> impl Iterator<Item = MutexGuard<'_, Stack>> {
        self.places.own().into_iter().chain(self.places.all()).filter_map(|place| match place.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}
