//! Flags for the server as a whole: connections, fairness, memory for bodies, shutdown.

use std::time::Duration;

use crate::config::value::{BUDGET_MAX, Switch, connections, duration, size};

/// Limits of all connections together.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct ServerLimits {
    // Each connection takes a file descriptor, and memory for a head and a body.
    /// Maximum number of connections at once (`auto`: the limit on descriptors less 128); past it
    /// idle connections are closed, then the slowest, and new ones wait
    #[arg(long, value_name = "N", default_value = "auto", value_parser = connections)]
    pub connections: usize,

    // Turn it off behind a proxy that `--trust-forwarded` does not name: all clients of
    // such a proxy share one address.
    /// Whether each client address (for IPv6 its /64) is held to a fair share of
    /// connections and long calls while others wait; past it the address with the
    /// most connections or calls gives way first
    #[arg(long, value_name = "SWITCH", default_value = "on", value_enum)]
    pub fair_share: Switch,

    // Room for a thousand bodies of the largest size, by default 1 MiB.
    /// Maximum memory of all bodies longer than 64 KiB that are being received or sent; past it 503
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::<BUDGET_MAX>)]
    pub buffer_max: usize,

    /// Longest wait on shutdown for requests in flight; past it the connections of these requests
    /// are closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub drain: Duration,

    /// Longest wait on SIGUSR2 for the new process to take over; past it the new process is ended,
    /// and the old one goes on
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = duration)]
    pub upgrade_timeout: Duration,
}
