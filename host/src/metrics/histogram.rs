//! Histograms of times with fixed buckets.

use std::time::Duration;

/// Upper bounds of the buckets, in nanoseconds. One more bucket counts the times above the last
/// bound.
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

/// Number of counters of a histogram: one for each bucket, and one for the sum of the times in
/// nanoseconds.
pub const COUNTERS: usize = BOUNDS.len() + 2;

/// Index of the counter that holds the sum of the times.
pub const SUM: usize = COUNTERS - 1;

/// Returns the index of the bucket that counts a time.
pub fn bucket(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < nanoseconds)
}

/// Returns a time in nanoseconds, or [`u64::MAX`] if the time is too long for the type.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Histogram of times, read from counters.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Sum of all times in seconds.
    pub sum: f64,
    /// Number of measured times.
    pub count: u64,
    /// Buckets: upper bound in seconds, and number of times in this bucket only, not in the ones
    /// below it.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Creates a histogram from its [`COUNTERS`] counters. Also counts `zeros` measured times of
    /// length 0, which the counters do not include.
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

    /// Adds the times of another histogram.
    pub fn add(&mut self, other: &Histogram) {
        if self.buckets.is_empty() {
            self.buckets = other.buckets.iter().map(|(bound, _)| (*bound, 0)).collect();
        }
        for ((_, count), (_, more)) in self.buckets.iter_mut().zip(&other.buckets) {
            *count += more;
        }
        self.sum += other.sum;
        self.count += other.count;
    }

    /// Returns a histogram of the times that were counted after `earlier`, an earlier reading of
    /// the same counters.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let before = |index: usize| earlier.buckets.get(index).map_or(0, |(_, count)| *count);
        let buckets = self.buckets.iter().enumerate();
        let buckets: Vec<_> =
            buckets.map(|(index, (bound, count))| (*bound, count.saturating_sub(before(index)))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Histogram { sum: (self.sum - earlier.sum).max(0.0), count, buckets }
    }

    /// Estimates the quantile `share` (0 to 1) in seconds; [`None`] if the histogram is empty.
    /// Assumes, as Prometheus does, that the times in a bucket are spread evenly. Returns the last
    /// finite bound if the quantile is above it.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.count as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            let count = *count as f64;
            if bound.is_infinite() {
                break;
            }
            if count > 0.0 && below + count >= wanted {
                return Some(lower + (bound - lower) * (wanted - below) / count);
            }
            (below, lower) = (below + count, *bound);
        }
        (self.count > 0).then_some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, COUNTERS, Histogram, SUM, bucket};

    fn read(counts: &[(usize, u64)]) -> Histogram {
        let mut counters = [0; COUNTERS];
        counts.iter().for_each(|(index, count)| counters[*index] = *count);
        Histogram::read(&counters, 0)
    }

    #[test]
    fn a_quantile_is_estimated_within_its_bucket() {
        assert_eq!(read(&[]).quantile(0.5), None);
        assert_eq!(Histogram::default().quantile(0.5), None);
        // 100 times from 100 us to 250 us, and 100 from 2.5 ms to 5 ms.
        let both = read(&[(2, 100), (6, 100)]);
        for (share, expected) in [(0.25, 0.000_175), (0.5, 0.000_25), (0.75, 0.003_75), (1.0, 0.005)] {
            let found = both.quantile(share).unwrap();
            assert!((found - expected).abs() < 1e-9, "{share}: {found}");
        }
        assert_eq!(read(&[(17, 3)]).quantile(0.99), Some(10.0));
        assert_eq!(read(&[(0, 1), (17, 3)]).quantile(0.5), Some(10.0));
    }

    #[test]
    fn times_since_a_reading_are_those_that_were_added() {
        let (before, mut all) = (read(&[(2, 100)]), read(&[(2, 100)]));
        all.add(&read(&[(2, 1), (6, 7)]));
        let since = all.since(&before);
        assert_eq!((since.count, since.buckets[2].1, since.buckets[6].1), (8, 1, 7));
        // The counters of a site that was removed are gone.
        assert_eq!(before.since(&all).count, 0);
        let mut none = Histogram::default();
        none.add(&all);
        assert_eq!((none.count, none.since(&Histogram::default()).count), (108, 108));
    }

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
