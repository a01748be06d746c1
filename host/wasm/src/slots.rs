//! Counts the instances of all sites. When all slots are in use, an instance that has been idle for
//! long gives way to a new instance, also of another site.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Idle instances of one module.
pub(super) trait Evict: Send + Sync {
    /// Removes and returns an idle instance, which the caller drops. Unless `even_used` is set,
    /// spares instances that were used since the latest call of this method.
    fn evict(&self, even_used: bool) -> Option<Box<dyn Any + Send>>;
}

/// Counts the instances of all modules, and evicts idle ones when all slots are in use.
pub(super) struct Slots {
    used: Arc<AtomicUsize>,
    /// Maximum number of instances, besides those of candidates.
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

    /// Counts a new instance. If all slots are in use, evicts an idle instance for it.
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
    /// Keeps the instance counted after the drop, because its slot is lost.
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

    /// Idle instances: `left` of them, and more than 0 in `used` if some were used since the latest
    /// look.
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
