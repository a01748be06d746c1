//! Computes the memory that the limits allow, in total and by part, and compares it
//! with the memory that this process may use.

use std::borrow::Cow;
use std::fmt;

use ::host_wasm as wasm;
use bytesize::ByteSize;
use host_wasm::system_memory;
use rustix::process::{Resource, getrlimit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::limits::Limits;
use crate::net::{socket, tls_stream};
use crate::serve::connection;
use crate::site::probation;
use crate::telemetry::log_queue;

/// Maximum number of uploaded modules that are received or prepared at once. Each of them is held
/// in memory.
pub const UPLOADS_MAX: usize = 4;

/// Part of the server that uses memory, with the maximum that the limits allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Name of the part.
    pub what: Cow<'static, str>,
    /// Maximum memory of the part, in bytes.
    pub bytes: u64,
    /// Flags that change the maximum memory of the part, or `none`.
    pub flags: Cow<'static, str>,
}

/// Maximum memory that the limits allow, by part.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MemoryBounds {
    parts: Vec<Part>,
}

impl MemoryBounds {
    /// Computes the maximum memory of each part of the server. `sites` are the limits of each site,
    /// and `journals` is the maximum memory of all journals in bytes. `is_tls` and `is_http2` tell
    /// whether the server speaks TLS and HTTP/2.
    pub fn new(
        limits: &Limits,
        sites: &[&Limits],
        journals: u64,
        (is_tls, is_http2): (bool, bool),
    ) -> MemoryBounds {
        let part = |what: &'static str, bytes, flags: &'static str| Part {
            what: what.into(),
            bytes,
            flags: flags.into(),
        };
        let Limits { connection, server, swap, .. } = limits;
        let connections = server.connections as u64;
        let bodies = server.buffer_max as u64 + wasm::kept_for_responses(&limits.for_engine());
        // One more candidate may come from the module file of each site.
        let candidates = (UPLOADS_MAX + sites.len()) as u64 * swap.module_max as u64;
        // The current version of a site may exceed `keep_bytes` by its memory image.
        let kept = sites.iter().map(|site| site.swap.keep_bytes as u64 + site.call.memory_max as u64);
        let kept = kept.fold(0, u64::saturating_add);
        let head_max = sites.iter().map(|site| site.call.response_head_max).max().unwrap_or_default();
        // Queued lines, and lines that are being written.
        let log = 2 * log_queue::BYTES_MAX as u64;
        MemoryBounds {
            parts: vec![
                part(
                    "instances",
                    wasm::instances_memory(&limits.for_engine()),
                    "--instances, --memory-max, --table-max",
                ),
                part("bodies", bodies, "--buffer-max"),
                part(
                    "connections",
                    connections * connection::memory(connection, head_max),
                    "--connections, --head-max, --response-head-max",
                ),
                part(
                    "HTTP/2",
                    if is_http2 { connections * connection::more_for_http2(connection, head_max) } else { 0 },
                    "--connections, --h2-window, --h2-frame-max, --h2-table",
                ),
                part("TLS", if is_tls { connections * tls_stream::MEMORY_MAX } else { 0 }, "--connections"),
                part("unsent in the kernel", connections * u64::from(socket::UNSENT_MAX), "--connections"),
                part("kept versions", kept, "--keep-bytes, --memory-max"),
                part("journals", journals, "--journal-bytes"),
                part("samples", sites.len() as u64 * probation::MEMORY_MAX, "none"),
                part("candidates", candidates, "--module-max"),
                part("compiling", swap.compile_memory_max as u64, "--compile-memory-max"),
                part("log", log, "none"),
            ],
        }
    }

    /// Returns the sum of all parts, in bytes.
    pub fn sum(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }

    /// Logs the memory that the limits allow, and warns when it exceeds the memory that this
    /// process may use.
    pub fn state(&self) {
        info!(sum = %ByteSize(self.sum()), parts = %self, "memory that the limits allow");
        if let Some((bytes, by)) = available().filter(|(bytes, _)| *bytes < self.sum()) {
            let most = self.parts.iter().max_by_key(|part| part.bytes);
            let (what, flags) = most.map_or(("", ""), |part| (&*part.what, &*part.flags));
            let (sum, available) = (ByteSize(self.sum()), ByteSize(bytes));
            warn!(
                "the limits allow {sum} of memory, more than the {available} of {by}; most is for {what} ({flags})"
            );
        }
    }
}

impl fmt::Display for MemoryBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Part { what, bytes, .. }) in self.parts.iter().filter(|part| part.bytes > 0).enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{what} {}", ByteSize(*bytes))?;
        }
        Ok(())
    }
}

/// Returns the smallest limit on the memory of this process, in bytes, and the source of the limit.
fn available() -> Option<(u64, &'static str)> {
    let all = [
        (system_memory::cgroup_limit(), "its cgroup"),
        (getrlimit(Resource::Data).current, "RLIMIT_DATA"),
        (getrlimit(Resource::As).current, "RLIMIT_AS"),
        (system_memory::machine(), "this machine"),
    ];
    all.into_iter().filter_map(|(bytes, by)| Some((bytes?, by))).min_by_key(|(bytes, _)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::MemoryBounds;
    use crate::cli::args::Args;
    use clap::Parser;

    fn sum(flags: &[&str]) -> u64 {
        let flags = [&["host", "--connections", "1"], flags].concat();
        let limits = Args::parse_from(flags).serve.limits;
        MemoryBounds::new(&limits, &[&limits], 0, (false, false)).sum()
    }

    #[test]
    fn every_limit_on_memory_has_its_part_in_the_sum() {
        let before = sum(&[]);
        for (flag, value, least) in [
            ("--instances", "65", 2 << 26),
            ("--memory-max", "65MiB", 130 << 20),
            ("--table-max", "100000", 130 << 18),
            ("--buffer-max", "2GiB", 1 << 30),
            ("--head-max", "17KiB", 1 << 10),
            ("--module-max", "65MiB", 1 << 20),
            ("--keep-bytes", "257MiB", 1 << 20),
            ("--compile-memory-max", "513MiB", 1 << 20),
        ] {
            let after = sum(&[flag, value]);
            assert!(after >= before + least, "{flag}: {before} {after}");
        }
        let limits = Args::parse_from(["host", "--connections", "1001"]).serve.limits;
        assert_eq!(
            MemoryBounds::new(&limits, &[&limits], 16, (false, false)).sum(),
            MemoryBounds::new(&limits, &[&limits], 0, (false, false)).sum() + 16
        );
        assert!(
            MemoryBounds::new(&limits, &[&limits], 0, (false, false)).sum() > before + 1000 * (256 << 10)
        );
    }
}
