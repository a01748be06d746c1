//! Shares of the traffic, and the steps of a rollout, each of which has a larger share than the one
//! before.

use std::fmt;
use std::str::FromStr;

use host_http::quote::quoted;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::as_text::as_text;

/// All of the traffic, in thousandths of a percent.
const ALL: u32 = 100_000;

/// Maximum number of steps in a rollout.
pub(crate) const STEPS_MAX: usize = 20;

/// Maximum number of bytes that an error message quotes from an invalid value.
const QUOTED_MAX: usize = 100;

/// Share of the traffic, such as `10%`: more than 0 and at most 100 %. Held in thousandths of a
/// percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Share(u32);

impl Share {
    /// All of the traffic.
    pub const ALL: Share = Share(ALL);

    /// Returns whether a number is below this share of 2^64, which is the number of values of
    /// [`u64`].
    pub(super) fn includes(self, number: u64) -> bool {
        let thousandth = (u128::from(number) * u128::from(ALL)) >> 64;
        thousandth < u128::from(self.0)
    }

    /// Returns the share as a number in (0, 1].
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(ALL)
    }

    /// Returns the share of the remaining traffic as text, such as `90%` for a share of 10 %.
    pub fn rest(self) -> String {
        if self == Share::ALL { "0%".into() } else { Share(ALL - self.0).to_string() }
    }

    /// Parses a share such as `12.5%`, with at most three decimals.
    fn parse(text: &str) -> Option<Share> {
        let number = text.strip_suffix('%')?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let is_number =
            |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) {
            return None;
        }
        let thousandths: u32 = format!("{whole}{decimals:0<3}").parse().ok()?;
        (1..=ALL).contains(&thousandths).then_some(Share(thousandths))
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        Share::parse(text).ok_or_else(|| {
            let found = quoted(text, QUOTED_MAX);
            format!("expected a share such as 10% or 0.5%, from 0.001% to 100%, found `{found}`")
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 1_000, format!("{:03}", self.0 % 1_000));
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{whole}%"),
            decimals => write!(f, "{whole}.{decimals}%"),
        }
    }
}

/// Text of [`Steps`] without shares.
const OFF: &str = "off";

/// Shares of the traffic in the steps of a rollout, which rise, such as `1%,10%,50%`. After the
/// last step the candidate gets all of the traffic. Without steps (`off`) there is no rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Steps(Box<[Share]>);

impl Steps {
    /// Returns the share of each step, in order.
    pub fn shares(&self) -> &[Share] {
        &self.0
    }

    /// Returns whether there are no steps.
    pub fn is_off(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the share of a step. Steps are counted from 0; after the last step, the share is
    /// [`Share::ALL`].
    pub fn share(&self, step: usize) -> Share {
        self.0.get(step).copied().unwrap_or(Share::ALL)
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Steps, String> {
        if text == OFF {
            return Ok(Steps::default());
        }
        let shares: Box<[Share]> = text
            .split(',')
            .take(STEPS_MAX + 1)
            .map(|share| share.trim_matches(' ').parse())
            .collect::<Result<_, _>>()?;
        if shares.len() > STEPS_MAX {
            return Err(format!("expected at most {STEPS_MAX} steps, found more"));
        }
        match shares.iter().zip(shares.iter().skip(1)).find(|(share, next)| share >= next) {
            Some((share, next)) => Err(format!("expected shares that rise, found {next} after {share}")),
            None => Ok(Steps(shares)),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_off() {
            return f.write_str(OFF);
        }
        self.0.iter().enumerate().try_for_each(|(index, share)| {
            f.write_str(if index == 0 { "" } else { "," })?;
            share.fmt(f)
        })
    }
}

as_text!(Share Steps);

#[cfg(test)]
mod tests {
    use super::{Share, Steps};

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn shares_are_parsed_and_written_back() {
        for (text, thousandths, written) in [
            ("1%", 1_000, "1%"),
            ("0.5%", 500, "0.5%"),
            ("10%", 10_000, "10%"),
            ("100%", 100_000, "100%"),
            ("100.000%", 100_000, "100%"),
            ("0.001%", 1, "0.001%"),
            ("33.330%", 33_330, "33.33%"),
            ("007%", 7_000, "7%"),
            ("1.05%", 1_050, "1.05%"),
        ] {
            assert_eq!(share(text), Share(thousandths));
            assert_eq!(share(text).to_string(), written);
        }
        for text in [
            "",
            "%",
            "1",
            "0%",
            "0.000%",
            "0.0001%",
            "100.001%",
            "101%",
            "1000%",
            "-1%",
            "+1%",
            "1e1%",
            "1.%",
            ".5%",
            "1,5%",
            "1 %",
            " 1%",
            "1%%",
            "NaN%",
            "inf%",
            "1.2.3%",
            "\u{661}%",
            "99999999999%",
        ] {
            let error = text.parse::<Share>().unwrap_err();
            assert!(error.ends_with(&format!("from 0.001% to 100%, found `{text}`")), "{error}");
        }
        for thousandths in 1..=100_000 {
            assert_eq!(Share(thousandths).to_string().parse(), Ok(Share(thousandths)));
        }
    }

    #[test]
    fn steps_rise() {
        for (text, written) in [
            ("1%,10%,50%", "1%,10%,50%"),
            ("0.5%", "0.5%"),
            ("100%", "100%"),
            ("1%, 2.50% ,100%", "1%,2.5%,100%"),
            ("off", "off"),
        ] {
            let steps: Steps = text.parse().unwrap();
            assert_eq!(steps.to_string(), written);
            assert_eq!(steps.to_string().parse(), Ok(steps.clone()));
            assert_eq!(steps.share(steps.shares().len()), Share::ALL);
        }
        let many = (1..=21).map(|share| format!("{share}%")).collect::<Vec<_>>();
        assert!(many[..20].join(",").parse::<Steps>().is_ok());
        for (text, error) in [
            ("", "found ``"),
            ("1%,", "found ``"),
            ("1%,1%", "expected shares that rise, found 1% after 1%"),
            ("1%,50%,10%", "expected shares that rise, found 10% after 50%"),
            ("1%;2%", "found `1%;2%`"),
            ("1%\n", "found `1%\\n`"),
            (many.join(",").as_str(), "expected at most 20 steps, found more"),
        ] {
            let found = text.parse::<Steps>().unwrap_err();
            assert!(found.ends_with(error), "{found}");
        }
    }
}
