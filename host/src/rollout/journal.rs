//! The traffic journal: a bounded sample of recent requests, and how the version that served each
//! of them has answered. The gate runs these requests with a candidate before the candidate serves.
//!
//! The journal keeps requests of every class, so that a busy class, such as requests for `/`, does
//! not fill it. `rates` limits how often requests of a class are added, and `kept` decides which
//! requests are evicted.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::{Entry, Whose};
use crate::rollout::class::fingerprint;
use crate::rollout::exchange::{Answered, Exchange, Received};
use crate::rollout::flags::Proof;
use crate::rollout::kept::{Bounds, Kept};
use crate::rollout::rates::Rates;
use crate::rollout::report::accept::Pattern;

/// Divisor of the journal's memory that gives the maximum memory of one exchange, so that a few
/// large requests do not evict all others.
const LARGEST: usize = 16;

/// Bounded sample of the recent requests of one site.
pub struct Journal {
    rates: Rates,
    /// Maximum memory of one exchange in bytes; 0 while the journal is off.
    exchange_max: AtomicUsize,
    skipped_large: AtomicU64,
    /// Patterns of the requests that the journal does not keep.
    skip: Mutex<Arc<[Pattern]>>,
    kept: Mutex<Kept>,
}

/// State of the journal of a site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Number of kept requests.
    pub requests: usize,
    /// Maximum number of requests that are kept.
    pub requests_max: usize,
    /// Memory of the kept requests in bytes.
    pub bytes: usize,
    /// Maximum memory of the kept requests in bytes.
    pub bytes_max: usize,
    /// Number of requests that were added since the start, including those that were evicted since.
    pub added: u64,
    /// Number of requests that were not kept since the start, because they were too large.
    pub skipped_large: u64,
    /// Classes of the kept requests, ordered by name.
    pub classes: Vec<ClassSummary>,
}

/// State of one class of requests in the journal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClassSummary {
    /// Name of the class, such as `GET /items/*?page= 200`: method, shape of the target and status.
    pub class: String,
    /// Number of kept requests.
    pub requests: usize,
    /// Memory of the kept requests in bytes.
    pub bytes: usize,
    /// Time at which the newest request of the class arrived, in UTC.
    pub newest: String,
    /// Number of requests of the class that were added since the journal has held the class.
    pub added: u64,
}

impl Journal {
    /// Creates an empty journal with the settings in `proof`.
    pub fn new(proof: &Proof) -> Journal {
        let journal = Journal::with_bounds(proof.journal, proof.journal_bytes);
        journal.set(proof);
        journal
    }

    /// Creates a journal with these bounds, and without patterns. 0 turns the journal off.
    fn with_bounds(requests_max: usize, bytes_max: usize) -> Journal {
        let journal = Journal {
            rates: Rates::new(Instant::now()),
            exchange_max: AtomicUsize::new(0),
            skipped_large: AtomicU64::new(0),
            skip: Mutex::default(),
            kept: Mutex::default(),
        };
        journal.set_bounds(requests_max, bytes_max);
        journal
    }

    /// Changes the settings. Drops the requests beyond the new bounds, and those that match a
    /// pattern.
    pub fn set(&self, proof: &Proof) {
        self.set_bounds(proof.journal, proof.journal_bytes);
        let before = std::mem::replace(&mut *self.skip(), Arc::clone(&proof.skip));
        if before != proof.skip {
            let is_left_out = |exchange: &Exchange| skips(&proof.skip, &exchange.method, &exchange.target);
            let removed = self.lock().remove(is_left_out);
            drop(removed);
        }
    }

    /// Changes the bounds, and drops the requests beyond them. 0 turns the journal off.
    fn set_bounds(&self, requests_max: usize, bytes_max: usize) {
        let mut kept = self.lock();
        let largest = if requests_max == 0 { 0 } else { bytes_max / LARGEST };
        self.exchange_max.store(largest, Relaxed);
        kept.bounds = Bounds { requests: requests_max, bytes: bytes_max };
        let removed = kept.shrink();
        drop(kept);
        drop(removed);
    }

    /// Drops all requests in the journal.
    pub fn clear(&self) {
        let removed = self.lock().remove(|_| true);
        drop(removed);
    }

    /// Adds a request after it was answered, if the rate limits of its class and of all classes
    /// allow. Ignores requests that ended in a fault of the client or the operator. `started` is
    /// the time at which the request arrived.
    pub fn see(
        &self,
        received: Received<'_>,
        status: u16,
        fault: Option<Entry>,
        version: u64,
        started: Instant,
    ) {
        let is_of_handler = fault.is_none_or(|fault| fault.whose == Whose::Handler);
        if self.is_on()
            && is_of_handler
            && self.rates.take(fingerprint(received.method, received.target, status), started)
        {
            self.keep(received, Answered { version, status, fault: fault.map(|fault| fault.name) });
        }
    }

    fn is_on(&self) -> bool {
        self.exchange_max.load(Relaxed) > 0
    }

    /// Adds a copy of a request, unless the request matches a pattern or is too large.
    fn keep(&self, received: Received<'_>, answered: Answered) {
        let exchange_max = self.exchange_max.load(Relaxed);
        if exchange_max == 0 {
            return;
        }
        // Held to the end, so that new patterns find what was kept before them.
        let skip = self.skip();
        if skips(&skip, received.method, received.target) {
            return;
        }
        // A large message is not even copied.
        let fits = received.message.length() <= exchange_max;
        let exchange = fits.then(|| Exchange::new(received, answered));
        let Some(exchange) = exchange.filter(|exchange| exchange.bytes() <= exchange_max) else {
            self.skipped_large.fetch_add(1, Relaxed);
            return;
        };
        let removed = self.lock().insert(Arc::new(exchange));
        drop(skip);
        drop(removed);
    }

    /// Returns the number of requests in the journal.
    pub fn requests(&self) -> usize {
        self.lock().requests()
    }

    /// Returns the memory that the requests use, and the maximum memory, in bytes. The maximum is 0
    /// while the journal is off.
    pub fn bytes(&self) -> (usize, usize) {
        let kept = self.lock();
        let most = if kept.bounds.requests == 0 { 0 } else { kept.bounds.bytes };
        (kept.bytes(), most)
    }

    /// Returns all exchanges in the order of [`Journal::all`], without those that the patterns in
    /// `proof` match. Returns none if `proof` turns the journal off.
    pub fn all_within(&self, proof: &Proof) -> Vec<Arc<Exchange>> {
        let mut all = if proof.journal == 0 { Vec::new() } else { self.all() };
        all.retain(|exchange| !skips(&proof.skip, &exchange.method, &exchange.target));
        all
    }

    /// Returns all exchanges: first the newest of each class, then the second newest of each class,
    /// and so on. So a replay that ends early has still covered all classes.
    pub fn all(&self) -> Vec<Arc<Exchange>> {
        let mut all = self.lock().ranked();
        all.sort_unstable_by_key(|(rank, number, _)| (*rank, Reverse(*number)));
        all.into_iter().map(|(.., exchange)| exchange).collect()
    }

    /// Returns the size of the journal, its counters, and the same for each class.
    pub fn summary(&self) -> Summary {
        let kept = self.lock();
        let (shares, bounds) = (kept.shares(), kept.bounds);
        let (requests, bytes, added) = (kept.requests(), kept.bytes(), kept.inserted());
        drop(kept);
        let mut classes: Vec<_> = (shares.into_iter())
            .map(|share| ClassSummary {
                class: share.latest.class.to_string(),
                requests: share.requests,
                bytes: share.bytes,
                newest: clock::seconds(share.latest.time).to_string(),
                added: share.inserted,
            })
            .collect();
        classes.sort_unstable_by(|one, other| one.class.cmp(&other.class));
        let skipped_large = self.skipped_large.load(Relaxed);
        let (requests_max, bytes_max) = (bounds.requests, bounds.bytes);
        Summary { requests, requests_max, bytes, bytes_max, added, skipped_large, classes }
    }

    /// Returns whether the journal does not keep a request, because it matches a pattern.
    pub fn leaves_out(&self, method: &str, target: &str) -> bool {
        skips(&self.skip(), method, target)
    }

    fn skip(&self) -> MutexGuard<'_, Arc<[Pattern]>> {
        self.skip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether one of the patterns matches a request.
fn skips(patterns: &[Pattern], method: &str, target: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(method, target))
}

#[cfg(test)]
mod tests {
    use super::{Answered, Exchange, Journal, LARGEST, Received};
    use crate::rollout::xorshift::Xorshift;
    use clap::Parser;
    use host_http::message::Message;
    use host_http::request_id::RequestId;
    use std::collections::BTreeSet;
    use std::time::SystemTime;

    const PLENTY: usize = 1 << 30;

    /// Returns a word for a number, with a letter for each digit. Requests with different words in
    /// the path have different classes.
    fn word(number: usize) -> String {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    }

    /// Adds a request with a body of `length` bytes. Tests find the request by the number
    /// `version`.
    fn keep(journal: &Journal, target: &str, version: u64, length: usize) {
        let mut message = Message::from(target.as_bytes().to_vec());
        message.body.push(vec![b'x'; length].into());
        let received = Received {
            method: "GET",
            target,
            message: &message,
            time: SystemTime::now(),
            id: &RequestId::none(),
        };
        journal.keep(received, Answered { version, status: 200, fault: None });
    }

    /// Returns the shape and the version of each exchange.
    fn all(journal: &Journal) -> Vec<(String, u64)> {
        let shown = |exchange: &Exchange| (exchange.class.shape.to_string(), exchange.answered.version);
        journal.all().iter().map(|exchange| shown(exchange)).collect()
    }

    /// Returns the versions of the exchanges with this shape.
    fn of(journal: &Journal, shape: &str) -> Vec<u64> {
        all(journal).into_iter().filter(|(class, _)| class == shape).map(|(_, version)| version).collect()
    }

    /// Checks that the sums in the summary are right and within the bounds.
    fn check(journal: &Journal) {
        let (summary, all) = (journal.summary(), journal.all());
        assert!(
            summary.requests <= summary.requests_max && summary.bytes <= summary.bytes_max,
            "{summary:?}"
        );
        assert_eq!(summary.requests, all.len());
        assert_eq!(summary.requests, summary.classes.iter().map(|class| class.requests).sum::<usize>());
        assert_eq!(summary.bytes, summary.classes.iter().map(|class| class.bytes).sum::<usize>());
        assert!(all.iter().map(|exchange| exchange.bytes).sum::<usize>() <= summary.bytes);
        let names: BTreeSet<_> = all.iter().map(|exchange| exchange.class.to_string()).collect();
        assert!(summary.classes.iter().map(|class| &class.class).eq(&names));
        assert!(names.len() <= 256);
    }

    #[test]
    fn no_sequence_exceeds_the_bounds() {
        for seed in 1..=20 {
            let mut random = Xorshift::new(seed);
            let journal = Journal::with_bounds(0, 0);
            for version in 0..3_000 {
                if random.below(300) == 0 {
                    let requests = random.pick(&[0, 1, 2, 7, 8, 100, 1_000, 5_000]);
                    journal.set_bounds(requests, random.pick(&[0, 1, 15, 9_000, 100_000, 1 << 20, PLENTY]));
                    check(&journal);
                }
                let classes = random.pick(&[3, 30, 3_000]);
                let length = random.pick(&[0, 10, 1_000, 10_000]);
                keep(
                    &journal,
                    &format!("/{}", word(random.below(classes))),
                    version,
                    random.below(length + 1),
                );
                if random.below(10) == 0 {
                    check(&journal);
                }
            }
            check(&journal);
        }
    }

    #[test]
    fn what_is_left_out_is_dropped_and_not_kept() {
        let flags = crate::cli::args::Args::parse_from(["host"]).serve.proof;
        let journal = Journal::new(&flags.proof());
        for number in 0..10 {
            keep(&journal, "/kept", number, 10);
            keep(&journal, "/login", number, 10);
        }
        let skip = vec!["GET /log*".parse().unwrap()];
        journal.set(&crate::rollout::flags::ProofFlags { journal_skip: skip, ..flags }.proof());
        check(&journal);
        keep(&journal, "/logout", 11, 10);
        keep(&journal, "/kept", 11, 10);
        check(&journal);
        assert_eq!(
            (of(&journal, "/kept").len(), of(&journal, "/login"), of(&journal, "/logout")),
            (11, vec![], vec![])
        );
    }

    #[test]
    fn a_rare_class_survives_a_busy_one_and_a_flood_of_new_ones() {
        let journal = Journal::with_bounds(1_000, 16 << 20);
        for version in 0..3 {
            keep(&journal, "/rare", version, 100);
        }
        for version in 0..20_000 {
            keep(&journal, "/busy", version, 5_000);
        }
        check(&journal);
        assert_eq!(of(&journal, "/rare"), [2, 1, 0]);
        for number in 0..10_000 {
            keep(&journal, &format!("/new/{}", word(number)), 0, 500);
        }
        check(&journal);
        assert_eq!(of(&journal, "/rare"), [2, 1, 0]);
        assert!(of(&journal, "/busy").len() > 100);
    }

    #[test]
    fn a_class_that_was_met_again_survives_new_ones_while_it_has_its_place() {
        let journal = Journal::with_bounds(1_000, PLENTY);
        for number in 0..180 {
            keep(&journal, &format!("/known/{}", word(number)), 0, 0);
            keep(&journal, &format!("/known/{}", word(number)), 1, 0);
        }
        for number in 0..10_000 {
            keep(&journal, &format!("/new/{}", word(number)), 0, 0);
        }
        let known = all(&journal).iter().filter(|(class, _)| class.starts_with("/known")).count();
        assert_eq!(known, 2 * 180);
        // A new class that is met again stays too.
        keep(&journal, "/route", 0, 0);
        keep(&journal, "/route", 1, 0);
        for number in 0..10_000 {
            keep(&journal, &format!("/newer/{}", word(number)), 0, 0);
        }
        assert_eq!(of(&journal, "/route"), [1, 0]);
        check(&journal);
    }

    #[test]
    fn the_class_with_the_most_bytes_gives_way_beyond_the_bytes() {
        let journal = Journal::with_bounds(PLENTY, 1 << 20);
        for version in 0..1_000 {
            keep(&journal, "/small", version, 10);
        }
        for version in 0..100 {
            keep(&journal, "/large", version, 60_000);
        }
        check(&journal);
        assert_eq!(of(&journal, "/small").len(), 1_000);
        let large = of(&journal, "/large");
        assert!(large.len() > 5 && large.first() == Some(&99), "{large:?}");
    }

    #[test]
    fn all_begins_with_the_newest_of_each_class() {
        let journal = Journal::with_bounds(1_000, PLENTY);
        for (version, target) in ["/a", "/b", "/a", "/a", "/c", "/b"].into_iter().enumerate() {
            keep(&journal, target, version as u64, 0);
        }
        let expected = [("/b", 5), ("/c", 4), ("/a", 3), ("/a", 2), ("/b", 1), ("/a", 0)];
        assert!(all(&journal).iter().map(|(class, version)| (class.as_str(), *version)).eq(expected));
    }

    #[test]
    fn the_summary_counts_each_class() {
        let journal = Journal::with_bounds(8, PLENTY);
        for version in 0..10 {
            keep(&journal, "/b/7?x=1", version, 0);
        }
        keep(&journal, "/a", 0, 0);
        let summary = journal.summary();
        assert_eq!((summary.requests, summary.requests_max, summary.added), (8, 8, 11));
        let classes = summary.classes.iter().map(|class| (class.class.as_str(), class.requests, class.added));
        assert_eq!(classes.collect::<Vec<_>>(), [("GET /a 200", 1, 1), ("GET /b/*?x= 200", 7, 10)]);
    }

    #[test]
    fn smaller_bounds_drop_the_largest_shares() {
        let journal = Journal::with_bounds(1_000, PLENTY);
        for version in 0..100 {
            keep(&journal, "/busy", version, 1_000);
        }
        keep(&journal, "/rare", 0, 0);
        journal.set_bounds(10, PLENTY);
        assert_eq!((of(&journal, "/busy").len(), of(&journal, "/rare").len()), (9, 1));
        journal.set_bounds(10, 5_000);
        check(&journal);
        assert_eq!(of(&journal, "/rare").len(), 1);
        for (requests, bytes) in [(0, PLENTY), (10, 0)] {
            journal.set_bounds(10, PLENTY);
            keep(&journal, "/", 0, 0);
            assert!(journal.is_on());
            journal.set_bounds(requests, bytes);
            assert!(!journal.is_on());
            keep(&journal, "/", 0, 0);
            let summary = journal.summary();
            assert_eq!((summary.requests, summary.bytes, summary.skipped_large), (0, 0, 0));
        }
    }

    #[test]
    fn a_large_request_is_skipped() {
        let journal = Journal::with_bounds(1_000, LARGEST * 10_000);
        keep(&journal, "/", 0, 10_000);
        assert_eq!((journal.summary().requests, journal.summary().skipped_large), (0, 1));
        keep(&journal, "/", 0, 9_000);
        assert_eq!((journal.summary().requests, journal.summary().skipped_large), (1, 1));
    }
}
