//! Gives each serving thread a value of its own, so that threads do not contend.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A fixed number of values. A thread is assigned one when it first asks for its value. Threads
/// share values if there are more threads than values.
pub(super) struct PerThread<T>(Box<[CachePadded<T>]>);

/// Padding that keeps values of different threads in different cache lines. 128 bytes,
/// because processors fetch two lines of 64 bytes at a time.
#[derive(Default)]
#[repr(align(128))]
struct CachePadded<T>(T);

impl<T: Default> PerThread<T> {
    pub(super) fn new(count: usize) -> PerThread<T> {
        PerThread((0..count).map(|_| CachePadded::default()).collect())
    }
}

impl<T> PerThread<T> {
    /// Returns the number of values.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the current thread's value; [`None`] if there are no values.
    pub(super) fn own(&self) -> Option<&T> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Relaxed));
        }
        self.0.get(NUMBER.get().checked_rem(self.count())?).map(|padded| &padded.0)
    }

    /// Returns all values.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PerThread;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn every_thread_gets_a_value() {
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
