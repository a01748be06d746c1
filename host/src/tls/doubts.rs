//! Doubts about certificates in use: expired, not valid yet, soon to expire, or with a key that every
//! user of the machine can read.

use std::time::{Duration, SystemTime};

use tracing::warn;

use crate::tls::certificate::Certificate;
use crate::tls::certificates::Set;
use crate::tls::facts::Validity;

/// Remaining validity of a certificate below which the server warns.
const WARN_BEFORE: Duration = Duration::from_secs(21 * 24 * 3600);

/// Divisor of the lifetime of a certificate that was obtained by ACME: the server warns when less
/// than that fraction of the lifetime is left. Such a certificate may have a short lifetime, and
/// should have been renewed earlier.
const WARN_SHARE: u32 = 4;

/// Logs the doubts about the certificates of a set.
pub(super) fn warn(set: &Set) {
    let now = SystemTime::now();
    for one in &set.all {
        one.pair.doubt().iter().for_each(|doubt| warn!("{doubt}"));
        let (file, flag) = (one.pair.cert.display(), one.flag());
        let (not_before, not_after) = (&one.facts.not_before, &one.facts.not_after);
        match one.facts.validity(now) {
            Validity::NotYet => warn!(%file, not_before, "the certificate is not valid yet ({flag})"),
            Validity::Expired => warn!(%file, not_after, "the certificate has expired ({flag})"),
            Validity::Days(days) if expires_soon(one, now) => {
                warn!(%file, not_after, days, "the certificate expires soon ({flag})");
            }
            Validity::Days(_) => {}
        }
    }
}

/// Returns the doubts about the certificates of a set, one line each.
pub(super) fn texts(set: &Set) -> Vec<String> {
    let now = SystemTime::now();
    let of = |one: &Certificate| {
        let validity = one.facts.validity(now);
        let is_doubtful = !validity.is_good() || expires_soon(one, now);
        let (file, flag) = (one.pair.cert.display(), one.flag());
        let (from, until) = (&one.facts.not_before, &one.facts.not_after);
        let doubt = is_doubtful
            .then(|| format!("the certificate {file} ({flag}) {validity}: from {from} until {until}"));
        one.pair.doubt().into_iter().chain(doubt).collect::<Vec<_>>()
    };
    set.all.iter().flat_map(of).collect()
}

fn expires_soon(one: &Certificate, now: SystemTime) -> bool {
    let before = match one.domain {
        Some(_) => WARN_BEFORE.min(one.facts.lifetime() / WARN_SHARE),
        None => WARN_BEFORE,
    };
    one.facts.not_after().duration_since(now).is_ok_and(|left| left < before)
}
