//! Compares the times and the memory of calls with two versions.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Minimum number of pairs of calls for which a report has the times of a class.
const PAIRS_MIN: usize = 20;

/// Minimum number of pairs of calls for which a report has the 99th percentile. With fewer pairs,
/// it would be the longest call.
const PAIRS_MIN_P99: usize = 100;

/// Maximum number of pairs of times that are kept for a class. Each takes 32 bytes.
const PAIRS_MAX: usize = 5_000;

/// Ratio of two times above which a report shows a change, if they also differ by more than
/// [`TIME_DISTANCE_MS`].
const TIME_RATIO: f64 = 1.2;

/// Difference of two times above which a report may show a change, in milliseconds.
const TIME_DISTANCE_MS: f64 = 0.020;

/// Ratio of the candidate's memory to that of the current version above which a report says that
/// the candidate needs more, if the sizes also differ by more than [`MEMORY_DISTANCE`].
const MEMORY_RATIO: f64 = 1.5;

/// Difference of two sizes of memory above which a report may say that the candidate needs more, in
/// bytes.
const MEMORY_DISTANCE: u64 = 1 << 20;

/// Time and memory of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time of the call.
    pub took: Duration,
    /// Memory of the instance, in bytes.
    pub memory: u64,
}

/// Statistics of the times of calls with two versions, measured on a machine that does other work
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Number of requests that were measured with both versions.
    pub pairs: u64,
    /// Median time of a call with the current version, in milliseconds.
    pub current_median_ms: f64,
    /// Median time of a call with the candidate, in milliseconds.
    pub candidate_median_ms: f64,
    /// 99th percentile of the times with the current version, in milliseconds; absent below 100
    /// pairs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub current_p99_ms: Option<f64>,
    /// 99th percentile of the times with the candidate, in milliseconds; absent below 100 pairs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub candidate_p99_ms: Option<f64>,
}

/// Largest memory of an instance in a call, with each version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Largest memory with the current version, in bytes.
    pub current_max_bytes: u64,
    /// Largest memory with the candidate, in bytes.
    pub candidate_max_bytes: u64,
}

/// Times of the calls of one class with both versions.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    current: Vec<Duration>,
    candidate: Vec<Duration>,
}

impl Pairs {
    /// Adds the times of a pair of calls, unless the class already has [`PAIRS_MAX`] pairs. Returns
    /// whether the times were added.
    pub(super) fn add(&mut self, current: Duration, candidate: Duration) -> bool {
        let has_room = self.current.len() < PAIRS_MAX;
        if has_room {
            self.current.push(current);
            self.candidate.push(candidate);
        }
        has_room
    }

    /// Returns the medians and percentiles of the times; [`None`] if there are fewer than 20 pairs.
    pub(super) fn times(&self) -> Option<Times> {
        let pairs = self.current.len();
        if pairs < PAIRS_MIN {
            return None;
        }
        let sorted = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
        };
        let (current, candidate) = (sorted(&self.current), sorted(&self.candidate));
        let p99 = |times| (pairs >= PAIRS_MIN_P99).then(|| percentile(times, 99));
        Some(Times {
            pairs: pairs as u64,
            current_median_ms: percentile(&current, 50),
            candidate_median_ms: percentile(&candidate, 50),
            current_p99_ms: p99(&current),
            candidate_p99_ms: p99(&candidate),
        })
    }
}

/// Returns a percentile of sorted times, in milliseconds. Takes one of the times (nearest-rank
/// method), and does not interpolate.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    let time = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
    time.as_nanos() as f64 / 1e6
}

impl Times {
    /// Returns the ratio of the medians, candidate to current, if a report shows their difference.
    pub fn median_change(&self) -> Option<f64> {
        time_change(self.current_median_ms, self.candidate_median_ms)
    }

    /// Returns the ratio of the 99th percentiles, candidate to current, if a report shows their
    /// difference.
    pub fn p99_change(&self) -> Option<f64> {
        time_change(self.current_p99_ms?, self.candidate_p99_ms?)
    }
}

fn time_change(current: f64, candidate: f64) -> Option<f64> {
    let (short, long) = (current.min(candidate), current.max(candidate));
    let is_told = long > short * TIME_RATIO && long - short > TIME_DISTANCE_MS;
    // A clock may show that a call took no time.
    is_told.then(|| candidate.max(1e-6) / current.max(1e-6))
}

impl Memory {
    /// Replaces each of the two maxima by that of `other` if that is larger.
    pub(super) fn add(&mut self, other: Memory) {
        self.current_max_bytes = self.current_max_bytes.max(other.current_max_bytes);
        self.candidate_max_bytes = self.candidate_max_bytes.max(other.candidate_max_bytes);
    }

    /// Returns whether the candidate takes clearly more memory than the current version, so that a
    /// report mentions it.
    pub fn is_more(&self) -> bool {
        let (current, candidate) = (self.current_max_bytes, self.candidate_max_bytes);
        candidate as f64 > current as f64 * MEMORY_RATIO
            && candidate.saturating_sub(current) > MEMORY_DISTANCE
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Memory, Pairs, Times};

    fn times(count: u64, current: impl Fn(u64) -> u64, candidate: impl Fn(u64) -> u64) -> Option<Times> {
        let mut pairs = Pairs::default();
        for call in 0..count {
            pairs.add(Duration::from_micros(current(call)), Duration::from_micros(candidate(call)));
        }
        pairs.times()
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let hundred = times(100, |call| call + 1, |call| 2 * (100 - call)).unwrap();
        assert_eq!(
            hundred,
            Times {
                pairs: 100,
                current_median_ms: 0.050,
                candidate_median_ms: 0.100,
                current_p99_ms: Some(0.099),
                candidate_p99_ms: Some(0.198),
            }
        );
        assert_eq!(times(19, |_| 1, |_| 1), None);
        assert_eq!(times(20, |_| 1, |_| 1).unwrap().current_p99_ms, None);
        assert_eq!(times(99_999, |_| 1, |_| 1).unwrap().pairs, 5000);
    }

    #[test]
    fn only_large_changes_are_told() {
        let change = |current, candidate| times(100, |_| current, |_| candidate).unwrap().median_change();
        assert_eq!(change(100, 100), None);
        assert_eq!(change(100, 119), None);
        assert_eq!(change(1000, 1100), None);
        assert_eq!(change(1, 20), None);
        assert_eq!(change(100, 400), Some(4.0));
        assert_eq!(change(200, 100), Some(0.5));
        assert!(change(0, 100).unwrap().is_finite());
    }

    #[test]
    fn more_memory_is_told_past_a_ratio_and_a_distance() {
        let is_more = |current, candidate| {
            Memory { current_max_bytes: current, candidate_max_bytes: candidate }.is_more()
        };
        assert!(is_more(2 << 20, 4 << 20));
        assert!(!is_more(64 << 10, 256 << 10));
        assert!(!is_more(16 << 20, 18 << 20));
        assert!(!is_more(4 << 20, 2 << 20));
    }
}
