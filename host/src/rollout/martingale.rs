//! Sequential statistical test: collects evidence that an event is more probable than stated. The
//! evidence may be checked after each observation.

/// Alternative hypotheses: the true odds of the event are the stated odds times one of these
/// factors. The last factor stands for an event that happens with only one of two versions.
const ODDS: [f64; 9] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1_048_576.0];

/// Weights of the alternatives in [`ODDS`]. The last alternative has one half, because most
/// regressions are deterministic. The others share the other half.
const WEIGHTS: [f64; 9] = [0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.5];

/// Minimum of the stated probability of an event. With a smaller one, a single event could decide
/// the test.
const PROBABILITY_MIN: f64 = 0.01;

/// Maximum logarithm of the returned evidence. It keeps the evidence finite: e^700 fits in an
/// [`f64`].
const LOG_MAX: f64 = 700.0;

/// Evidence that an event is more probable than stated.
///
/// This is a test martingale. A bettor starts with 1 and bets on each event, at odds that are fair
/// if the event has the stated probability. Then the money of the bettor is not expected to grow,
/// and the chance that it ever reaches a limit is at most 1 / limit (Ville 1939). So the evidence
/// may be checked after each observation. A test of fixed size, in contrast, keeps its error rate
/// only if its result is checked once.
///
/// The bets are a mixture of the likelihood ratios of several alternative probabilities. A mixture
/// of martingales is a martingale too, so the error rate holds even if no alternative is the true
/// probability. If the event is less probable than stated, the money is expected to shrink.
///
/// Sources: Ville, "Étude critique de la notion de collectif", 1939; Shafer, "Testing by betting: a
/// strategy for statistical and scientific communication", 2021; Ramdas, Grünwald, Vovk and Shafer,
/// "Game-theoretic statistics and safe anytime-valid inference", 2023.
#[derive(Clone, Copy, Debug)]
pub struct Martingale {
    /// Logarithm of the money of the bettor, for each alternative in [`ODDS`].
    logs: [f64; ODDS.len()],
}

impl Martingale {
    /// Creates a martingale without observations; its evidence is 1.
    pub fn new() -> Martingale {
        Martingale { logs: WEIGHTS.map(f64::ln) }
    }

    /// Adds an observation. `probability` is the stated probability of the event, or the largest
    /// one that it may have had, given all earlier observations.
    ///
    /// A probability below 0.01 counts as 0.01. A probability of 1 or more, or NaN, counts as 1:
    /// then an event that took place adds no evidence.
    pub fn observe(&mut self, took_place: bool, probability: f64) {
        let p = if probability.is_nan() { 1.0 } else { probability.clamp(PROBABILITY_MIN, 1.0) };
        for (log, odds) in self.logs.iter_mut().zip(ODDS) {
            // Both are finite and at least 1.
            let (numerator, denominator) = (if took_place { odds } else { 1.0 }, 1.0 + p * (odds - 1.0));
            *log += (numerator / denominator).ln();
        }
    }

    /// Returns the evidence, which is finite and never negative. A value above 1 supports that the
    /// event is more probable than stated.
    pub fn evidence(&self) -> f64 {
        let most = self.logs.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - most).exp()).sum();
        (most + sum.ln()).min(LOG_MAX).exp()
    }
}

impl Default for Martingale {
    fn default() -> Martingale {
        Martingale::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Martingale;
    use crate::rollout::xorshift::Xorshift;

    fn after(events: u64, others: u64, probability: f64) -> f64 {
        let mut martingale = Martingale::new();
        (0..events).for_each(|_| martingale.observe(true, probability));
        (0..others).for_each(|_| martingale.observe(false, probability));
        martingale.evidence()
    }

    /// Returns whether `found` differs from `expected` by less than 0.1 %.
    fn is_near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 1e-3
    }

    #[test]
    fn evidence_is_a_mixture_of_likelihood_ratios() {
        for (events, others, probability, expected) in [
            (0, 0, 0.5, 1.0),
            (1, 0, 0.5, 1.7828),
            (2, 0, 0.5, 3.2755),
            (4, 0, 0.5, 11.735),
            (8, 0, 0.5, 168.89),
            (9, 0, 0.5, 332.55),
            (16, 0, 0.5, 39_846.0),
            (0, 1, 0.5, 0.21720),
            (1, 1, 0.5, 0.29005),
            (20, 2, 0.5, 737.16),
            (60, 40, 0.5, 0.90300),
            (100, 100, 0.5, 0.028312),
            (1, 0, 0.01, 55.939),
            (2, 0, 0.01, 5198.4),
        ] {
            let found = after(events, others, probability);
            assert!(is_near(found, expected), "{events} {others} {probability}: {found}");
            assert!(
                is_near(found, closed_form(events, others, probability)),
                "{events} {others} {probability}"
            );
        }
    }

    #[test]
    fn a_limit_of_200_is_reached_after_so_many_events() {
        for (others, of_half, of_tenth, of_hundredth) in
            [(0, 9, 3, 2), (1, 15, 5, 3), (2, 18, 5, 3), (5, 26, 7, 3), (10, 36, 9, 4), (100, 165, 28, 8)]
        {
            for (probability, expected) in [(0.5, of_half), (0.1, of_tenth), (0.01, of_hundredth)] {
                let found = (0..1000).find(|events| after(*events, others, probability) >= 200.0);
                assert_eq!(found, Some(expected), "{others} others, {probability}");
            }
        }
    }

    #[test]
    fn the_order_of_observations_does_not_matter() {
        let mut mixed = Martingale::new();
        (0..40).for_each(|number| mixed.observe(number % 4 == 0, if number % 2 == 0 { 0.5 } else { 0.1 }));
        let mut sorted = Martingale::new();
        (0..10).for_each(|_| sorted.observe(true, 0.5));
        (0..10).for_each(|_| sorted.observe(false, 0.5));
        (0..20).for_each(|_| sorted.observe(false, 0.1));
        assert!(is_near(mixed.evidence(), sorted.evidence()));
    }

    #[test]
    fn each_bet_is_fair_and_no_better_if_the_event_is_less_probable() {
        let mut random = Xorshift::new(11);
        let mut martingale = Martingale::new();
        for _ in 0..2_000 {
            let p = 0.01 + random.below(991) as f64 / 1000.0;
            let next = |took_place| {
                let mut next = martingale;
                next.observe(took_place, p);
                next.evidence()
            };
            let (with, without, before) = (next(true), next(false), martingale.evidence());
            assert!(is_near(p * with + (1.0 - p) * without, before), "{p}");
            assert!(without <= before * 1.000_001 && before <= with * 1.000_001, "{p}");
            martingale.observe((random.below(1000) as f64) < p * 1000.0, p);
        }
    }

    #[test]
    fn evidence_is_finite_whatever_the_probability() {
        let odd =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, f64::MIN_POSITIVE, 1.0, 2.0, f64::MAX];
        for probability in odd {
            for (events, others) in [(1, 0), (0, 1), (100_000, 0), (0, 100_000), (10_000, 10_000)] {
                let evidence = after(events, others, probability);
                assert!(
                    evidence.is_finite() && evidence >= 0.0,
                    "{probability} {events} {others}: {evidence}"
                );
            }
            assert!(after(1, 0, probability) < 200.0, "a single event does not decide");
        }
        for probability in [1.0, 2.0, f64::NAN, f64::INFINITY] {
            assert!(is_near(after(100_000, 0, probability), 1.0), "a sure event tells nothing");
        }
    }

    /// Computes the evidence directly from its definition, after `events` observations with the
    /// event and `others` without it. `p` is the stated probability of the event.
    fn closed_form(events: u64, others: u64, p: f64) -> f64 {
        let weighted = |(odds, weight): (f64, f64)| {
            let (events, all) = (events as f64, (events + others) as f64);
            weight * (events * odds.ln() - all * (1.0 + p * (odds - 1.0)).ln()).exp()
        };
        super::ODDS.into_iter().zip(super::WEIGHTS).map(weighted).sum()
    }

    /// Computes the exact probability that the evidence reaches `limit` within `observations`
    /// observations, if the event has the stated probability.
    fn probability_of_alarm(probability: f64, limit: f64, observations: u64) -> f64 {
        let (mut undecided, mut alarm) = (vec![1.0], 0.0);
        for observed in 1..=observations {
            let mut next = vec![0.0; undecided.len() + 1];
            for (events, chance) in undecided.iter().enumerate() {
                next[events + 1] += chance * probability;
                next[events] += chance * (1.0 - probability);
            }
            for (events, chance) in (0..).zip(&mut next).filter(|(_, chance)| **chance > 1e-12) {
                if closed_form(events, observed - events, probability) >= limit {
                    alarm += *chance;
                    *chance = 0.0;
                }
            }
            undecided = next;
        }
        alarm
    }

    #[test]
    fn the_probability_of_a_false_alarm_is_within_the_limit() {
        for (probability, limit, expected) in [
            (0.5, 200.0, 0.003_336),
            (0.1, 200.0, 0.002_257),
            (0.01, 200.0, 0.000_968),
            (0.5, 300.0, 0.002_840),
            (0.1, 300.0, 0.001_770),
            (0.01, 300.0, 0.000_684),
            (0.5, 38_400.0, 0.000_023),
        ] {
            let alarm = probability_of_alarm(probability, limit, 2_000);
            assert!(alarm <= 1.0 / limit, "{probability} {limit}: {alarm}");
            assert!((alarm - expected).abs() < 1e-6, "{probability} {limit}: {alarm}");
        }
    }

    /// Simulates a rollout of two equal versions. The number `rollout` is the seed of the random
    /// numbers. Returns whether the rollout ends in a false alarm.
    fn has_false_alarm(rollout: u64, probability: f64) -> bool {
        let mut random = Xorshift::new(rollout.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut martingale = Martingale::new();
        for pairs in 1..=10_000 {
            let took_place = (random.below(1 << 20) as f64) < probability * f64::from(1 << 20);
            martingale.observe(took_place, probability);
            // Only an event makes the evidence grow.
            if took_place && martingale.evidence() >= 200.0 {
                return true;
            }
            // From here it reaches 200 with a probability of at most 5 in a million.
            if pairs % 100 == 0 && martingale.evidence() < 0.001 {
                return false;
            }
        }
        false
    }

    #[test]
    fn simulated_false_alarms_are_rare() {
        for probability in [0.5, 0.1, 0.01] {
            // Ville's inequality allows 10 on average.
            let alarms = (1..=2_000).filter(|rollout| has_false_alarm(*rollout, probability)).count();
            assert!(alarms <= 10, "{probability}: {alarms}");
        }
    }
}
