//! Plan of a rollout: the shares of the traffic that a candidate gets one after the other, and the
//! rules by which it is judged.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use host_http::quote::quoted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::value::showable;
use crate::rollout::as_text::as_text;
use crate::rollout::assign::Key;
use crate::rollout::share::{Share, Steps};

/// Maximum ratio of two times in a [`Slower`].
const SLOWER_MAX: f64 = 1000.0;

/// Maximum number of bytes that an error message quotes from an invalid value.
const QUOTED_MAX: usize = 100;

/// Text of a [`Slower`] without a ratio, with which times are not judged.
const OFF: &str = "off";

/// Plan of a rollout: its phases, and how the candidate is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Time for which the candidate gets only copies of requests; `0s` for none.
    #[serde(with = "time")]
    #[schemars(with = "String")]
    pub shadow: Duration,
    /// Share of requests that run again on both versions, in the background.
    pub percent: Share,
    /// Shares of the traffic that the candidate gets, one after the other; `off` for a shadow
    /// without a rollout.
    pub steps: Steps,
    /// Shortest time of each step.
    #[serde(with = "time")]
    #[schemars(with = "String")]
    pub hold: Duration,
    /// What tells clients apart: `client` (the address), `cookie:NAME` or `header:NAME`.
    pub key: Key,
    /// Ratio of the times of a call, candidate to current version, above which the call is too
    /// slow; `off` if times are not judged.
    pub slower: Slower,
    /// Minimum number of requests that the candidate answers in a step before the next step begins.
    pub requests: u64,
    /// Longest time that a step waits, after `hold`, for the number of `requests`. Then the rollout
    /// stops until an operator acts.
    #[serde(with = "time")]
    #[schemars(with = "String")]
    pub wait: Duration,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { shadow, steps, hold, .. } = self;
        if !shadow.is_zero() {
            write!(f, "shadow for {}", showable(*shadow))?;
        }
        if steps.is_off() {
            return Ok(());
        }
        if !shadow.is_zero() {
            f.write_str(", then ")?;
        }
        let shares: Vec<_> = steps.shares().iter().map(ToString::to_string).collect();
        let each = if shares.len() == 1 { "" } else { "each " };
        write!(f, "{}, {each}for {}", shares.join(", "), showable(*hold))
    }
}

/// Ratio of the times of a call, candidate to current version, above which the call is too slow,
/// such as `2x`; `off` if times are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Slower(pub Option<f64>);

impl FromStr for Slower {
    type Err = String;

    fn from_str(text: &str) -> Result<Slower, String> {
        if text == OFF {
            return Ok(Slower(None));
        }
        let is_number = |text: &&str| {
            text.starts_with(|first: char| first.is_ascii_digit())
                && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let number = text.strip_suffix('x').filter(is_number).and_then(|number| number.parse().ok());
        let ratio = number.filter(|ratio| (1.0..=SLOWER_MAX).contains(ratio));
        ratio.map(|ratio| Slower(Some(ratio))).ok_or_else(|| {
            let found = quoted(text, QUOTED_MAX);
            format!("expected off, or a ratio from 1x to {SLOWER_MAX}x such as 2x or 1.5x, found `{found}`")
        })
    }
}

impl fmt::Display for Slower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(ratio) => write!(f, "{ratio}x"),
            None => f.write_str(OFF),
        }
    }
}

as_text!(Slower);

/// Serde functions for durations as texts, such as `30s`.
mod time {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::config::value::duration_or_none;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*time))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        duration_or_none(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::{Plan, Slower};

    pub(in crate::rollout) fn plan() -> Plan {
        Plan {
            shadow: Duration::ZERO,
            percent: "10%".parse().unwrap(),
            steps: "1%,50%".parse().unwrap(),
            hold: Duration::from_secs(30),
            key: "client".parse().unwrap(),
            slower: "2x".parse().unwrap(),
            requests: 100,
            wait: Duration::from_secs(600),
        }
    }

    #[test]
    fn a_plan_is_told_in_words() {
        let mut plan = plan();
        assert_eq!(plan.to_string(), "1%, 50%, each for 30s");
        plan.shadow = Duration::from_secs(60);
        assert_eq!(plan.to_string(), "shadow for 1m, then 1%, 50%, each for 30s");
        plan.steps = "5%".parse().unwrap();
        assert_eq!(plan.to_string(), "shadow for 1m, then 5%, for 30s");
        plan.steps = "off".parse().unwrap();
        assert_eq!(plan.to_string(), "shadow for 1m");
    }

    #[test]
    fn a_plan_is_json() {
        let json = serde_json::to_string(&plan()).unwrap();
        assert_eq!(
            json,
            r#"{"shadow":"0s","percent":"10%","steps":"1%,50%","hold":"30s","key":"client","slower":"2x","requests":100,"wait":"10m"}"#
        );
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan());
        assert!(serde_json::from_str::<Plan>(&json.replace("30s", "x")).is_err());
    }

    #[test]
    fn ratios_are_parsed_and_written_back() {
        for text in ["1x", "2x", "1.5x", "1000x", "off"] {
            assert_eq!(text.parse::<Slower>().unwrap().to_string(), text);
        }
        for text in
            ["", "x", "2", "0.9x", "1001x", "-2x", "infx", "NaNx", "1e2x", "2 x", "1.2.3x", ".x", "2X"]
        {
            let error = text.parse::<Slower>().unwrap_err();
            assert!(error.ends_with(&format!("found `{text}`")), "{error}");
        }
    }
}
