//! What each thread that serves has for itself, so that threads do not wait for
//! each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// One of a kind for each thread that asks for its own. Where there are more
/// threads, some share one.
pub(super) struct PerThread<T>(Box<[Apart<T>]>);

/// What one core writes to is not in a cache line that another one reads. Caches
/// fetch two lines of 64 bytes at a time.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> PerThread<T> {
    pub(super) fn new(count: usize) -> PerThread<T> {
        PerThread((0..count).map(|_| Apart::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// That of this thread, if there are any.
    pub(super) fn own(&self) -> Option<&T> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
        }
        self.0.get(NUMBER.get().checked_rem(self.count())?).map(|apart| &apart.0)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PerThread;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn threads_share_no_more_than_they_have_to() {
        for count in [0, 1, 2, 7] {
            let counts = PerThread::<Mutex<usize>>::new(count);
            assert_eq!(counts.count(), count);
            thread::scope(|scope| {
                for _ in 0..3 * counts.count() {
                    scope.spawn(|| *counts.own().unwrap().lock().unwrap() += 1);
                }
            });
            let counted: Vec<_> = counts.all().map(|count| *count.lock().unwrap()).collect();
            assert_eq!(counted.iter().sum::<usize>(), 3 * counts.count());
        }
    }
}
