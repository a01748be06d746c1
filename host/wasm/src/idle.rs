//! Keeps instances for later requests, after they were reset.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::instance::Instance;
use crate::per_thread::PerThread;
use crate::slots::Evict;

/// The idle instances of one module, in one stack for each thread. A thread tries its
/// own stack first, and then those of others. The last instance in is the first out,
/// because its memory is most likely still in the CPU's caches.
pub(super) struct Idle {
    places: PerThread<Mutex<Stack>>,
    /// Maximum number of instances in each stack.
    max: usize,
    /// Whether instances are kept: only while the module serves.
    kept: AtomicBool,
}

#[derive(Default)]
#[allow(clippy::vec_box, reason = "a box is moved, not the instance")]
struct Stack {
    instances: Vec<Box<Instance>>,
    /// Whether an instance was taken since the latest search for an instance to evict.
    used: bool,
}

impl Idle {
    /// Creates an empty stack for each of `threads`, but at most `max` stacks. They keep no
    /// instance until [`Idle::set_kept`] is called, and then at most `max` together, divided
    /// equally and rounded down.
    pub(super) fn new(max: usize, threads: usize) -> Idle {
        let places = PerThread::new(threads.min(max));
        let max = max / places.count().max(1);
        Idle { places, max, kept: AtomicBool::new(false) }
    }

    pub(super) fn take(&self) -> Option<Box<Instance>> {
        self.free_places().find_map(|mut place| {
            let instance = place.instances.pop()?;
            place.used = true;
            Some(instance)
        })
    }

    /// Keeps an instance that was reset. Drops the instance if no stack has room, or while
    /// instances are not kept (see [`Idle::set_kept`]).
    pub(super) fn put(&self, instance: Box<Instance>) {
        // `kept` is read under the lock, so `set_kept` cannot miss this instance.
        let has_room =
            |place: &MutexGuard<'_, Stack>| self.kept.load(Relaxed) && place.instances.len() < self.max;
        if let Some(mut place) = self.free_places().find(has_room) {
            place.instances.push(instance);
        }
    }

    /// Sets whether instances are kept after their request. With `false`, also drops all idle
    /// instances.
    pub(super) fn set_kept(&self, kept: bool) {
        self.kept.store(kept, Relaxed);
        for place in self.places.all().filter(|_| !kept) {
            let instances =
                std::mem::take(&mut place.lock().unwrap_or_else(PoisonError::into_inner).instances);
            // Dropping takes time, so it happens after the lock is released.
            drop(instances);
        }
    }

    /// Tries to lock each stack, beginning with the current thread's. Returns those that no other
    /// thread has locked.
    fn free_places(&self) -> impl Iterator<Item = MutexGuard<'_, Stack>> {
        self.places.own().into_iter().chain(self.places.all()).filter_map(|place| match place.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

impl Evict for Idle {
    /// Removes the instance that has been idle for longest from one stack: the first one that is
    /// not empty and from which no call took an instance since the latest search. With `even_used`,
    /// it does not matter whether a call took one.
    fn evict(&self, even_used: bool) -> Option<Box<dyn Any + Send>> {
        self.places.all().find_map(|place| {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            let used = std::mem::replace(&mut place.used, false);
            let oldest =
                ((!used || even_used) && !place.instances.is_empty()).then(|| place.instances.remove(0));
            oldest.map(|instance| -> Box<dyn Any + Send> { instance })
        })
    }
}
