//! Flags for one connection and its messages: sizes, times and rates.

use std::time::Duration;

use crate::config::http2::Http2Limits;
use crate::config::value::{ADDRESSES, count, duration, size};

/// Largest value of `--target-max`, in bytes. Longer targets have no known use, and each target is
/// held in memory.
const TARGET_MAX: usize = 65_534;

/// Largest value of `--head-max`, in bytes. The buffers of a connection may hold up to three times
/// as much.
const HEAD_MAX: usize = 256 << 10;

/// Largest value of `--fields-max`. The requests of usual clients have far fewer headers.
const FIELDS_MAX: usize = 1000;

/// Largest value of `--connection-requests`. Arbitrary, because nothing is allocated per request.
const REQUESTS_MAX: usize = 1_000_000_000;

/// Limits of one connection and its messages.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct ConnectionLimits {
    // nginx and Apache accept about as much; RFC 9110, section 4.1, recommends at least
    // 8,000 bytes.
    /// Longest request target; past it 414
    #[arg(long, value_name = "SIZE", default_value = "8KiB", value_parser = size::<TARGET_MAX>)]
    pub target_max: usize,

    // A connection holds a request head in memory until the head is complete.
    /// Longest request head including the request line; past it 431
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = size::<HEAD_MAX>)]
    pub head_max: usize,

    /// Maximum number of headers of a request; past it 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<FIELDS_MAX>)]
    pub fields_max: usize,

    // A body is held in memory until it is complete, because the handler gets the whole
    // request at once.
    /// Longest request body; past it 413
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = size::<ADDRESSES>)]
    pub body_max: usize,

    /// Longest time from the first to the last byte of a request head, and longest wait for a PROXY
    /// header; past it 408, or for a PROXY header the connection is closed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub head_timeout: Duration,

    /// Longest time of a TLS handshake; past it the connection is closed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub tls_timeout: Duration,

    // Longer than most clients keep an unused connection, so that the client closes
    // first: a request sent while the server closes is lost.
    /// Longest idle time of a connection, before the first request and between two
    /// requests; past it the connection is closed
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub idle_timeout: Duration,

    /// Longest wait for the next piece of a request body; past it 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub body_timeout: Duration,

    // A body of the default size takes seven minutes over GPRS, the slowest link
    // still in use.
    /// Longest time from the end of a request head to the end of its body; past it
    /// 408
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = duration)]
    pub body_time_max: Duration,

    // A tenth of GPRS speed. A client that sends a byte now and then is far below this
    // rate, so it cannot hold a connection for long.
    /// Lowest rate of a request body in bytes per second, averaged over
    /// `--rate-window` (0 turns the check off); past it 408
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub body_rate_min: usize,

    /// Longest time in which a client reads nothing of its response; past it the
    /// connection is closed
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub write_timeout: Duration,

    // A tenth of GPRS speed, as for `body_rate_min`.
    /// Lowest rate at which a client reads its response in bytes per second,
    /// averaged over `--rate-window` (0 turns the check off); past it the
    /// connection is closed
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = size::<ADDRESSES>)]
    pub write_rate_min: usize,

    // A mobile connection may stall for some seconds between two cells.
    /// Time over which transfer rates are averaged; past it a transfer below its
    /// lowest rate is ended, and past half of it a slow connection can be closed
    /// for a new one
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub rate_window: Duration,

    // Lets a load balancer in front redistribute long-lived connections.
    /// Maximum number of requests on one connection; past it the connection is closed
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count::<REQUESTS_MAX>)]
    pub connection_requests: usize,

    /// Flags of [`Http2Limits`].
    #[command(flatten)]
    pub http2: Http2Limits,
}
