//! Flags about rollouts.

use std::sync::Arc;
use std::time::Duration;

use host_http::forwarded::Trusted;

use crate::config::value::{duration, duration_or_none};
use crate::rollout::assign::Key;
use crate::rollout::plan::{Plan, Slower};
use crate::rollout::share::{Share, Steps};

/// Maximum value of `--rollout-requests`.
pub(crate) const REQUESTS_MAX: u64 = 1_000_000_000;

/// Flags about rollouts.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rollout")]
pub struct RolloutFlags {
    /// Shares of the clients that a new version serves, one after the other, before it serves all
    /// clients, such as 1%,10%,50%, for files that change, host swap and host reload. With off, a
    /// new version serves all clients at once
    #[arg(long, value_name = "SHARES", default_value = "off")]
    pub rollout: Steps,

    /// Shortest time of each step of a rollout
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub rollout_hold: Duration,

    /// Time for which a candidate gets copies of requests, before the first step of a rollout
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration_or_none)]
    pub rollout_shadow: Duration,

    /// Share of requests that run again on both versions, in the background, during a rollout and
    /// while a version is watched
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = percent)]
    pub rollout_percent: Share,

    /// What tells clients apart in a rollout: client (the address), cookie:NAME or header:NAME
    #[arg(long, value_name = "KEY", default_value = "client")]
    pub rollout_key: Key,

    /// Minimum number of requests that the new version answers in a step before the next step
    /// begins
    #[arg(long, value_name = "N", default_value = "100", value_parser = requests)]
    pub rollout_requests: u64,

    /// Longest time that a step waits, after --rollout-hold, for the number of --rollout-requests.
    /// Then the rollout stops until an operator acts
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    pub rollout_wait: Duration,

    /// Ratio of the time of a call with the new version to its time with the current version above
    /// which the call is too slow, or off. A version is worse if more than 1% of the calls of a
    /// class of requests are too slow
    #[arg(long, value_name = "RATIO", default_value = "2x")]
    pub slower: Slower,

    /// Clients that may choose a version in a rollout by the header x-handler-version: an address, a
    /// network such as 10.0.0.0/8, or unix; repeatable
    #[arg(long, value_name = "NETWORK")]
    pub pin_from: Vec<Trusted>,
}

impl RolloutFlags {
    /// Returns the rollout plan for new versions. If it has no steps, a new version serves all
    /// clients immediately.
    pub fn plan(&self) -> Plan {
        Plan {
            shadow: self.rollout_shadow,
            percent: self.rollout_percent,
            steps: self.rollout.clone(),
            hold: self.rollout_hold,
            key: self.rollout_key.clone(),
            slower: self.slower,
            requests: self.rollout_requests,
            wait: self.rollout_wait,
        }
    }

    /// Returns the clients that may choose a version during a rollout, by the header field
    /// `x-handler-version`.
    pub fn pin_from(&self) -> Arc<[Trusted]> {
        self.pin_from.clone().into()
    }
}

/// Parses a share such as `10%`. The percent sign may be missing.
pub(crate) fn percent(text: &str) -> Result<Share, String> {
    let text = if text.ends_with('%') { text.to_owned() } else { format!("{text}%") };
    text.parse()
}

/// Parses a value of `--rollout-requests`.
pub(crate) fn requests(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= REQUESTS_MAX);
    number.ok_or_else(|| format!("expected a whole number from 0 to {REQUESTS_MAX}"))
}
