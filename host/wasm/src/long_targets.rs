//! Predicts which requests take long, from earlier requests with the same method and target. Each
//! target counts separately, so that a slow one does not make all calls of its module count as
//! long. The host does not interpret targets: it compares the bytes before the query.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use host_http::message::Message;

/// Number of places, each of which holds the score of one target. The hash of a target selects its
/// place. While another target occupies that place, each long call lowers the score there, until
/// the new target takes over the place.
pub const PLACES: usize = 256;

/// Points that a long call adds to the score of its target. A short call subtracts one point, so a
/// target is expected to take long while more than one in nine of its calls are long.
const LONG: u64 = 8;

/// Lowest score of a target that is expected to take long. One long call is not enough: a thread
/// that is held up by something else makes any call look long.
const EXPECTED: u64 = 2 * LONG;

/// Highest score of a target, so that a target that has become fast is soon forgotten.
const SCORE_MAX: u64 = 8 * LONG;

/// The bits of a place that hold the score. The other bits hold the target's hash.
const SCORE: u64 = 0xff;

/// Scores of targets that took long.
pub(super) struct LongTargets {
    places: Box<[AtomicU64]>,
    /// Number of places that hold a score. While this is 0, only long calls are hashed.
    used: AtomicUsize,
    /// Randomly keyed, so that no client can construct colliding targets.
    hasher: RandomState,
}

impl LongTargets {
    pub(super) fn new() -> LongTargets {
        let places = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        LongTargets { places, used: AtomicUsize::new(0), hasher: RandomState::new() }
    }

    /// Returns whether a request is expected to take long.
    pub(super) fn expects(&self, request: &Message) -> bool {
        if self.used.load(Relaxed) == 0 {
            return false;
        }
        let hash = self.hash(request);
        let found = self.place(hash).map_or(0, |place| place.load(Relaxed));
        found & !SCORE == hash & !SCORE && found & SCORE >= EXPECTED
    }

    /// Updates the score of a request's target after a call.
    pub(super) fn note(&self, request: &Message, was_long: bool) {
        if !was_long && self.used.load(Relaxed) == 0 {
            return;
        }
        let hash = self.hash(request);
        let Some(place) = self.place(hash) else {
            return;
        };
        let before = place.load(Relaxed);
        let (tag, score) = (before & !SCORE, before & SCORE);
        let after = match (tag == hash & !SCORE, was_long) {
            (true, true) => tag | (score + LONG).min(SCORE_MAX),
            (true, false) if score > 1 => tag | (score - 1),
            (true, false) => 0,
            (false, true) if score <= LONG => hash & !SCORE | LONG,
            (false, true) => tag | (score - LONG),
            (false, false) => before,
        };
        // If another thread changed the place meanwhile, this update is dropped: a score
        // need not be exact.
        if after != before && place.compare_exchange(before, after, Relaxed, Relaxed).is_ok() {
            match (before, after) {
                (0, _) => _ = self.used.fetch_add(1, Relaxed),
                (_, 0) => _ = self.used.fetch_sub(1, Relaxed),
                _ => {}
            }
        }
    }

    fn hash(&self, request: &Message) -> u64 {
        let head = &*request.head;
        let after_method = head.iter().position(|&byte| byte == b' ').map_or(head.len(), |at| at + 1);
        let target = head.iter().skip(after_method).position(|&byte| matches!(byte, b' ' | b'?'));
        let end = target.map_or(head.len(), |length| after_method + length);
        let hash = self.hasher.hash_one(head.get(..end));
        // An empty place lacks this bit, so no target matches it.
        hash | 1 << 63
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.places.get((hash & SCORE) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{EXPECTED, LONG, LongTargets, PLACES, SCORE, SCORE_MAX};
    use host_http::message::Message;
    use std::sync::atomic::Ordering::Relaxed;

    fn request(line: &str) -> Message {
        format!("{line} HTTP/1.1\r\n\r\n").into_bytes().into()
    }

    #[test]
    fn a_place_holds_every_score_and_every_place_is_used() {
        assert!(SCORE_MAX <= SCORE && EXPECTED <= SCORE_MAX && PLACES as u64 == SCORE + 1);
    }

    #[test]
    fn a_target_is_expected_to_take_long_after_two_long_calls_and_no_other_is() {
        let targets = LongTargets::new();
        targets.note(&request("GET /slow?a"), true);
        assert!(!targets.expects(&request("GET /slow")));
        targets.note(&request("GET /slow?b"), true);
        assert!(targets.expects(&request("GET /slow?c")));
        for other in ["GET /", "GET /slow/", "HEAD /slow", "GET /slo"] {
            assert!(!targets.expects(&request(other)), "{other}");
        }
    }

    #[test]
    fn a_target_that_is_short_again_is_forgotten() {
        let (targets, slow) = (LongTargets::new(), request("GET /slow"));
        (0..100).for_each(|_| targets.note(&slow, true));
        for _ in 0..SCORE_MAX {
            targets.note(&slow, false);
        }
        assert!(!targets.expects(&slow));
        assert_eq!(targets.used.load(Relaxed), 0);
        // One long call in a hundred makes no long target.
        for _ in 0..1000 {
            targets.note(&slow, true);
            (0..99).for_each(|_| targets.note(&slow, false));
            assert!(!targets.expects(&slow));
        }
    }

    #[test]
    fn the_number_of_places_is_bounded() {
        let targets = LongTargets::new();
        for index in 0..10 * PLACES {
            targets.note(&request(&format!("GET /{index}")), true);
        }
        assert!(targets.used.load(Relaxed) <= PLACES);
        assert_eq!(LONG * 2, EXPECTED);
        // A target that keeps taking long gets its place.
        (0..20).for_each(|_| targets.note(&request("GET /slow"), true));
        assert!(targets.expects(&request("GET /slow")));
    }
}
