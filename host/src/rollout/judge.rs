//! Judges whether a new version is worse than the old one, from requests that were run again on
//! both.
//!
//! Two versions are equally good for a request if its two calls may be swapped: one is as likely as
//! the other to fail, or to take long. A busy machine makes a call miss its deadline or take a
//! hundred times as long, but it does not choose the version. So if two calls differ, the new
//! version is the worse one with a chance of one half. This holds for any rate of differences, and
//! for bursts. So the judge uses a sequential sign test: each pair of calls that differs is an
//! observation of a [`Martingale`]. The caller must choose the order of the two calls at random,
//! because the first call fills the caches for the second, and must keep both versions warm.
//!
//! If the versions are equal, the chance that the evidence ever reaches a limit is at most 1 in
//! that limit, however often the judge checks it (Ville's inequality). The chance of an error in
//! any of several tests is at most the sum of their chances (Boole's inequality):
//!
//! | Evidence | Limit | Chance of an error |
//! | --- | --- | --- |
//! | failures | 200 | 1 in 200 |
//! | times in one of 256 classes | 51,200 | 1 in 51,200 |
//! | times in all classes | | 1 in 200 |
//! | all | | 1 in 100 |
//!
//! Two further rules are not statistical tests:
//!
//! - The new version also counts as worse if it has failed a large share of the requests that it
//!   served, and at least three of them failed only with the new version when they were run again.
//!   Equal versions reach this only if many requests fail by chance. The table does not include
//!   this chance.
//! - With enough pairs, the evidence of times reaches its limit even if few pairs are slower. So it
//!   decides only if the new version is slower in at least twice as many pairs as it is faster, and
//!   if the difference of these two numbers is more than 1 % of the pairs of a class. Then the 99th
//!   percentile of the ratio of times exceeds the ratio in [`Rules`].
//!
//! Sources: Ville, "Étude critique de la notion de collectif", 1939; Fisher, "The design of
//! experiments", 1935, for chance that comes from a random order; Ramdas, Grünwald, Vovk and
//! Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023.

use std::collections::HashMap;
use std::time::Duration;

use crate::rollout::evidence::{ClassEvidence, Evidence, Reason};
use crate::rollout::martingale::Martingale;

/// Evidence of failures at which the new version counts as worse.
const LIMIT: f64 = 200.0;

/// Maximum number of classes of requests whose times are judged. The last class, [`FURTHER`], has
/// the times of all classes for which there is no room.
const CLASSES_MAX: usize = 256;

/// Evidence of slower times in a class at which the new version may count as worse. The limit is
/// the same for all classes, so that a rare class needs no more pairs than a busy class.
const TIME_LIMIT: f64 = LIMIT * CLASSES_MAX as f64;

/// Probability that the new version is the worse one in a pair that differs, if the versions are
/// equally good.
const CHANCE: f64 = 0.5;

/// Minimum number of served requests before the share of failed requests is judged.
const SERVED_MIN: u64 = 20;

/// Maximum share of requests that may fail only with the new version, as a divisor: 20 means 5 %.
const FAILED_MAX: u64 = 20;

/// Minimum number of requests that fail only with the new version before the share of failed
/// requests decides.
const WORSE_MIN: u64 = 3;

/// Maximum number of times that a failed request is run again if the same client sends it
/// repeatedly.
const AGAIN_MAX: u8 = 3;

/// Maximum share of the pairs of a class in which the new version may be slower, as a divisor: 100
/// means 1 %. Noise makes as many pairs slower as faster, so the number of faster pairs is
/// subtracted.
const SLOWER_MAX: u64 = 100;

/// Minimum number of slower pairs for each faster pair before times may decide.
const CLEAR: u64 = 2;

/// Maximum difference of two times that is ignored as noise of a busy machine.
const SLOWER_MIN: Duration = Duration::from_micros(20);

/// Maximum number of facts (see [`Judge`]) in each of two tables: that of failures, and that of
/// times.
const FACTS_MAX: usize = 10_000;

/// Name of the class with the times of all classes beyond [`CLASSES_MAX`].
const FURTHER: &str = "other classes";

/// Maximum number of bytes of the name of a class. A longer name is cut.
const NAME_MAX: usize = 1_000;

/// Maximum number of classes in [`Evidence`].
const REPORTED_MAX: usize = 10;

/// Maximum evidence that is reported. Larger values would not be more conclusive.
const TOLD_MAX: f64 = 1e9;

/// Rules by which a [`Judge`] compares two versions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rules {
    /// Ratio of the two times of a request above which the slower call is too slow. A ratio below 1
    /// counts as 1. Without a finite ratio, times are not judged.
    pub slower: Option<f64>,
}

/// One of the two versions that a [`Judge`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The new version, which is judged.
    New,
    /// The version that served before the new one.
    Old,
}

/// Collects evidence that a new version is worse than the old one. Needs at most 750 KiB of memory,
/// because the sizes of its tables are bounded.
///
/// A fact is a hash of a request and its client. A client that repeats a request adds no evidence,
/// so only the first request with the same fact counts. The same request of another client is a
/// different fact, because the version fails one more of its users.
#[derive(Debug)]
pub struct Judge {
    /// Ratio of two times above which a call is too slow: at least 1, and finite. Without it, times
    /// are not judged.
    slower: Option<f64>,
    failures: Bets,
    /// For each fact, the number of times that failed requests with this fact were run again.
    facts: HashMap<u64, u8>,
    /// Number of times that failed requests were run again, over all facts.
    tried: u64,
    /// Number of times that failed requests were run again and failed only with the new version.
    worse_tried: u64,
    /// Number of failed requests that failed only with the old version when they were first run
    /// again.
    better_tried: u64,
    /// Pairs of times by class, in the order in which the classes appeared.
    times: Vec<Times>,
    timed: HashMap<u64, ()>,
    /// First reason that was found why the new version is worse. Later observations do not change
    /// it.
    found: Option<Reason>,
}

/// Pairs of times of the requests in one class. A pair has the times of one request with both
/// versions.
#[derive(Debug)]
struct Times {
    class: String,
    pairs: u64,
    bets: Bets,
}

/// Numbers of pairs in which one version was worse, and the evidence from them.
#[derive(Debug, Default)]
struct Bets {
    worse: u64,
    better: u64,
    martingale: Martingale,
}

impl Judge {
    /// Creates a judge without observations.
    pub fn new(rules: Rules) -> Judge {
        Judge {
            slower: rules.slower.filter(|ratio| ratio.is_finite()).map(|ratio| ratio.max(1.0)),
            failures: Bets::default(),
            facts: HashMap::new(),
            tried: 0,
            worse_tried: 0,
            better_tried: 0,
            times: Vec::new(),
            timed: HashMap::new(),
            found: None,
        }
    }

    /// Returns whether a failed request with this fact should be run again. Requests with the same
    /// fact are run again at most three times.
    pub fn wants(&self, fact: u64) -> bool {
        self.facts.get(&fact).is_none_or(|times| *times < AGAIN_MAX)
    }

    /// Adds a request that the new version has failed in service, and that was then run again on
    /// both versions. `alone` is the version that failed in the second run, if only one failed.
    pub fn failure(&mut self, fact: u64, alone: Option<Side>) {
        let (is_new, times) = known(&mut self.facts, fact);
        if *times >= AGAIN_MAX {
            return;
        }
        *times += 1;
        self.tried += 1;
        match alone {
            Some(Side::New) => self.worse_tried += 1,
            Some(Side::Old) if *times == 1 => self.better_tried += 1,
            _ => {}
        }
        if let Some(alone) = alone.filter(|_| is_new) {
            self.bet(alone);
        }
    }

    /// Adds a sampled request that was run again on both versions. `alone` is the version that
    /// failed, if only one failed. Sampled requests do not count for the share of failed requests.
    pub fn sample(&mut self, fact: u64, alone: Option<Side>) {
        // Facts without a difference would soon fill the memory.
        if let Some(alone) = alone.filter(|_| known(&mut self.facts, fact).0) {
            self.bet(alone);
        }
    }

    fn bet(&mut self, alone: Side) {
        let evidence = self.failures.add(alone);
        if evidence >= LIMIT {
            let Bets { worse, better, .. } = self.failures;
            let evidence = evidence.min(TOLD_MAX).round();
            self.found.get_or_insert(Reason::Failures { worse, better, evidence, limit: LIMIT });
        }
    }

    /// Adds the times of a sampled request that both versions answered when it was run again.
    /// Failed requests outside of the sample must not be added, because many of them are slow.
    pub fn time(&mut self, fact: u64, class: &str, old: Duration, new: Duration) {
        let Some(ratio) = self.slower else {
            return;
        };
        if !known(&mut self.timed, fact).0 {
            return;
        }
        let worse = if is_slower(new, old, ratio) {
            Some(Side::New)
        } else {
            is_slower(old, new, ratio).then_some(Side::Old)
        };
        let Some(Times { class, pairs, bets }) = Times::of(&mut self.times, class, worse.is_some()) else {
            return;
        };
        *pairs += 1;
        let Some(worse) = worse else { return };
        let (evidence, limit) = (bets.add(worse), TIME_LIMIT);
        let more = bets.worse.saturating_sub(bets.better);
        // A small bias of the machine is no reason, however sure it is.
        let is_clear = bets.worse >= bets.better.saturating_mul(CLEAR);
        if evidence >= limit && is_clear && more.saturating_mul(SLOWER_MAX) > *pairs {
            let (class, pairs, slower, faster) = (class.clone(), *pairs, bets.worse, bets.better);
            let evidence = evidence.min(TOLD_MAX).round();
            self.found.get_or_insert(Reason::Times { class, ratio, pairs, slower, faster, evidence, limit });
        }
    }

    /// Returns the reason why the new version is worse; [`None`] if none was found. `served` is the
    /// number of requests that the new version has served, and `failed` the number of those that
    /// failed.
    pub fn worse(&self, served: u64, failed: u64) -> Option<Reason> {
        self.found.clone().or_else(|| self.share(served, failed))
    }

    /// Returns a reason if the new version fails too large a share of its requests that the old
    /// version does not fail. This share is estimated, because not all failed requests were run
    /// again. Returns [`None`] if any of them failed only with the old version.
    fn share(&self, served: u64, failed: u64) -> Option<Reason> {
        let (tried, worse) = (self.tried, self.worse_tried);
        let part = failed.saturating_mul(worse) / tried.max(1);
        let is_large = served >= SERVED_MIN && part.saturating_mul(FAILED_MAX) > served;
        let reason = Reason::Share { served, failed, tried, worse };
        (self.better_tried == 0 && worse >= WORSE_MIN && is_large).then_some(reason)
    }

    /// Returns the evidence so far, for reports.
    pub fn evidence(&self) -> Evidence {
        let differs = |times: &&Times| times.bets.worse + times.bets.better > 0;
        let mut times: Vec<ClassEvidence> = self.times.iter().filter(differs).map(Times::report).collect();
        times.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
        times.truncate(REPORTED_MAX);
        let Bets { worse, better, .. } = self.failures;
        Evidence { worse, better, evidence: self.failures.told(), limit: LIMIT, times }
    }
}

impl Times {
    /// Returns the times of a class, and adds the class if it is new. When the table is full, a new
    /// class shares the times of [`FURTHER`]. But if the new class has a pair that differs, it
    /// replaces a class without such a pair, because a client can invent many classes.
    fn of<'a>(all: &'a mut Vec<Times>, class: &str, differs: bool) -> Option<&'a mut Times> {
        let class = class.get(..class.floor_char_boundary(NAME_MAX)).unwrap_or_default();
        let mut known = all.iter().position(|times| times.class == class);
        if known.is_none() && differs && all.len() >= CLASSES_MAX {
            let is_idle = |times: &Times| times.bets.worse + times.bets.better == 0 && times.class != FURTHER;
            known = all.iter().position(is_idle);
            if let Some(times) = known.and_then(|index| all.get_mut(index)) {
                *times = Times { class: class.into(), pairs: 0, bets: Bets::default() };
            }
        }
        let index = known.unwrap_or(all.len().min(CLASSES_MAX - 1));
        if index == all.len() {
            let class = if index == CLASSES_MAX - 1 { FURTHER } else { class };
            all.push(Times { class: class.into(), pairs: 0, bets: Bets::default() });
        }
        all.get_mut(index)
    }

    fn report(&self) -> ClassEvidence {
        let (class, pairs, evidence) = (self.class.clone(), self.pairs, self.bets.told());
        let Bets { worse: slower, better: faster, .. } = self.bets;
        ClassEvidence { class, pairs, slower, faster, evidence, limit: TIME_LIMIT }
    }
}

impl Bets {
    /// Adds a pair in which the version `worse` was worse, and returns the evidence that the new
    /// version is worse.
    fn add(&mut self, worse: Side) -> f64 {
        let is_new = worse == Side::New;
        let count = if is_new { &mut self.worse } else { &mut self.better };
        *count += 1;
        self.martingale.observe(is_new, CHANCE);
        self.martingale.evidence()
    }

    /// Returns the evidence for a report: at most [`TOLD_MAX`], rounded to a thousandth.
    fn told(&self) -> f64 {
        (self.martingale.evidence().min(TOLD_MAX) * 1_000.0).round() / 1_000.0
    }
}

/// Looks up a fact, and adds it if it is new. Returns whether it is new, and the value that is
/// stored for it. When there are [`FACTS_MAX`] facts, a new one clears the table: it is better to
/// count a fact twice than to ignore all new facts.
fn known<T: Default>(facts: &mut HashMap<u64, T>, fact: u64) -> (bool, &mut T) {
    let is_new = !facts.contains_key(&fact);
    if is_new && facts.len() >= FACTS_MAX {
        facts.clear();
    }
    (is_new, facts.entry(fact).or_default())
}

/// Returns whether `call` took more than `ratio` times as long as `other`, and more than
/// [`SLOWER_MIN`] longer.
fn is_slower(call: Duration, other: Duration, ratio: f64) -> bool {
    call.as_nanos() as f64 > other.as_nanos() as f64 * ratio && call.saturating_sub(other) > SLOWER_MIN
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::{
        AGAIN_MAX, CHANCE, ClassEvidence, Evidence, FACTS_MAX, FAILED_MAX, FURTHER, Judge, LIMIT, NAME_MAX,
        Reason, Rules, SERVED_MIN, Side, TIME_LIMIT, TOLD_MAX, WORSE_MIN, is_slower,
    };
    use crate::rollout::martingale::Martingale;
    use crate::rollout::xorshift::Xorshift;

    const NEW: Option<Side> = Some(Side::New);
    const OLD: Option<Side> = Some(Side::Old);
    const SIDES: [Option<Side>; 3] = [None, NEW, OLD];

    /// Time of a fast call. [`SLOW`] is three times as long.
    const FAST: Duration = Duration::from_micros(100);
    const SLOW: Duration = Duration::from_micros(300);

    fn judge() -> Judge {
        Judge::new(Rules { slower: Some(1.5) })
    }

    /// Returns the reason that a judge has found, without judging the share of failed requests.
    fn reason(judge: &Judge) -> Option<Reason> {
        judge.worse(0, 0)
    }

    /// Returns the number of observations after which a judge has found a reason; [`None`] if it
    /// finds none in 200,000.
    fn until_worse(judge: &mut Judge, mut observe: impl FnMut(&mut Judge, u64)) -> Option<u64> {
        (1..=200_000).find(|number| {
            observe(judge, *number);
            reason(judge).is_some()
        })
    }

    #[test]
    fn failures_only_with_the_new_version_decide() {
        // The same numbers as of a martingale with this limit.
        for (only_old, expected) in [(0, 9), (1, 15), (2, 18), (10, 36), (100, 165)] {
            for is_sample in [false, true] {
                let mut judge = judge();
                let add = |judge: &mut Judge, fact, alone| {
                    if is_sample { judge.sample(fact, alone) } else { judge.failure(fact, alone) }
                };
                (0..only_old).for_each(|fact| add(&mut judge, fact << 32, OLD));
                let found = until_worse(&mut judge, |judge, fact| add(judge, fact, NEW));
                assert_eq!(found, Some(expected), "{only_old} {is_sample}");
            }
        }
        let mut judge = judge();
        for fact in 0..1_000 {
            judge.failure(fact, None);
            judge.sample(fact, None);
            judge.failure(fact << 32, OLD);
        }
        assert_eq!(judge.worse(1_000, 1_000), None, "both fail, or only the old version does");
        let Evidence { worse: 0, better: 999, evidence, limit: LIMIT, .. } = judge.evidence() else {
            panic!("{:?}", judge.evidence());
        };
        assert!((0.0..0.01).contains(&evidence), "{evidence}");
    }

    #[test]
    fn reasons_are_told_with_the_numbers_of_versions_or_without() {
        let mut judge = judge();
        (0..9).for_each(|fact| judge.failure(fact, NEW));
        let failures = reason(&judge).unwrap();
        // The text that `docs/rollouts.md` has.
        assert_eq!(
            failures.text(1, 2),
            "9 requests fail that version 1 answers, and 0 the other way round (evidence 333, limit 200)"
        );
        assert_eq!(
            failures.to_string(),
            "9 requests fail that the old version answers, and 0 the other way round (evidence 333, limit 200)"
        );
        let mut judge = super::tests::judge();
        (0..3).for_each(|fact| judge.failure(fact, NEW));
        let share = judge.worse(20, 3).unwrap();
        assert_eq!(
            share.text(1, 2),
            "3 of 20 requests failed, and 3 of 3 that were run again do so only since version 2"
        );
        assert_eq!(
            share.to_string(),
            "3 of 20 requests failed, and 3 of 3 that were run again do so only since the new version"
        );
        let mut judge = super::tests::judge();
        (0..500).for_each(|fact| judge.time(fact, "GET /a 200", FAST, FAST));
        (500..517).for_each(|fact| judge.time(fact, "GET /a 200", FAST, SLOW));
        assert_eq!(
            reason(&judge).unwrap().text(1, 2),
            "17 of 517 requests in GET /a 200 take more than 1.5 times as long as with version 1, and 0 the \
             other way round (evidence 79205, limit 51200)"
        );
    }

    #[test]
    fn a_large_share_needs_few_requests() {
        for (served, failed, tried, expected) in [
            (19, 19, [3, 0, 0], false),
            (20, 2, [3, 0, 0], true),
            (20, 1, [3, 0, 0], false),
            (20, 2, [2, 0, 0], false),
            (20, 2, [3, 0, 1], false),
            (1_000, 50, [3, 0, 0], false),
            (1_000, 51, [3, 0, 0], true),
            // A third of the failed ones.
            (1_000, 153, [3, 6, 0], true),
            (1_000, 152, [3, 6, 0], false),
            (1 << 60, u64::MAX, [3, 0, 0], true),
            (u64::MAX, 0, [3, 0, 0], false),
            (0, u64::MAX, [3, 0, 0], false),
        ] {
            let mut judge = judge();
            let sides = [NEW, None, OLD].into_iter().zip(tried);
            let sides = sides.flat_map(|(alone, number)| (0..number).map(move |_| alone));
            (0..).zip(sides).for_each(|(fact, alone)| judge.failure(fact, alone));
            assert_eq!(judge.worse(served, failed).is_some(), expected, "{failed} of {served}, {tried:?}");
        }
    }

    #[test]
    fn requests_that_were_chosen_at_random_are_no_part_of_the_share() {
        let mut judge = judge();
        (0..8).for_each(|fact| judge.sample(fact, NEW));
        assert_eq!(judge.worse(100, 100), None);
        // Nor do they speak against it: the new version mends some requests, and breaks others.
        (100..110).for_each(|fact| judge.sample(fact, OLD));
        (200..203).for_each(|fact| judge.failure(fact, NEW));
        assert!(matches!(judge.worse(100, 100), Some(Reason::Share { tried: 3, worse: 3, .. })));
        assert!(judge.evidence().evidence < LIMIT);
    }

    #[test]
    fn a_repeated_request_is_one_bet_and_three_tries() {
        let mut judge = judge();
        for number in 0..1_000 {
            assert_eq!(judge.wants(1), number < u64::from(AGAIN_MAX));
            judge.failure(1, NEW);
            judge.sample(1, NEW);
            judge.sample(2, NEW);
            judge.time(3, "GET / 200", FAST, SLOW);
        }
        let Evidence { worse: 2, better: 0, times, .. } = judge.evidence() else {
            panic!("{judge:?}");
        };
        assert!(matches!(times.as_slice(), [ClassEvidence { pairs: 1, slower: 1, faster: 0, .. }]));
        assert_eq!(reason(&judge), None);
        assert!(matches!(judge.worse(100, 100), Some(Reason::Share { tried: 3, worse: 3, .. })));
        // One that was chosen at random is no bet later, but still part of the share.
        assert!(judge.wants(2));
        judge.failure(2, NEW);
        assert_eq!((judge.evidence().worse, judge.tried), (2, 4));
        // Only the first run of a failed request is a bet, as it is the one without a choice.
        (0..2).for_each(|_| judge.failure(4, None));
        judge.failure(4, OLD);
        assert_eq!((judge.evidence().better, judge.better_tried), (0, 0));
    }

    /// Earlier implementation of the judge, with which a test compares the current one. Does not
    /// contain the part that calls versions.
    struct Before {
        evidence: Martingale,
        facts: HashMap<u64, u8>,
        tried: u64,
        worse_tried: u64,
        worse: u64,
        better: u64,
    }

    impl Before {
        fn judge(&mut self, fact: u64, alone: Option<Side>, served: u64, failed: u64) -> Option<String> {
            let times = self.facts.entry(fact).or_default();
            if *times >= AGAIN_MAX {
                return self.share(served, failed);
            }
            *times += 1;
            let is_new = *times == 1;
            self.tried += 1;
            self.worse_tried += u64::from(alone == NEW);
            let new_fails = alone? == Side::New;
            if is_new {
                self.evidence.observe(new_fails, CHANCE);
                *(if new_fails { &mut self.worse } else { &mut self.better }) += 1;
            }
            let (worse, better, evidence) = (self.worse, self.better, self.evidence.evidence());
            if evidence >= LIMIT {
                return Some(format!(
                    "{worse} requests fail that version {} answers, and {better} the other way round \
                     (evidence {evidence:.0}, limit {LIMIT:.0})",
                    7
                ));
            }
            self.share(served, failed)
        }

        fn share(&self, served: u64, failed: u64) -> Option<String> {
            let worse = failed.saturating_mul(self.worse_tried) / self.tried.max(1);
            let is_large = served >= SERVED_MIN && worse.saturating_mul(FAILED_MAX) > served;
            (self.better == 0 && self.worse_tried >= WORSE_MIN && is_large).then(|| {
                format!(
                    "{failed} of {served} requests failed, and {} of {} that were run again do so only since version {}",
                    self.worse_tried, self.tried, 8
                )
            })
        }
    }

    #[test]
    fn the_rules_and_texts_are_those_of_the_judge_before() {
        let mut random = Xorshift::new(5);
        let mut texts = [0, 0];
        for _ in 0..2_000 {
            let mut before = Before {
                evidence: Martingale::new(),
                facts: HashMap::new(),
                tried: 0,
                worse_tried: 0,
                worse: 0,
                better: 0,
            };
            let mut judge = judge();
            let (mut served, mut failed) = (0, 0);
            let (facts, good) = (1 + random.below(100), random.below(60));
            let of_new = 2 + random.below(20);
            for _ in 0..200 {
                served += 1 + random.below(good + 1) as u64;
                failed += 1;
                let alone = SIDES[if random.below(of_new) == 0 { random.below(3) } else { random.below(2) }];
                let fact = random.below(facts) as u64;
                let expected = before.judge(fact, alone, served, failed);
                // The judge before did not look at the share if neither failed alone.
                let did_look = alone.is_some() || !judge.wants(fact);
                judge.failure(fact, alone);
                let found = judge.worse(served, failed).map(|reason| reason.text(7, 8));
                if did_look || expected.is_some() {
                    assert_eq!(found, expected);
                }
                if let Some(text) = found {
                    texts[usize::from(text.contains("run again"))] += 1;
                    break;
                }
            }
        }
        assert!(texts.iter().all(|number| *number > 200), "{texts:?}");
    }

    #[test]
    fn a_call_is_slower_past_a_ratio_and_a_distance() {
        let far = Duration::MAX;
        let micros = Duration::from_micros;
        for (ratio, old, new, expected) in [
            (1.5, micros(100), micros(151), true),
            (1.5, micros(100), micros(150), false),
            (1.5, micros(10), micros(30), false),
            (1.5, micros(10), micros(31), true),
            (1.5, micros(0), micros(20), false),
            (1.5, micros(0), micros(21), true),
            (1.5, micros(200), micros(100), false),
            (1.0, micros(1_000), micros(1_021), true),
            (f64::MAX, micros(0), far, true),
            (f64::MAX, far, far, false),
            (1.5, far, far, false),
            (1.5, micros(1), far, true),
        ] {
            assert_eq!(is_slower(new, old, ratio), expected, "{ratio} {old:?} {new:?}");
        }
        for (slower, expected) in [
            (None, None),
            (Some(f64::NAN), None),
            (Some(f64::INFINITY), None),
            (Some(f64::NEG_INFINITY), None),
            (Some(0.0), Some(1.0)),
            (Some(-2.0), Some(1.0)),
            (Some(3.0), Some(3.0)),
        ] {
            assert_eq!(Judge::new(Rules { slower }).slower, expected, "{slower:?}");
        }
    }

    #[test]
    fn times_decide_after_so_many_pairs() {
        for (faster, expected) in [(0, 17), (1, 24), (2, 28), (5, 36), (10, 48), (100, 200)] {
            let mut judge = judge();
            (0..faster).for_each(|fact| judge.time(fact << 32, "GET / 200", SLOW, FAST));
            let found = until_worse(&mut judge, |judge, fact| judge.time(fact, "GET / 200", FAST, SLOW));
            assert_eq!(found, Some(expected), "{faster}");
        }
        // Slower pairs that are at most 1 % of all do not decide, even with much evidence.
        let one_in = |part: u64| {
            let mut judge = judge();
            until_worse(&mut judge, |judge, fact| {
                let new = if fact.is_multiple_of(part) { SLOW } else { FAST };
                judge.time(fact, "GET / 200", FAST, new);
            })
        };
        assert_eq!((one_in(99), one_in(100)), (Some(17 * 99), None));
        let mut judge = Judge::new(Rules::default());
        (0..1_000).for_each(|fact| judge.time(fact, "GET / 200", FAST, SLOW));
        assert_eq!((reason(&judge), judge.evidence().times), (None, vec![]));
    }

    #[test]
    fn a_rare_class_is_judged_by_its_own_pairs() {
        let mut judge = judge();
        // Of a hundred requests, one is of the rare class; the others are slow by accident.
        let found = until_worse(&mut judge, |judge, fact| match fact % 100 {
            0 => judge.time(fact, "GET /rare 200", FAST, SLOW),
            1..10 => judge.time(fact, "GET / 200", FAST, SLOW),
            10..20 => judge.time(fact, "GET / 200", SLOW, FAST),
            _ => judge.time(fact, "GET / 200", FAST, FAST),
        });
        assert_eq!(found, Some(1_700));
        let Some(Reason::Times { class, pairs: 17, slower: 17, faster: 0, limit: TIME_LIMIT, .. }) =
            reason(&judge)
        else {
            panic!("{judge:?}");
        };
        assert_eq!(class, "GET /rare 200");
        let classes: Vec<String> = judge.evidence().times.into_iter().map(|times| times.class).collect();
        assert_eq!(classes, ["GET /rare 200", "GET / 200"]);
    }

    #[test]
    fn classes_past_the_most_are_judged_together() {
        let mut judge = judge();
        for number in 0..1_000 {
            judge.time(number, &format!("GET /{number} 200"), FAST, SLOW);
        }
        assert_eq!(judge.times.len(), 256);
        assert!(matches!(reason(&judge), Some(Reason::Times { class, slower: 17, .. }) if class == FURTHER));
        let times = judge.evidence().times;
        assert_eq!(times.len(), 10);
        assert!(times[0].class == FURTHER && times[0].evidence <= TOLD_MAX);
        assert!(times[1..].iter().all(|times| times.slower == 1 && times.limit == TIME_LIMIT));
    }

    #[test]
    fn memory_is_bounded() {
        let mut judge = judge();
        for fact in 0..30_000_u64 {
            judge.failure(fact, OLD);
            judge.sample(fact << 32, OLD);
            judge.time(fact, &"é".repeat(fact as usize % 3_000), FAST, FAST);
        }
        assert!(judge.facts.len() <= FACTS_MAX && judge.facts.capacity() < 20_000);
        assert!(judge.timed.len() <= FACTS_MAX && judge.timed.capacity() < 20_000);
        assert!(judge.times.len() <= 256);
        assert!(judge.times.iter().all(|times| times.class.capacity() <= NAME_MAX));
        // A new fact makes room; one that is known does not.
        let mut judge = super::tests::judge();
        (0..FACTS_MAX as u64).for_each(|fact| judge.failure(fact, None));
        (0..10).for_each(|_| judge.failure(0, NEW));
        assert!(!judge.wants(0) && judge.facts.len() == FACTS_MAX);
        judge.failure(u64::MAX, NEW);
        assert!(judge.wants(0) && judge.facts.len() == 1);
    }

    #[test]
    fn evidence_is_finite_whatever_comes() {
        let mut random = Xorshift::new(3);
        let times = [Duration::ZERO, Duration::MAX, Duration::from_nanos(1), FAST, SLOW];
        let ratios =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.5, f64::MIN_POSITIVE, f64::MAX];
        for slower in ratios.map(Some).into_iter().chain([None]) {
            let mut judge = Judge::new(Rules { slower });
            for fact in 0..3_000 {
                judge.failure(fact, random.pick(&SIDES));
                judge.sample(fact << 32, random.pick(&SIDES));
                let class = ["", "*", FURTHER, "GET / 200"][random.below(4)];
                judge.time(fact, class, random.pick(&times), random.pick(&times));
                // Certainty does not overflow.
                judge.time(fact << 32, "all", Duration::ZERO, Duration::MAX);
                let served = random.pick(&[0, 1, 20, u64::MAX]);
                let Evidence { evidence, times, .. } = judge.evidence();
                let mut all: Vec<f64> = times.iter().map(|times| times.evidence).collect();
                all.push(evidence);
                match judge.worse(served, random.pick(&[0, 1, u64::MAX])) {
                    Some(Reason::Failures { evidence, .. }) => all.push(evidence),
                    Some(Reason::Times { evidence, ratio, .. }) => all.extend([evidence, ratio]),
                    _ => {}
                }
                assert!(all.iter().all(|number| number.is_finite() && *number >= 0.0), "{all:?}");
            }
            assert!(reason(&judge).is_none_or(|reason| reason.text(0, u64::MAX).len() < 700));
            assert_json(&judge);
        }
        let mut judge = judge();
        (0..3_000).for_each(|fact| judge.sample(fact, NEW));
        assert_eq!(judge.evidence().evidence, TOLD_MAX);
    }

    fn assert_json(judge: &Judge) {
        let json = serde_json::to_string(&judge.evidence()).unwrap();
        assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), judge.evidence(), "{json}");
        for found in [reason(judge), judge.worse(20, 20)].into_iter().flatten() {
            let json = serde_json::to_string(&found).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), found, "{json}");
        }
    }

    #[test]
    fn json_keeps_reasons_and_evidence() {
        let mut random = Xorshift::new(17);
        for _ in 0..200 {
            let mut judge = judge();
            (0..30).for_each(|fact| judge.failure(fact, random.pick(&SIDES)));
            (0..60).for_each(|fact| judge.time(fact, "a", FAST, random.pick(&[FAST, SLOW])));
            assert_json(&judge);
        }
        let mut judge = judge();
        (0..3).for_each(|fact| judge.failure(fact, NEW));
        judge.time(1, "GET / 200", FAST, SLOW);
        let json = |value: &Evidence| serde_json::to_string(value).unwrap();
        assert_eq!(
            json(&judge.evidence()),
            r#"{"worse":3,"better":0,"evidence":6.152,"limit":200.0,"times":[{"class":"GET / 200","pairs":1,"slower":1,"faster":0,"evidence":1.783,"limit":51200.0}]}"#
        );
        assert_eq!(
            serde_json::to_string(&judge.worse(20, 3).unwrap()).unwrap(),
            r#"{"kind":"share","served":20,"failed":3,"tried":3,"worse":3}"#
        );
    }

    /// Simulation of requests to two versions on a noisy machine.
    struct Traffic {
        random: Xorshift,
        /// Number of calls in 10,000 that fail by chance.
        failing: usize,
        /// Number of calls in 10,000 that take 100 times as long.
        preempted: usize,
        /// Number of requests in 10,000 that take three times as long with the new version.
        slower: usize,
        /// Whether the second of two calls takes a third of the time, because the first one has
        /// filled the caches.
        has_caches: bool,
        served: u64,
        failed: u64,
    }

    impl Traffic {
        fn new(seed: u64) -> Traffic {
            // Seeds in a row would begin alike.
            let random = Xorshift::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            Traffic { random, failing: 0, preempted: 0, slower: 0, has_caches: false, served: 0, failed: 0 }
        }

        fn is(&mut self, of_10_000: usize) -> bool {
            self.random.below(10_000) < of_10_000
        }

        /// Simulates a call, and returns its time; [`None`] if it fails. On a busy machine,
        /// failures and delays are ten times as frequent.
        fn call(&mut self, micros: u64, is_busy: bool) -> Option<Duration> {
            let noise = if is_busy { 10 } else { 1 };
            let factor = if self.is(self.preempted * noise) { 100 } else { 1 };
            let has_failed = self.is(self.failing * noise);
            (!has_failed).then(|| Duration::from_micros(micros * factor))
        }

        /// Runs a request again on both versions, in random order. Returns the times of the new
        /// version and of the old version.
        fn pair(&mut self, is_busy: bool) -> [Option<Duration>; 2] {
            let micros = 100 + self.random.below(50) as u64;
            let of_new = if self.is(self.slower) { 3 } else { 1 };
            let (first, second) = if self.has_caches { (3, 1) } else { (1, 1) };
            if self.random.below(2) == 0 {
                let new = self.call(micros * of_new * first, is_busy);
                [new, self.call(micros * second, is_busy)]
            } else {
                let old = self.call(micros * first, is_busy);
                [self.call(micros * of_new * second, is_busy), old]
            }
        }

        /// Serves a request. If the request fails, or is in the random sample of half of all
        /// requests, runs it again and reports the result to `judge`.
        fn serve(&mut self, judge: &mut Judge, fact: u64) {
            // The machine is busy for a hundred requests of a thousand.
            let is_busy = fact % 1_000 >= 900;
            let class = ["GET / 200", "GET /a 200", "GET /a 200", "POST /b 200"][self.random.below(4)];
            self.served += 1;
            let has_failed = self.call(1, is_busy).is_none();
            self.failed += u64::from(has_failed);
            let is_sample = self.random.below(2) == 0;
            if !is_sample && !has_failed {
                return;
            }
            let pair = self.pair(is_busy);
            let alone = match pair {
                [None, Some(_)] => NEW,
                [Some(_), None] => OLD,
                _ => None,
            };
            if has_failed {
                judge.failure(fact, alone);
            } else {
                judge.sample(fact, alone);
            }
            if let ([Some(new), Some(old)], true) = (pair, is_sample) {
                judge.time(fact, class, old, new);
            }
        }
    }

    #[test]
    fn equal_versions_are_seldom_judged_worse() {
        for (failing, preempted, has_caches) in
            [(0, 100, false), (50, 50, true), (100, 100, false), (200, 200, false), (500, 500, true)]
        {
            let is_judged_worse = |seed: &u64| {
                let mut traffic = Traffic { failing, preempted, has_caches, ..Traffic::new(*seed) };
                let mut judge = judge();
                (0..2_000).any(|fact| {
                    traffic.serve(&mut judge, fact);
                    judge.worse(traffic.served, traffic.failed).is_some()
                })
            };
            let alarms = (1..=1_000).filter(is_judged_worse).count();
            assert!(alarms <= 10, "{failing} {preempted} {has_caches}: {alarms} of 1,000");
        }
    }

    /// Simulates 100 rollouts of at most 10,000 pairs. Returns, for each rollout in which times
    /// decided, the number of pairs until then, in ascending order.
    fn pairs_until_worse(slower: usize, preempted: usize) -> Vec<u64> {
        let pairs = |seed: u64| {
            let mut traffic = Traffic { slower, preempted, ..Traffic::new(seed) };
            let mut judge = judge();
            (1..=10_000).find(|fact| {
                if let [Some(new), Some(old)] = traffic.pair(false) {
                    judge.time(*fact, "GET / 200", old, new);
                }
                reason(&judge).is_some()
            })
        };
        let mut found: Vec<u64> = (1..=100).filter_map(pairs).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_version_that_is_slower_in_more_than_one_percent_of_a_class_is_found() {
        // Accidents make as many pairs slower as faster, and so cost pairs, but do not count.
        for (preempted, median, most) in [(0, 1_200, 3_000), (50, 2_800, 7_000)] {
            let found = pairs_until_worse(150, preempted);
            assert_eq!(found.len(), 100, "slower in 1.5 %");
            assert!(found[50] <= median && found[99] <= most, "{found:?}");
            let found = pairs_until_worse(50, preempted);
            assert!(found.len() <= 5, "slower in 0.5 %: {found:?}");
            assert!(pairs_until_worse(0, preempted).is_empty(), "as fast");
        }
    }
}
