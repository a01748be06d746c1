//! Flags for swapping: sizes, compiling, and what is kept for rollback.

use std::time::Duration;

use crate::config::value::{ADDRESSES, BUDGET_MAX, COUNT_MAX, count, duration, size};

/// Limits of candidates and of kept versions.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct SwapLimits {
    // The server holds the whole file in memory while it prepares the module.
    /// Largest module file; past it the module is rejected
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub module_max: usize,

    // Enough for modules of several megabytes. Each module is compiled in a process of
    // its own, one at a time.
    /// Maximum memory of the process that compiles a module; past it the module is rejected
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size::<BUDGET_MAX>)]
    pub compile_memory_max: usize,

    // Compiling takes a few milliseconds per ten kilobytes.
    /// Longest time to compile a module; past it the module is rejected
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub compile_timeout: Duration,

    // Compiled code is about five times as large as the module file.
    /// Maximum memory of all kept versions: their code, their images, and the module files of
    /// versions that are still to be compiled again, or without a state folder of all versions;
    /// past it the oldest versions are dropped, and a module whose code alone is larger is rejected
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::<BUDGET_MAX>)]
    pub keep_bytes: usize,

    /// Maximum number of versions that are kept compiled for rollback, including the current one;
    /// past it the oldest are dropped
    #[arg(long, value_name = "N", default_value = "10", value_parser = count::<COUNT_MAX>)]
    pub keep: usize,
}
