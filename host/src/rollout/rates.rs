//! Limits how many requests per second the journal keeps, in each class and in total. Uses no lock,
//! because each request checks the limits.
//!
//! A class may keep a burst of requests, and then one request per interval. The rates of the
//! classes are in a table of fixed size, so a rare class may share an entry with a busy class. The
//! bits of the fingerprint that choose the entry of a class change each minute, so that no class is
//! shut out for long.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Number of entries in the table of rates; a power of two.
const PLACES: usize = 1 << PLACE_BITS;

/// Number of bits of a fingerprint that choose the entry of a class.
const PLACE_BITS: u32 = 10;

/// Interval after which different bits of the fingerprints choose the entries, in microseconds.
/// After each change, a class may keep a new burst.
const SHUFFLE: u64 = 60_000_000;

/// Limit of one class: at most 100 requests in any second, and 50 per second over a longer time.
const OF_CLASS: Limit = Limit { interval: 20_000, burst: 50 };

/// Limit of all classes together: at most 2,000 requests in any second. It bounds the cost of a
/// flood of new classes.
const OF_ALL: Limit = Limit { interval: 1_000, burst: 1_000 };

/// Maximum number of requests of one class that the journal keeps in any second.
pub(crate) const OF_CLASS_MAX: u64 = OF_CLASS.in_a_second();
/// Maximum number of requests of all classes together that the journal keeps in any second.
pub(crate) const OF_ALL_MAX: u64 = OF_ALL.in_a_second();

/// Rates at which the journal keeps requests, in each class and in total.
pub(crate) struct Rates {
    start: Instant,
    all: Rate,
    classes: [Rate; PLACES],
}

/// Limit on a rate: `burst` requests at once, and then one request per `interval` microseconds.
struct Limit {
    interval: u64,
    burst: u64,
}

/// Rate at which requests are kept. It is stored as the time at which the full burst will be
/// available again, in microseconds since the start of [`Rates`].
struct Rate(AtomicU64);

impl Rates {
    pub(crate) fn new(start: Instant) -> Rates {
        let classes = [const { Rate(AtomicU64::new(0)) }; PLACES];
        Rates { start, all: Rate(AtomicU64::new(0)), classes }
    }

    /// Returns whether the journal may keep a request of the class with this fingerprint. If so,
    /// counts the request towards the limits.
    pub(crate) fn take(&self, fingerprint: u64, now: Instant) -> bool {
        let now = micros(now.saturating_duration_since(self.start));
        let shift = (now / SHUFFLE * u64::from(PLACE_BITS) % u64::from(u64::BITS)) as u32;
        let place = fingerprint.rotate_right(shift) as usize % PLACES;
        // The class comes first, so that a busy class does not write to what all share.
        self.classes.get(place).is_some_and(|class| {
            class.has_room(now, &OF_CLASS) && self.all.take(now, &OF_ALL) && class.take(now, &OF_CLASS)
        })
    }
}

impl Rate {
    fn has_room(&self, now: u64, limit: &Limit) -> bool {
        limit.next(self.0.load(Relaxed), now).is_some()
    }

    fn take(&self, now: u64, limit: &Limit) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |full| limit.next(full, now)).is_ok()
    }
}

impl Limit {
    const fn in_a_second(&self) -> u64 {
        self.burst + 1_000_000 / self.interval
    }

    /// Returns the new value of a [`Rate`] after one more request at the time `now`; [`None`] if
    /// the request exceeds the limit. `full` is the old value. If the clock stops or goes back, at
    /// most the rest of the burst is admitted.
    fn next(&self, full: u64, now: u64) -> Option<u64> {
        let ahead = full.saturating_sub(now);
        let is_within = ahead <= self.interval.saturating_mul(self.burst.saturating_sub(1));
        is_within.then(|| full.max(now).saturating_add(self.interval))
    }
}

/// Returns a duration in microseconds.
fn micros(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000).saturating_add(u64::from(duration.subsec_micros()))
}

#[cfg(test)]
mod tests {
    use super::{OF_CLASS, PLACES, Rates};
    use crate::rollout::xorshift::Xorshift;
    use std::thread;
    use std::time::{Duration, Instant};

    const BURST: usize = OF_CLASS.burst as usize;
    const YEAR: Duration = Duration::from_secs(365 * 86_400);

    /// Returns the largest number of elements of `times` within any one second.
    fn most_in_a_second(times: &[Duration]) -> usize {
        let within = |first: &Duration| {
            times.iter().filter(|time| (*first..*first + Duration::from_secs(1)).contains(&**time)).count()
        };
        times.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn a_class_keeps_at_most_a_hundred_requests_in_any_second() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let mut random = Xorshift::new(7);
        let mut now = Duration::ZERO;
        let mut taken = Vec::new();
        // Less than a minute, after which the class has another place.
        while now < Duration::from_secs(59) {
            // Busy for a while, then idle for a while.
            let pause = if random.below(500) == 0 { 3_000 } else { random.below(3) as u64 };
            now += Duration::from_millis(pause);
            if rates.take(3, start + now) {
                taken.push(now);
            }
        }
        assert!((95..=100).contains(&most_in_a_second(&taken)), "{}", most_in_a_second(&taken));
        assert!(taken.len() >= 100, "{}", taken.len());
    }

    #[test]
    fn a_request_in_a_second_is_always_kept() {
        let start = Instant::now();
        let rates = Rates::new(start);
        for second in 0..100_000 {
            assert!(rates.take(3, start + Duration::from_secs(second)), "{second}");
        }
    }

    #[test]
    fn all_classes_keep_at_most_two_thousand_requests_in_any_second() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let mut taken = Vec::new();
        for micro in (0..3_000_000).step_by(10) {
            let now = Duration::from_micros(micro);
            if rates.take(micro.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 5, start + now) {
                taken.push(now);
            }
        }
        assert!((1_990..=2_000).contains(&most_in_a_second(&taken[..2_000])));
        assert!(taken.len() <= 4_000, "{}", taken.len());
    }

    #[test]
    fn a_class_leaves_room_to_others() {
        let start = Instant::now();
        let rates = Rates::new(start);
        assert_eq!((0..100_000).filter(|_| rates.take(1, start)).count(), BURST);
        assert!(rates.take(2, start));
    }

    #[test]
    fn threads_together_keep_no_more() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let count = || (0..100_000).filter(|_| rates.take(1, start)).count();
        let total: usize = thread::scope(|scope| {
            let threads = [scope.spawn(count), scope.spawn(count), scope.spawn(count)];
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, BURST);
    }

    #[test]
    fn classes_that_share_a_place_part_after_a_minute() {
        let start = Instant::now();
        let rates = Rates::new(start);
        let (busy, rare) = (0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ec15);
        assert_eq!(busy % PLACES as u64, rare % PLACES as u64);
        let mut kept = Vec::new();
        for second in (0..600).step_by(20) {
            let now = start + Duration::from_secs(second);
            while rates.take(busy, now) {}
            kept.push(rates.take(rare, now));
        }
        assert!(!kept[0], "they share a place");
        assert!(kept.iter().filter(|kept| **kept).count() > kept.len() / 2, "{kept:?}");
    }

    #[test]
    fn a_clock_may_stand_still_go_back_and_run_for_years() {
        let start = Instant::now() + YEAR;
        let rates = Rates::new(start);
        assert_eq!((0..1_000).filter(|_| rates.take(1, start)).count(), BURST);
        assert!(!rates.take(1, start - Duration::from_secs(1)), "that is before the start");
        // One second into a minute.
        let later = start + 200 * YEAR + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| rates.take(1, later)).count(), BURST);
        assert!(!rates.take(1, later - Duration::from_millis(100)));
        assert!(rates.take(1, later + Duration::from_millis(200)));
    }
}
