//! What each thread has for itself, so that threads which serve do not wait for
//! each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// One of a kind for each thread, as many as there are cores. Where there are
/// more threads, some share one.
pub(super) struct PerThread<T> {
    first: Apart<T>,
    others: Box<[Apart<T>]>,
}

/// What one core writes to is not in a cache line that another one reads. Caches
/// fetch two lines of 64 bytes at a time.
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> PerThread<T> {
    pub(super) fn new() -> PerThread<T> {
        let others = thread::available_parallelism().map_or(1, usize::from) - 1;
        PerThread { first: Apart(T::default()), others: (0..others).map(|_| Apart(T::default())).collect() }
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
