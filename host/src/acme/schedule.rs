//! Computes when to renew a certificate, and when to try a failed order again.

use std::time::{Duration, SystemTime};

use crate::tls::facts::Facts;

/// Wait after the first failed order. Doubles with each further failure, up to [`LAST`].
pub const FIRST: Duration = Duration::from_secs(60);

/// Maximum wait after a failed order, before a random variation of up to a quarter.
pub const LAST: Duration = Duration::from_secs(4 * 3600);

/// Returns the time at which to renew a certificate: when two thirds of its lifetime have passed,
/// or earlier by up to 3 % of the lifetime. The hash of the certificate determines how much
/// earlier, so that a restart does not change the time.
pub(super) fn renewal(facts: &Facts) -> SystemTime {
    let lifetime = facts.lifetime();
    let spread =
        facts.sha256.get(..2).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let early = lifetime * spread / (256 * 33);
    facts.not_before() + (lifetime * 2 / 3).saturating_sub(early)
}

/// Returns the wait after this many failed orders in a row. `random` varies the wait by up to a
/// quarter, so that servers that failed at the same time do not all try again at the same time.
pub(super) fn after(failures: u32, random: u8) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LAST);
    doubled * 3 / 4 + doubled * u32::from(random) / 512
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{FIRST, LAST, after, renewal};
    use crate::tls::facts::Facts;

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_time_are_over() {
        let facts = |sha256: &str| Facts {
            not_before: "2026-01-01T00:00:00Z".into(),
            not_after: "2026-04-01T00:00:00Z".into(),
            sha256: sha256.into(),
            ..Facts::default()
        };
        let day = Duration::from_secs(24 * 3600);
        let begin = humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(renewal(&facts("00aa")), begin + 60 * day);
        let early = renewal(&facts("ffaa"));
        assert!(early > begin + 57 * day && early < begin + 58 * day);
        assert_eq!(renewal(&Facts::default()), SystemTime::UNIX_EPOCH);
    }

    #[test]
    fn a_failure_doubles_the_time_to_the_next_attempt() {
        for (failures, expected) in
            [(0, FIRST), (1, FIRST), (2, 2 * FIRST), (5, 16 * FIRST), (9, LAST), (u32::MAX, LAST)]
        {
            let (least, most) = (after(failures, 0), after(failures, 255));
            assert!(least >= expected * 3 / 4 && most <= expected * 5 / 4 && least < most, "{failures}");
        }
    }
}
