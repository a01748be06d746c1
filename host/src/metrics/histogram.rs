//! Times in buckets, as Prometheus counts them.

use std::time::Duration;

/// Upper bounds of the buckets, in nanoseconds; times above the last one have a bucket, too.
const BOUNDS: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Number of counters of a histogram: its buckets, and the sum of the times in nanoseconds.
pub const COUNTERS: usize = BOUNDS.len() + 2;

/// Index of the sum.
pub const SUM: usize = COUNTERS - 1;

/// Returns the index of the bucket of a time.
pub fn bucket(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < nanoseconds)
}

/// Returns a time in nanoseconds.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A histogram that was read.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Sum of the times in seconds.
    pub sum: f64,
    /// Number of times.
    pub count: u64,
    /// Upper bound of each bucket in seconds, and the number of times in this bucket alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Reads the counters of a histogram. `zeros` further times of 0 were not counted.
    pub fn read(counters: &[u64], zeros: u64) -> Histogram {
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
        let mut buckets: Vec<_> = bounds.zip(counters.iter().copied()).collect();
        if let Some((_, count)) = buckets.first_mut() {
            *count += zeros;
        }
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = counters.get(SUM).copied().unwrap_or_default() as f64 / 1e9;
        Histogram { sum, count, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, COUNTERS, Histogram, SUM, bucket};

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_pass() {
        for (nanoseconds, expected) in [
            (0, 0),
            (50_000, 0),
            (50_001, 1),
            (1_000_000, 4),
            (9_999_999_999, 16),
            (10_000_000_000, 16),
            (10_000_000_001, 17),
            (u64::MAX, 17),
        ] {
            assert_eq!(bucket(nanoseconds), expected, "{nanoseconds}");
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn what_is_read_has_all_times() {
        let mut counters = [0; COUNTERS];
        (counters[0], counters[17], counters[SUM]) = (3, 2, 1_500_000_000);
        let read = Histogram::read(&counters, 4);
        assert_eq!((read.count, read.sum, read.buckets.len()), (9, 1.5, 18));
        assert_eq!(read.buckets[0], (0.00005, 7));
        assert_eq!(read.buckets[17], (f64::INFINITY, 2));
    }
}
