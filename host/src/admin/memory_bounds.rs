//! Computes the memory that the limits allow, in total and by part, and compares it
//! with the memory that this process may use.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;

use ::host_wasm as wasm;
use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::limits::Limits;
use crate::net::socket;
use crate::serve::connection;
use crate::telemetry::log_queue;

/// Most uploaded modules received or prepared at once; each takes its size in memory.
pub const UPLOADS_MAX: usize = 4;

/// One consumer of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the part.
    pub what: Cow<'static, str>,
    /// Most memory of the part, in bytes.
    pub bytes: u64,
    /// Flags that change the part's size.
    pub flags: Cow<'static, str>,
}

/// Most memory that the limits allow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryBounds {
    parts: Vec<Part>,
}

impl MemoryBounds {
    /// Computes the most memory of each part.
    pub fn new(limits: &Limits) -> MemoryBounds {
        let part = |what: &'static str, bytes, flags: &'static str| Part {
            what: what.into(),
            bytes,
            flags: flags.into(),
        };
        let Limits { connection, server, call, swap } = limits;
        let connections = server.connections as u64;
        let bodies = server.buffer_max as u64 + wasm::kept_for_responses(&limits.for_engine());
        // One more candidate may come from the module file.
        let candidates = (UPLOADS_MAX as u64 + 1) * swap.module_max as u64;
        // The current version may exceed `keep_bytes` by its memory image.
        let kept = swap.keep_bytes as u64 + call.memory_max as u64;
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
                    connections * connection::memory(connection),
                    "--connections, --head-max",
                ),
                part("unsent in the kernel", connections * u64::from(socket::UNSENT_MAX), "--connections"),
                part("kept versions", kept, "--keep-bytes, --memory-max"),
                part("candidates", candidates, "--module-max"),
                part("compiling", 2 * swap.compile_memory_max as u64, "--compile-memory-max"),
                part("log", log, "none"),
            ],
        }
    }

    /// Returns the sum of all parts, in bytes.
    pub fn sum(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).fold(0, u64::saturating_add)
    }

    /// Logs the sum, and warns when it exceeds the memory that this process may
    /// use.
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

/// Returns the smallest limit on the memory of this process, in bytes, and its
/// source.
fn available() -> Option<(u64, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let all = [
        (cgroup_limit(&groups, Path::new("/sys/fs/cgroup")), "its cgroup"),
        (getrlimit(Resource::Data).current, "RLIMIT_DATA"),
        (getrlimit(Resource::As).current, "RLIMIT_AS"),
        (machine, "this machine"),
    ];
    all.into_iter().filter_map(|(bytes, by)| Some((bytes?, by))).min_by_key(|(bytes, _)| *bytes)
}

/// Folder of the memory controller of cgroup v1: its name with a slash.
const V1: &str = "memory/";

/// Returns the smallest memory limit of a process's control groups, v1 or v2.
/// `groups` is the content of `/proc/PID/cgroup`; `root` is where the cgroup file
/// system is mounted.
fn cgroup_limit(groups: &str, root: &Path) -> Option<u64> {
    let mut least = None;
    for group in groups.lines() {
        let mut fields = group.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == V1.trim_end_matches('/')) => {
                (root.join(V1), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = root.join(path.trim_start_matches('/'));
        // A group is also bound by the limits of its ancestors.
        for folder in group.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let limit = fs::read_to_string(folder.join(file)).ok().and_then(|text| text.trim().parse().ok());
            least = [least, limit].into_iter().flatten().min();
        }
    }
    // cgroup v1 writes "no limit" as a number that no machine reaches.
    least.filter(|limit| *limit < 1 << 60)
}

/// Parses the total memory from `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::{MemoryBounds, cgroup_limit, total};
    use crate::cli::args::Args;
    use clap::Parser;
    use std::fs;

    fn sum(flags: &[&str]) -> u64 {
        let flags = [&["host", "--connections", "1"], flags].concat();
        MemoryBounds::new(&Args::parse_from(flags).serve.limits).sum()
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
            ("--compile-memory-max", "513MiB", 2 << 20),
        ] {
            let after = sum(&[flag, value]);
            assert!(after >= before + least, "{flag}: {before} {after}");
        }
        let limits = Args::parse_from(["host", "--connections", "1001"]).serve.limits;
        assert!(MemoryBounds::new(&limits).sum() > before + 1000 * (256 << 10));
    }

    #[test]
    fn a_group_has_no_more_than_those_around_it() {
        let root = std::env::temp_dir().join(format!("host-cgroups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "max\n");
        write("a/memory.max", "1000\n");
        write("a/b/memory.max", "2000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/c/memory.limit_in_bytes", "500\n");
        for (groups, limit) in [
            ("0::/a/b\n", Some(1000)),
            ("0::/\n", None),
            ("9:pids:/c\n4:memory:/c\n0::/\n", Some(500)),
            ("4:cpu,memory:/\n", None),
            ("nonsense\n\n0\n", None),
        ] {
            assert_eq!(cgroup_limit(groups, &root), limit, "{groups}");
        }
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16384));
        assert_eq!(total("MemTotal: much\n"), None);
    }
}
