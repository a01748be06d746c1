//! Samples of the traffic, for the clients that subscribe to them. Without such a client, no sample
//! is taken.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::traffic::Reading;

/// Maximum number of concurrent streams of samples.
pub const STREAMS_MAX: usize = 32;

/// Time between two samples.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time between two samples of a scope. Each client asks for samples with its own timer;
/// this bound makes several clients share one sample for each interval.
const INTERVAL_MIN: Duration = Duration::from_millis(900);

/// Time for which samples are kept for clients that subscribe later.
pub const KEPT: Duration = Duration::from_secs(300);

/// Maximum number of scopes whose samples are kept.
pub const SCOPES_MAX: usize = 64;

/// Samples of the traffic of each scope. A scope is the whole server or one site.
pub struct Traffic {
    state: Mutex<State>,
    streams: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    /// Scopes by name of the site; the key [`None`] is the whole server.
    scopes: HashMap<Option<String>, Scope>,
    /// Number of samples of all scopes since the start. It is also the number of the latest sample.
    count: u64,
}

struct Scope {
    last: Reading,
    /// Latest samples: number, time, and lines in the event stream.
    samples: VecDeque<(u64, Instant, Bytes)>,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic { state: Mutex::default(), streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

impl Traffic {
    /// Returns a permit for a stream of samples, or [`None`] if [`STREAMS_MAX`] streams are open.
    pub fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Takes a sample of a site, or of the whole server for [`None`], unless the latest one is too
    /// new. `read` reads the counters. Returns the lines of all samples after number `seen`, and
    /// the value of `seen` for the next call.
    pub fn follow(&self, site: Option<&str>, seen: u64, read: impl FnOnce() -> Reading) -> (Vec<Bytes>, u64) {
        let mut state = self.state();
        let State { scopes, count } = &mut *state;
        let now = Instant::now();
        let key = site.map(str::to_owned);
        let age = scopes.get(&key).map(|scope| now.saturating_duration_since(scope.last.at));
        match (age, scopes.get_mut(&key)) {
            (Some(age), Some(scope)) if age <= KEPT => {
                if age >= INTERVAL_MIN {
                    *count += 1;
                    scope.add(*count, read());
                }
            }
            _ => {
                make_room(scopes, now);
                scopes.insert(key.clone(), Scope { last: read(), samples: VecDeque::new() });
            }
        }
        let samples = scopes.get(&key).into_iter().flat_map(|scope| &scope.samples);
        let lines = samples.filter(|(number, ..)| *number > seen).map(|(.., lines)| lines.clone()).collect();
        (lines, *count)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scope {
    /// Adds a sample of the traffic since the last reading, and drops samples older than [`KEPT`].
    fn add(&mut self, number: u64, reading: Reading) {
        let sample = serde_json::to_string(&reading.since(&self.last)).unwrap_or_default();
        let lines = format!("event: sample\ndata: {sample}\n\n");
        self.samples.push_back((number, reading.at, lines.into()));
        let is_old = |(_, at, _): &(u64, Instant, Bytes)| reading.at.saturating_duration_since(*at) > KEPT;
        while self.samples.front().is_some_and(is_old) {
            self.samples.pop_front();
        }
        self.last = reading;
    }
}

/// Drops the scopes without a reading in the last [`KEPT`]. If there are still [`SCOPES_MAX`]
/// scopes, also drops the one with the oldest reading.
fn make_room(scopes: &mut HashMap<Option<String>, Scope>, now: Instant) {
    scopes.retain(|_, scope| now.saturating_duration_since(scope.last.at) <= KEPT);
    if scopes.len() >= SCOPES_MAX
        && let Some(oldest) = scopes.iter().min_by_key(|(_, scope)| scope.last.at).map(|(key, _)| key.clone())
    {
        scopes.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL_MIN, KEPT, SCOPES_MAX, Traffic};
    use crate::metrics::histogram::Histogram;
    use crate::metrics::traffic::{InUse, Reading};
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant, SystemTime};

    /// Returns a reading that was made `ago` before now, with `requests` counted requests.
    fn read(ago: Duration, requests: u64) -> Reading {
        let mut reading = Reading {
            at: Instant::now() - ago,
            time: SystemTime::UNIX_EPOCH,
            took: Histogram::default(),
            versions: BTreeMap::new(),
            in_use: InUse::default(),
        };
        reading.add(None, &vec![("GET", "2xx", requests)]);
        reading
    }

    fn requests(lines: &[bytes::Bytes]) -> Vec<u64> {
        let number = |lines: &bytes::Bytes| {
            let text = String::from_utf8(lines.to_vec()).unwrap();
            assert!(text.starts_with("event: sample\ndata: {") && text.ends_with("}\n\n"), "{text}");
            text.split("\"requests\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
        };
        lines.iter().map(number).collect()
    }

    #[test]
    fn clients_of_one_scope_share_its_samples() {
        let traffic = Traffic::default();
        let ago = |factor: u32| INTERVAL_MIN * factor;
        assert!(traffic.follow(None, 0, || read(ago(3), 10)).0.is_empty());
        let (lines, seen) = traffic.follow(None, 0, || read(ago(1), 15));
        assert_eq!(requests(&lines), [5]);
        // Another client comes, for which nothing is due.
        let (lines, other) = traffic.follow(None, 0, || read(ago(0), 22));
        assert_eq!(requests(&lines), [5, 7]);
        let (lines, _) = traffic.follow(None, other, || panic!("too early"));
        assert!(lines.is_empty());
        assert_eq!(requests(&traffic.follow(None, seen, || panic!("too early")).0), [7]);
        assert!(traffic.follow(Some("a"), 0, || read(ago(0), 1)).0.is_empty(), "another scope");
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let traffic = Traffic::default();
        let second = Duration::from_secs(1);
        traffic.follow(None, 0, || read(KEPT - second, 10));
        // One sample is about the whole time.
        assert_eq!(requests(&traffic.follow(None, 0, || read(second, 30)).0), [20]);
        traffic.follow(Some("a"), 0, || read(KEPT + second, 10));
        assert!(traffic.follow(Some("a"), 0, || read(second, 30)).0.is_empty());
        for number in 0..2 * SCOPES_MAX {
            traffic.follow(Some(&number.to_string()), 0, || read(Duration::ZERO, 0));
        }
        assert_eq!(traffic.state().scopes.len(), SCOPES_MAX);
    }
}
