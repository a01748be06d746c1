//! What each thread that serves has for itself, so that threads do not wait for
//! each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// One of a kind for each thread that asks for its own, as many as there are
/// cores, or fewer. Where there are more threads, some share one.
pub(super) struct PerThread<T> {
    first: Apart<T>,
    others: Box<[Apart<T>]>,
}

/// What one core writes to is not in a cache line that another one reads. Caches
/// fetch two lines of 64 bytes at a time.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> PerThread<T> {
    /// No more than this many, but one in any case.
    pub(super) fn new(max: usize) -> PerThread<T> {
        let count = thread::available_parallelism().map_or(1, usize::from).min(max);
        PerThread { first: Apart::default(), others: (1..count).map(|_| Apart::default()).collect() }
    }
}

impl<T> PerThread<T> {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// That of this thread.
    pub(super) fn own(&self) -> &T {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
        }
        let other = (NUMBER.get() % self.count()).checked_sub(1);
        &other.and_then(|other| self.others.get(other)).unwrap_or(&self.first).0
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        [&self.first].into_iter().chain(&self.others).map(|apart| &apart.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PerThread;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn threads_share_no_more_than_they_have_to() {
        for max in [1, 2, 1000] {
            let counts = PerThread::<Mutex<usize>>::new(max);
            assert!((1..=max).contains(&counts.count()));
            thread::scope(|scope| {
                for _ in 0..3 * counts.count() {
                    scope.spawn(|| *counts.own().lock().unwrap() += 1);
                }
            });
            let counted: Vec<_> = counts.all().map(|count| *count.lock().unwrap()).collect();
            assert_eq!(counted.iter().sum::<usize>(), 3 * counts.count());
        }
    }
}
