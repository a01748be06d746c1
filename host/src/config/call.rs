//! Flags for handler calls: concurrency, time, memory and output.

use std::time::Duration;

use crate::config::value::{ADDRESSES, COUNT_MAX, count, duration, size};

/// Largest value of `--response-head-max`, in bytes. Parsing a head of this size takes a
/// millisecond.
const RESPONSE_HEAD_MAX: usize = 1 << 20;

/// Largest value of `--table-max`. Each instance reserves address space for its table.
const TABLE_MAX: usize = 10_000_000;

/// Limits of handler calls.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct CallLimits {
    // A call is pure computation, so more calls than cores help only when calls are long.
    // Each may use `memory_max` of memory.
    /// Maximum number of handler calls at once; past it requests queue
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub instances: usize,

    // Short, so that under overload a queued request does not wait much longer than its
    // call takes.
    /// Maximum number of requests in the queue for a call; past it 503
    #[arg(long, value_name = "N", default_value = "16", value_parser = count::<COUNT_MAX>)]
    pub queue: usize,

    /// Longest wait in the queue for a call; past it 503
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub queue_timeout: Duration,

    /// Longest handler call in wall-clock time; past it 504
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub deadline: Duration,

    // With 64 calls at once, all instances together take at most about 8 GiB, half of it
    // for idle instances.
    /// Maximum memory of one instance; a module cannot grow beyond it, and one that starts beyond
    /// it is rejected
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub memory_max: usize,

    /// Maximum number of elements of a module's table; a module cannot grow it beyond this, and one
    /// that starts beyond it is rejected
    #[arg(long, value_name = "N", default_value = "65536", value_parser = count::<TABLE_MAX>)]
    pub table_max: usize,

    /// Longest handler response, head and body together; past it 502
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size::<ADDRESSES>)]
    pub response_max: usize,

    // A serving thread parses and checks the whole head without yielding.
    /// Longest head of a handler response including the status line; past it 502
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size::<RESPONSE_HEAD_MAX>)]
    pub response_head_max: usize,

    /// Maximum number of log lines that the handler may write for one request; past it
    /// lines are dropped, and a log line says so
    #[arg(long, value_name = "N", default_value = "64", value_parser = count::<COUNT_MAX>)]
    pub log_lines_max: usize,

    /// Longest log line of a handler, counted after escaping; past it the line is
    /// cut
    #[arg(long, value_name = "SIZE", default_value = "1KiB", value_parser = size::<ADDRESSES>)]
    pub log_line_max: usize,
}
