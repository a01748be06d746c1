//! Counters that several threads increment without waiting for each other.
//!
//! Each thread has its own block of counters, so that it needs no atomic read-modify-write. A
//! reader sums the blocks. When all blocks have an owner, further threads share the last block.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::available_parallelism;

/// Maximum number of blocks with one owner thread each.
const OWN_MAX: usize = 16;

/// `N` counters. Each block has a copy of them, and the value of a counter is the sum over all
/// blocks.
pub struct Counters<const N: usize>(Box<[Block<N>]>);

/// Block of counters. Blocks share no cache line, so that threads do not slow each other down.
#[repr(align(64))]
struct Block<const N: usize>([AtomicU64; N]);

/// Access to one block, through which a thread increments the counters.
pub struct Adder<'a, const N: usize> {
    block: Option<&'a Block<N>>,
    is_own: bool,
}

/// Flags that say which blocks have an owner thread.
#[derive(Default)]
struct Taken([bool; OWN_MAX]);

/// Index of the block that a thread uses: its own block, or the shared one.
struct Place(usize);

static TAKEN: Mutex<Taken> = Mutex::new(Taken([false; OWN_MAX]));

thread_local! {
    static PLACE: Place = Place::take();
}

/// Returns the number of blocks with one owner thread each: one for each CPU, at most [`OWN_MAX`].
fn own() -> usize {
    static OWN: OnceLock<usize> = OnceLock::new();
    *OWN.get_or_init(|| available_parallelism().map_or(1, usize::from).min(OWN_MAX))
}

impl Place {
    fn take() -> Place {
        let mut taken = taken();
        let mut free = taken.0.iter_mut().take(own()).enumerate().filter(|(_, is_taken)| !**is_taken);
        match free.next() {
            Some((index, is_taken)) => {
                *is_taken = true;
                Place(index)
            }
            None => Place(own()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The lock hands what this thread has written to the next owner.
        if self.0 < own()
            && let Some(is_taken) = taken().0.get_mut(self.0)
        {
            *is_taken = false;
        }
    }
}

fn taken() -> MutexGuard<'static, Taken> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<const N: usize> Counters<N> {
    /// Creates counters with the value 0.
    pub fn new() -> Counters<N> {
        Counters((0..=own()).map(|_| Block([const { AtomicU64::new(0) }; N])).collect())
    }

    /// Returns access to the block that the calling thread uses.
    pub fn here(&self) -> Adder<'_, N> {
        let shared = own();
        // A thread that ends has no place any more.
        let index = PLACE.try_with(|place| place.0).unwrap_or(shared);
        Adder { block: self.0.get(index), is_own: index < shared }
    }

    /// Returns access to the shared block, for threads that serve no requests.
    pub fn shared(&self) -> Adder<'_, N> {
        Adder { block: self.0.last(), is_own: false }
    }

    /// Returns the sum of each counter over all blocks.
    pub fn sums(&self) -> [u64; N] {
        let mut sums = [0_u64; N];
        for Block(counters) in &self.0 {
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum = sum.wrapping_add(counter.load(Relaxed));
            }
        }
        sums
    }
}

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Counters::new()
    }
}

impl<const N: usize> Adder<'_, N> {
    /// Adds `count` to the counter at `index`. Does nothing if there is no such counter.
    pub fn add(&self, index: usize, count: u64) {
        let Some(counter) = self.block.and_then(|Block(counters)| counters.get(index)) else { return };
        if self.is_own {
            // No other thread writes it.
            counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
        } else {
            counter.fetch_add(count, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;
    use std::thread;

    #[test]
    fn nothing_is_lost_with_more_threads_than_blocks_and_threads_that_end() {
        let counters = Counters::<3>::new();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..40 {
                    scope.spawn(|| {
                        for index in 0..3000 {
                            counters.here().add(index % 3, 2);
                        }
                    });
                }
            });
        }
        assert_eq!(counters.sums(), [240_000; 3]);
    }

    #[test]
    fn an_index_that_does_not_exist_adds_nothing() {
        let counters = Counters::<2>::new();
        counters.here().add(2, 1);
        counters.here().add(1, 1);
        assert_eq!(counters.sums(), [0, 1]);
    }
}
