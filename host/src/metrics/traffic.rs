//! Samples of the traffic: the difference between two readings of the counters.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock;
use crate::metrics::histogram::Histogram;
use crate::metrics::requests::Kinds;

/// Status class of failed requests.
const FAILED: &str = "5xx";

/// Values of the counters of the whole server or of a site at one time.
pub struct Reading {
    /// Time of the reading, to measure the time between two readings.
    pub at: Instant,
    /// Time of the reading according to the system clock.
    pub time: SystemTime,
    /// Response times of all requests.
    pub took: Histogram,
    /// Number of requests for each version that was called. The key [`None`] stands for requests
    /// without a called version or, in a reading of the whole server, for all requests.
    pub versions: BTreeMap<Option<u64>, Counts>,
    /// Resources in use at the time of the reading.
    pub in_use: InUse,
}

/// Number of requests, and how many of them failed.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    requests: u64,
    failed: u64,
}

/// Resources in use in the whole server.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct InUse {
    /// Number of open connections.
    pub connections: u64,
    /// Number of running calls of handlers.
    pub calls: u64,
    /// Number of calls of handlers that wait to run.
    pub waiting_calls: u64,
    /// Memory of the server's process in bytes; absent if the system does not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// Sample of the traffic of the whole server or of a site: what happened in about one second. The
/// first sample after a time in which no client followed the traffic covers that whole time, if it
/// was at most 5 minutes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Sample {
    /// Time at which the sample ends, in UTC.
    pub time: String,
    /// Time that the sample covers, in seconds.
    pub seconds: f64,
    /// Number of requests that were answered in the time of the sample.
    pub requests: u64,
    /// Number of requests that were answered with a status of 500 or above, by the host after a
    /// fault or by a handler itself.
    pub failed: u64,
    /// Median time to the response, in seconds, estimated from the buckets of
    /// `host_request_seconds`; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_seconds: Option<f64>,
    /// 99th percentile of the time to the response, in seconds, estimated from the buckets of
    /// `host_request_seconds`; absent without requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
    /// Requests by the version that was called, for versions with requests in the time of the
    /// sample; absent in samples of the whole server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<OfVersion>,
    /// Resources in use in the whole server.
    #[serde(flatten)]
    pub in_use: InUse,
}

/// Requests for which one version was called.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OfVersion {
    /// Number of the version.
    pub version: u64,
    /// Number of requests for which the version was called.
    pub requests: u64,
    /// Number of requests for which the version was called and that were answered with a status of
    /// 500 or above.
    pub failed: u64,
}

impl Reading {
    /// Adds requests to the counts of a version. For [`None`], adds them to the requests without a
    /// version.
    pub fn add(&mut self, version: Option<u64>, kinds: &Kinds) {
        let counts = self.versions.entry(version).or_default();
        for (_, status, count) in kinds {
            counts.requests += count;
            counts.failed += if *status == FAILED { *count } else { 0 };
        }
    }

    /// Returns a sample of the traffic between an earlier reading and this one.
    pub fn since(&self, earlier: &Reading) -> Sample {
        let took = self.took.since(&earlier.took);
        let sum = |of: fn(&Counts) -> u64, reading: &Reading| reading.versions.values().map(of).sum::<u64>();
        let added = |of| sum(of, self).saturating_sub(sum(of, earlier));
        let of_version = |(version, counts): (&Option<u64>, &Counts)| {
            let before = earlier.versions.get(version).copied().unwrap_or_default();
            let requests = counts.requests.saturating_sub(before.requests);
            let failed = counts.failed.saturating_sub(before.failed);
            version.filter(|_| requests > 0).map(|version| OfVersion { version, requests, failed })
        };
        Sample {
            time: clock::micros(self.time).to_string(),
            seconds: rounded(self.at.saturating_duration_since(earlier.at).as_secs_f64(), 1e3),
            requests: added(|counts| counts.requests),
            failed: added(|counts| counts.failed),
            p50_seconds: took.quantile(0.5).map(|time| rounded(time, 1e7)),
            p99_seconds: took.quantile(0.99).map(|time| rounded(time, 1e7)),
            versions: self.versions.iter().filter_map(of_version).collect(),
            in_use: self.in_use,
        }
    }
}

/// Rounds a number to a multiple of 1 / `parts`, so that it has few digits in JSON.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::{InUse, Reading};
    use crate::metrics::histogram::Histogram;
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant, SystemTime};

    #[test]
    fn a_sample_is_what_was_added() {
        let at = Instant::now();
        let read = |after: u64, kinds: &[(Option<u64>, &'static str, u64)]| {
            let mut reading = Reading {
                at: at + Duration::from_millis(after),
                time: SystemTime::UNIX_EPOCH,
                took: Histogram::default(),
                versions: BTreeMap::new(),
                in_use: InUse { connections: 3, ..InUse::default() },
            };
            kinds
                .iter()
                .for_each(|(version, status, count)| reading.add(*version, &vec![("GET", *status, *count)]));
            reading
        };
        let before = read(0, &[(None, "4xx", 5), (Some(1), "2xx", 100), (Some(1), "5xx", 1)]);
        let after =
            read(1500, &[(None, "4xx", 6), (Some(1), "2xx", 110), (Some(1), "5xx", 3), (Some(2), "2xx", 7)]);
        let sample = after.since(&before);
        assert_eq!((sample.seconds, sample.requests, sample.failed), (1.5, 20, 2));
        let versions: Vec<_> =
            sample.versions.iter().map(|of| (of.version, of.requests, of.failed)).collect();
        assert_eq!(versions, [(1, 12, 2), (2, 7, 0)]);
        assert_eq!(sample.in_use.connections, 3);
        // What a removed site had counted is gone.
        assert_eq!(before.since(&after).requests, 0);
    }
}
