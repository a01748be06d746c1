//! Counts the requests of a site and of each version, and records the times and bytes of the
//! requests.

use std::time::Duration;

use crate::metrics::histogram::{self, Histogram};
use crate::metrics::shards::Counters;

/// Methods that are counted separately. The last entry, `other`, counts all other methods.
pub const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "other"];

/// Status classes that are counted separately. The first includes 1xx, the last all statuses above
/// 599.
pub const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Number of kinds of requests. A kind is a pair of a method and a status class.
const KINDS: usize = METHODS.len() * STATUSES.len();

/// Index of the first counter of the histogram of response times.
const TOOK: usize = 0;
/// Index of the first counter of the histogram of times for which handler calls ran.
const RAN: usize = TOOK + histogram::COUNTERS;
/// Index of the first counter of the histogram of times for which handler calls waited.
const WAITED: usize = RAN + histogram::COUNTERS;
/// Index of the counter of received bytes.
const RECEIVED: usize = WAITED + histogram::COUNTERS;
/// Index of the counter of sent bytes.
const SENT: usize = RECEIVED + 1;
/// Number of counters of a site for times and bytes.
const COUNTERS: usize = SENT + 1;

/// Counters of requests, by method and status class.
#[derive(Default)]
pub struct ByKind(Counters<KINDS>);

/// Number of requests of each kind: method, status class, and number.
pub type Kinds = Vec<(&'static str, &'static str, u64)>;

/// Counters of the requests of one site, or of the requests that belong to no site.
#[derive(Default)]
pub struct Requests {
    /// Counters of the requests for which no handler was called.
    pub without_call: ByKind,
    costs: Counters<COUNTERS>,
}

/// Facts about one answered request, which the metrics and the access log use.
pub struct Answered<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Status of the response.
    pub status: u16,
    /// Number of bytes of the request.
    pub received: usize,
    /// Number of bytes of the response.
    pub sent: usize,
    /// Time from the end of the request head until the response was ready to be sent.
    pub took: Duration,
    /// Times of the handler call, if the handler was called.
    pub call: Option<CallTimes>,
}

/// Times of one handler call.
#[derive(Clone, Copy)]
pub struct CallTimes {
    /// Time for which the call ran.
    pub ran: Duration,
    /// Time for which the call waited to run.
    pub waited: Duration,
}

/// Times and bytes of all requests of a site, read from the counters.
pub struct Costs {
    /// Response times, from the end of each request head.
    pub took: Histogram,
    /// Times for which handler calls ran.
    pub ran: Histogram,
    /// Times for which handler calls waited before they ran; 0 for most calls.
    pub waited: Histogram,
    /// Number of bytes of all requests.
    pub received: u64,
    /// Number of bytes of all responses.
    pub sent: u64,
}

impl ByKind {
    /// Counts a request.
    pub fn add(&self, method: &str, status: u16) {
        self.0.here().add(kind(method, status), 1);
    }

    /// Adds the counts of `others`. Nothing may be counted in `others` afterwards, because it would
    /// be lost.
    pub fn take_over(&self, others: &ByKind) {
        let shared = self.0.shared();
        for (index, count) in others.0.sums().into_iter().enumerate().filter(|(_, count)| *count > 0) {
            shared.add(index, count);
        }
    }

    /// Returns the number of requests of each kind, without the kinds that have no requests.
    pub fn read(&self) -> Kinds {
        let kinds = METHODS.iter().flat_map(|method| STATUSES.iter().map(|status| (*method, *status)));
        let counted = kinds.zip(self.0.sums()).map(|((method, status), count)| (method, status, count));
        counted.filter(|(_, _, count)| *count > 0).collect()
    }
}

/// Returns the index of the counter for a method and a status.
fn kind(method: &str, status: u16) -> usize {
    let others = METHODS.len() - 1;
    let method = METHODS.iter().take(others).position(|name| *name == method).unwrap_or(others);
    let status = usize::from(status / 100).clamp(2, 5) - 2;
    method * STATUSES.len() + status
}

impl Requests {
    /// Counts a request. `version` holds the counters of the version whose handler was called, if
    /// one was called.
    pub fn add(&self, answered: &Answered<'_>, version: Option<&ByKind>) {
        let Answered { method, status, received, sent, took, call } = *answered;
        version.unwrap_or(&self.without_call).add(method, status);
        let here = self.costs.here();
        let time = |start: usize, time: Duration| {
            let nanoseconds = histogram::nanoseconds(time);
            here.add(start + histogram::bucket(nanoseconds), 1);
            here.add(start + histogram::SUM, nanoseconds);
        };
        time(TOOK, took);
        if let Some(CallTimes { ran, waited }) = call {
            time(RAN, ran);
            // Most calls do not wait: `read` adds these.
            if !waited.is_zero() {
                time(WAITED, waited);
            }
        }
        here.add(RECEIVED, received as u64);
        here.add(SENT, sent as u64);
    }

    /// Reads the times and bytes of all requests of the site.
    pub fn costs(&self) -> Costs {
        let sums = self.costs.sums();
        let part = |start: usize| sums.get(start..start + histogram::COUNTERS).unwrap_or_default();
        let ran = Histogram::read(part(RAN), 0);
        let waited = Histogram::read(part(WAITED), 0);
        let at_once = ran.count.saturating_sub(waited.count);
        let at = |index: usize| sums.get(index).copied().unwrap_or_default();
        Costs {
            took: Histogram::read(part(TOOK), 0),
            waited: Histogram::read(part(WAITED), at_once),
            ran,
            received: at(RECEIVED),
            sent: at(SENT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, ByKind, CallTimes, Requests};
    use std::time::Duration;

    #[test]
    fn a_request_is_counted_by_its_method_and_the_class_of_its_status() {
        let requests = ByKind::default();
        for (method, status) in [
            ("GET", 200),
            ("GET", 204),
            ("GET", 404),
            ("get", 200),
            ("BREW", 418),
            ("OPTIONS", 999),
            ("HEAD", 100),
        ] {
            requests.add(method, status);
        }
        let expected = [
            ("GET", "2xx", 2),
            ("GET", "4xx", 1),
            ("HEAD", "2xx", 1),
            ("OPTIONS", "5xx", 1),
            ("other", "2xx", 1),
            ("other", "4xx", 1),
        ];
        assert_eq!(requests.read(), expected);
        let older = ByKind::default();
        older.add("GET", 200);
        older.take_over(&requests);
        assert_eq!(older.read().first(), Some(&("GET", "2xx", 3)));
    }

    #[test]
    fn a_call_that_did_not_wait_counts_as_a_wait_of_no_time() {
        let requests = Requests::default();
        let called = ByKind::default();
        let ms = Duration::from_millis;
        let answered =
            |call| Answered { method: "GET", status: 200, received: 10, sent: 100, took: ms(3), call };
        requests.add(&answered(None), None);
        requests.add(&answered(Some(CallTimes { ran: ms(2), waited: Duration::ZERO })), Some(&called));
        requests.add(&answered(Some(CallTimes { ran: ms(1), waited: ms(700) })), Some(&called));
        let costs = requests.costs();
        assert_eq!((costs.took.count, costs.ran.count, costs.waited.count), (3, 2, 2));
        assert_eq!((costs.received, costs.sent), (30, 300));
        assert_eq!((costs.waited.sum, costs.waited.buckets[0].1), (0.7, 1));
        assert_eq!(requests.without_call.read(), [("GET", "2xx", 1)]);
        assert_eq!(called.read(), [("GET", "2xx", 2)]);
    }
}
