//! Counts the instances of all sites, each of which takes a slot. When all slots are in use, an
//! instance that has been idle for long is dropped for a new one, which may be of another site.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The idle instances of one module, some of which may be dropped to free their slots.
pub(super) trait Evict: Send + Sync {
    /// Removes and returns an idle instance, which the caller drops. Unless `even_used` is set,
    /// spares instances that were used since the latest call of this method.
    fn evict(&self, even_used: bool) -> Option<Box<dyn Any + Send>>;
}

/// Counts the instances of all modules, and evicts idle ones when all slots are in use.
pub(super) struct Slots {
    used: Arc<AtomicUsize>,
    /// Number of instances, including those of candidates, up to which no idle instance is evicted.
    /// wasmtime's pool has a few more slots, which are spare for candidates.
    max: usize,
    /// The idle instances of each module, in the order in which they are searched for one to evict.
    idle: Mutex<VecDeque<Weak<dyn Evict>>>,
}

/// Counts one instance until this is dropped.
pub(super) struct Counted(Arc<AtomicUsize>);

impl Slots {
    pub(super) fn new(max: usize) -> Slots {
        Slots { used: Arc::default(), max, idle: Mutex::default() }
    }

    /// Registers the idle instances of a new module.
    pub(super) fn register(&self, idle: Weak<dyn Evict>) {
        self.lock().push_back(idle);
    }

    /// Counts a new instance. Evicts idle instances if there are more instances than slots.
    pub(super) fn enter(&self) -> Counted {
        let used = self.used.fetch_add(1, Relaxed) + 1;
        // More than one, if there was none to give way for an earlier instance.
        for _ in self.max..used {
            // Dropped after the lock is released, because that takes time.
            let evicted = self.evict();
            drop(evicted);
        }
        Counted(Arc::clone(&self.used))
    }

    fn evict(&self) -> Option<Box<dyn Any + Send>> {
        let mut all = self.lock();
        // The first looks skip those that were used since the one before. Others may use them
        // again meanwhile.
        let count = all.len();
        for look in 0..3 * count {
            let Some(idle) = all.pop_front() else { break };
            let Some(known) = idle.upgrade() else { continue };
            let evicted = known.evict(look >= 2 * count);
            all.push_back(idle);
            if evicted.is_some() {
                return evicted;
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Weak<dyn Evict>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Keeps the instance counted even after this is dropped, because its slot cannot be used
    /// again.
    pub(super) fn forever(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Evict, Slots};
    use std::any::Any;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::{Arc, Weak};

    /// A given number of idle instances, `left`. Some of them were used since the latest call of
    /// `evict` if `used` is not 0.
    struct Fake {
        used: AtomicUsize,
        left: AtomicUsize,
    }

    impl Evict for Fake {
        fn evict(&self, even_used: bool) -> Option<Box<dyn Any + Send>> {
            let was_used = self.used.swap(0, Relaxed) > 0;
            ((!was_used || even_used) && self.left.load(Relaxed) > 0).then(|| {
                self.left.fetch_sub(1, Relaxed);
                Box::new(()) as Box<dyn Any + Send>
            })
        }
    }

    #[test]
    fn those_that_were_used_give_way_last() {
        let slots = Slots::new(1);
        let fake = |used| Arc::new(Fake { used: AtomicUsize::new(used), left: AtomicUsize::new(1) });
        let (busy, calm) = (fake(1), fake(0));
        for idle in [&busy, &calm] {
            let idle: Weak<Fake> = Arc::downgrade(idle);
            slots.register(idle);
        }
        let left = || (busy.left.load(Relaxed), calm.left.load(Relaxed));
        let _first = slots.enter();
        assert_eq!(left(), (1, 1), "there is a slot");
        let _second = slots.enter();
        assert_eq!(left(), (1, 0));
        let _third = slots.enter();
        assert_eq!(left(), (0, 0), "it was not used since");
        let _fourth = slots.enter();
    }
}
