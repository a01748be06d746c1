//! Masks the secrets of two versions in the requests and responses that a report shows.

use std::borrow::Cow;

use bytes::Bytes;
use host_wasm::Values;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, HeaderName};

use crate::rollout::compare::verdict::Outcome;

/// Text that is appended to a masked value of the candidate if the original value differed from
/// that of the current version only in a secret. Otherwise the two masked values would be equal.
const ANOTHER: &[u8] = b" (another text before it was masked)";

/// Masks the secrets of two versions. Contains the configuration values of both, because a reload
/// may have changed the secrets. Masks each text with both, because a response of one version may
/// repeat a text of the request that is a secret of the other version.
pub(super) struct Mask<'a>([&'a Values; 2]);

impl Mask<'_> {
    pub(super) fn new<'a>(current: &'a Values, candidate: &'a Values) -> Mask<'a> {
        Mask([current, candidate])
    }

    /// Returns whether at least one of the versions has secrets.
    pub(super) fn is_needed(&self) -> bool {
        self.0.iter().any(|values| values.has_secrets())
    }

    /// Masks the secrets of both versions in a text.
    pub(super) fn text(&self, text: &str) -> String {
        let [one, other] = self.0;
        other.mask(&one.mask(text)).into_owned()
    }

    /// Masks the secrets of both versions in the outcomes of one request. Parts of the outcomes
    /// that are equal stay equal, and parts that differ stay different.
    pub(super) fn hide(&self, current: &mut Outcome, candidate: &mut Outcome) {
        let plain = (current.clone(), candidate.clone());
        self.mask(current);
        self.mask(candidate);
        if plain.0.body != plain.1.body && current.body == candidate.body {
            set_body(candidate, [&candidate.body, ANOTHER].concat().into());
        }
        let names: Vec<HeaderName> = candidate.fields.keys().cloned().collect();
        for name in names.iter().filter(|name| *name != CONTENT_LENGTH) {
            let differ = |one: &Outcome, other: &Outcome| {
                !one.fields.get_all(name).iter().eq(other.fields.get_all(name))
            };
            if differ(&plain.0, &plain.1)
                && !differ(current, candidate)
                && let Some(value) = candidate.fields.get_mut(name)
            {
                replace(value, &[value.as_bytes(), ANOTHER].concat());
            }
        }
    }

    fn mask(&self, outcome: &mut Outcome) {
        if let Cow::Owned(body) = self.bytes(&outcome.body) {
            set_body(outcome, body.into());
        }
        for value in outcome.fields.values_mut() {
            if let Cow::Owned(masked) = self.bytes(value.as_bytes()) {
                replace(value, &masked);
            }
        }
        if let Some(failed) = &mut outcome.fault {
            failed.cause = self.text(&failed.cause);
        }
    }

    fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let [one, other] = self.0;
        match one.mask_bytes(bytes) {
            Cow::Borrowed(bytes) => other.mask_bytes(bytes),
            Cow::Owned(masked) => Cow::Owned(other.mask_bytes(&masked).into_owned()),
        }
    }
}

/// Replaces the body of an outcome. Also updates `content-length` if it was the length of the old
/// body.
fn set_body(outcome: &mut Outcome, body: Bytes) {
    let tells_length = outcome.tells_length();
    outcome.body = body;
    let length = outcome.body.len().into();
    if let Some(value) = outcome.fields.get_mut(CONTENT_LENGTH).filter(|_| tells_length) {
        *value = length;
    }
}

fn replace(value: &mut HeaderValue, bytes: &[u8]) {
    // The texts of masks are valid in a value, and so is the rest of one.
    *value = HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("***"));
}

#[cfg(test)]
mod tests {
    use super::Mask;
    use crate::rollout::compare::verdict::{Outcome, Rules, Verdict, compare};
    use host_wasm::Values;
    use http::HeaderMap;
    use http::header::CONTENT_LENGTH;
    use std::time::Duration;

    fn outcome(status: u16, field: &str, body: &str) -> Outcome {
        let mut fields = HeaderMap::new();
        fields.insert("x-a", field.parse().unwrap());
        fields.insert(CONTENT_LENGTH, body.len().into());
        let (body, took) = (body.to_owned().into(), Duration::ZERO);
        Outcome { status, fault: None, fields, body, took, memory: 0 }
    }

    #[test]
    fn what_differs_in_a_secret_only_still_differs_and_shows_none() {
        let values = |text: &str| Values::new([("KEY", text, true)]).unwrap();
        let (old, new) = (values("sesame-old"), values("sesame-new"));
        for (current, candidate, lines) in [
            ((200, "a", "is sesame-old"), (200, "a", "is sesame-old"), ""),
            (
                (200, "a", "is sesame-old"),
                (200, "a", "is sesame-new"),
                "body differs at line 1:|  - is [secret KEY]|  + is [secret KEY] (another text before it was masked)",
            ),
            (
                (200, "a", "sesame-new"),
                (200, "a", "[secret KEY]"),
                "body differs at line 1:|  - [secret KEY]|  + [secret KEY] (another text before it was masked)",
            ),
            (
                (200, "sesame-old", "sesame-new"),
                (200, "sesame-new", "sesame-new"),
                "header x-a \"[secret KEY]\" -> \"[secret KEY] (another text before it was masked)\"",
            ),
            (
                (200, "sesame-old", "one sesame-old"),
                (200, "sesame-old", "other sesame-new"),
                "body differs at line 1:|  - one [secret KEY]|  + other [secret KEY]",
            ),
            (
                (500, "a", "sesame-old"),
                (500, "a", "sesame-new"),
                "status 500 with both|body differs at line 1:|  - [secret KEY]|  + [secret KEY] (another text before it was masked)",
            ),
        ] {
            let of = |(status, field, body)| outcome(status, field, body);
            let (mut current, mut candidate) = (of(current), of(candidate));
            let verdict = compare(&current, &candidate, &Rules::default());
            Mask::new(&old, &new).hide(&mut current, &mut candidate);
            let masked = compare(&current, &candidate, &Rules::default());
            assert_eq!(masked.lines().join("|"), lines);
            assert_eq!(masked == Verdict::Same, verdict == Verdict::Same, "{lines}");
            assert_eq!(masked.is_same(), verdict.is_same(), "{lines}");
        }
    }
}
