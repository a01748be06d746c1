//! Flags for HTTP/2: sizes of what a connection stores, and limits on frames that are not part of a
//! request.

use crate::config::value::{count, size};

/// Largest value of `--h2-window`, in bytes: the largest window that HTTP/2 allows (RFC 9113,
/// section 6.9.1).
const WINDOW_MAX: usize = (1 << 31) - 1;

/// Largest value of `--h2-frame-max`, in bytes: the largest payload of a frame that HTTP/2 allows
/// (RFC 9113, section 4.2).
const FRAME_MAX: usize = (1 << 24) - 1;

/// Largest value of `--h2-streams`. Each open stream takes memory.
const STREAMS_MAX: usize = 10_000;

/// Largest value of `--h2-table`, in bytes. Each connection may hold two of these tables (HPACK).
const TABLE_MAX: usize = 64 << 10;

/// Largest value of `--h2-resets` and of `--h2-control`, which count frames within `--rate-window`.
const FRAMES_MAX: usize = 1_000_000;

/// Limits of one connection that speaks HTTP/2.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct Http2Limits {
    // As many as nginx, Go and Envoy recommend to browsers or allow.
    /// Maximum number of requests at once on one connection of HTTP/2; past it REFUSED_STREAM
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<STREAMS_MAX>)]
    pub h2_streams: usize,

    // A body of the default size passes in eight round trips.
    /// Maximum number of bytes of request bodies that a client may send over HTTP/2 before the
    /// server has read them, on one stream and on one connection (at least 64 KiB); past it
    /// FLOW_CONTROL_ERROR
    #[arg(long, value_name = "SIZE", default_value = "128KiB", value_parser = window)]
    pub h2_window: usize,

    /// Longest frame of HTTP/2 (at least 16 KiB); past it FRAME_SIZE_ERROR
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = frame)]
    pub h2_frame_max: usize,

    /// Maximum memory of the table in which a connection of HTTP/2 remembers headers of requests (0
    /// for no table); past it the oldest headers are forgotten
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = size::<TABLE_MAX>)]
    pub h2_table: usize,

    // A browser that leaves a page resets what is still on the way.
    /// Maximum number of streams of HTTP/2 that a client may reset within `--rate-window`; past it
    /// the connection ends with ENHANCE_YOUR_CALM
    #[arg(long, value_name = "N", default_value = "400", value_parser = count::<FRAMES_MAX>)]
    pub h2_resets: usize,

    // Window updates that follow from what the client has read are not counted.
    /// Maximum number of frames of HTTP/2 that bring no part of a request, such as PING, SETTINGS
    /// and PRIORITY, within `--rate-window`; past it the connection ends with ENHANCE_YOUR_CALM
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count::<FRAMES_MAX>)]
    pub h2_control: usize,
}

/// Parses the size of a window, at least 64 KiB. The initial window of HTTP/2 is 65,535 bytes (RFC
/// 9113, section 6.9.2).
fn window(text: &str) -> Result<usize, String> {
    at_least(64 << 10, size::<WINDOW_MAX>(text))
}

fn frame(text: &str) -> Result<usize, String> {
    at_least(16 << 10, size::<FRAME_MAX>(text))
}

fn at_least(least: usize, found: Result<usize, impl ToString>) -> Result<usize, String> {
    match found {
        Ok(found) if found < least => Err(format!("expected at least {}KiB", least >> 10)),
        found => found.map_err(|error| error.to_string()),
    }
}
