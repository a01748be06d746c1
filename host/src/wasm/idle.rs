//! Instances that wait for their next request.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use super::instance::Instance;

/// The idle instances of one module, last in, first out: what was used last is
/// still in the caches. Each thread has a place of its own, so that threads do
/// not wait for each other, and takes from the others' when its own is empty.
pub(super) struct Idle {
    places: Box<[Mutex<Stack>]>,
    /// How many there are, and how many there may be, in all places together.
    count: AtomicUsize,
    max: usize,
    /// Whether none are to be kept, as long as the module does not serve.
    resting: AtomicBool,
}

#[allow(clippy::vec_box, reason = "a box is moved, not the instance")]
type Stack = Vec<Box<Instance>>;

impl Idle {
    /// None yet, and as many as this at the most once it is woken.
    pub(super) fn new(max: usize) -> Idle {
        let places = thread::available_parallelism().map_or(1, usize::from);
        Idle {
            places: (0..places).map(|_| Mutex::default()).collect(),
            count: AtomicUsize::new(0),
            max,
            resting: AtomicBool::new(true),
        }
    }

    pub(super) fn take(&self) -> Option<Box<Instance>> {
        let instance = self.own_place()?.pop().or_else(|| {
            let others = self.places.iter().filter_map(|place| match place.try_lock() {
                Ok(place) => Some(place),
                Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            });
            others.into_iter().find_map(|mut place| place.pop())
        })?;
        self.count.fetch_sub(1, Relaxed);
        Some(instance)
    }

    /// Keeps an instance that is as it was at first.
    pub(super) fn put(&self, instance: Box<Instance>) {
        let Some(mut place) = self.own_place() else {
            return;
        };
        // Looked at while nobody can empty the place.
        if self.resting.load(Relaxed) {
            return;
        }
        match self.count.fetch_add(1, Relaxed) < self.max {
            true => place.push(instance),
            false => drop(self.count.fetch_sub(1, Relaxed)),
        }
    }

    /// Keeps no instances from now on, until it is woken.
    pub(super) fn rest(&self) {
        self.resting.store(true, Relaxed);
        for place in &self.places {
            let instances = std::mem::take(&mut *lock(place));
            self.count.fetch_sub(instances.len(), Relaxed);
        }
    }

    pub(super) fn wake(&self) {
        self.resting.store(false, Relaxed);
    }

    fn own_place(&self) -> Option<MutexGuard<'_, Stack>> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
        }
        self.places.get(NUMBER.get() % self.places.len().max(1)).map(lock)
    }
}

fn lock(place: &Mutex<Stack>) -> MutexGuard<'_, Stack> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
