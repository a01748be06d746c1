//! Reads how much memory the machine has and the control groups (cgroups) of this process allow,
//! and how much of it is left.

use std::fs;
use std::path::{Path, PathBuf};

/// Mount point of the cgroup file system.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Folder of the memory controller of cgroup v1: the name of the controller, with a slash.
const V1: &str = "memory/";

/// Returns the smallest memory limit of the cgroups of this process, in bytes; [`None`] if none has
/// a limit.
pub fn cgroup_limit() -> Option<u64> {
    Group::all(&own_groups(), Path::new(CGROUPS)).iter().filter_map(Group::limit).min()
}

/// Returns the memory of this machine, in bytes; [`None`] if `/proc/meminfo` does not say.
pub fn machine() -> Option<u64> {
    meminfo("MemTotal:", &fs::read_to_string("/proc/meminfo").ok()?)
}

/// Returns the memory in bytes that is left on the machine and in the cgroups of this process;
/// [`None`] if it is unknown. Memory of caches, which the kernel frees on demand, counts as left.
pub(crate) fn left() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| meminfo("MemAvailable:", &text));
    let groups = Group::all(&own_groups(), Path::new(CGROUPS));
    groups.iter().filter_map(Group::left).chain(machine).min()
}

fn own_groups() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// A cgroup that limits memory, with the names of its files.
struct Group {
    folder: PathBuf,
    files: &'static Files,
}

/// Names of the files of a memory controller, and beginnings of the lines about caches in
/// `memory.stat`.
struct Files {
    limit: &'static str,
    usage: &'static str,
    caches: [&'static str; 2],
}

static FILES_V1: Files = Files {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    caches: ["total_inactive_file ", "total_active_file "],
};
static FILES_V2: Files =
    Files { limit: "memory.max", usage: "memory.current", caches: ["inactive_file ", "active_file "] };

impl Group {
    /// Lists the cgroups of a process, v1 and v2, with their ancestors, whose limits count
    /// too. `groups` is the content of `/proc/PID/cgroup`.
    fn all(groups: &str, root: &Path) -> Vec<Group> {
        let mut all = Vec::new();
        for group in groups.lines() {
            let mut fields = group.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            let (root, files) = match controllers {
                "" => (root.to_owned(), &FILES_V2),
                _ if controllers.split(',').any(|name| name == V1.trim_end_matches('/')) => {
                    (root.join(V1), &FILES_V1)
                }
                _ => continue,
            };
            let group = root.join(path.trim_start_matches('/'));
            let folders = group.ancestors().take_while(|folder| folder.starts_with(&root));
            all.extend(folders.map(|folder| Group { folder: folder.to_owned(), files }));
        }
        all
    }

    fn limit(&self) -> Option<u64> {
        // cgroup v2 writes "max" for no limit, and v1 a number that no machine reaches.
        self.number(self.files.limit).filter(|limit| *limit < 1 << 60)
    }

    fn left(&self) -> Option<u64> {
        let (limit, usage) = (self.limit()?, self.number(self.files.usage)?);
        let statistics = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let cache = |name| statistics.lines().find_map(|line| line.strip_prefix(name)?.parse::<u64>().ok());
        let caches: u64 = self.files.caches.iter().filter_map(cache).sum();
        Some(limit.saturating_sub(usage.saturating_sub(caches)))
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }
}

/// Returns the amount in the line of `/proc/meminfo` that begins with `name`, in bytes. `text` is
/// the file's content.
fn meminfo(name: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::{Group, meminfo};
    use std::fs;

    #[test]
    fn a_group_has_no_more_than_those_around_it() {
        let root = std::env::temp_dir().join(format!("host-cgroups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("memory.max", "max\n");
        write("memory.current", "5000\n");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "900\n");
        write("a/memory.stat", "anon 100\ninactive_file 200\nactive_file 50\n");
        write("a/b/memory.max", "2000\n");
        write("a/b/memory.current", "300\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/c/memory.limit_in_bytes", "500\n");
        write("memory/c/memory.usage_in_bytes", "600\n");
        write("memory/c/memory.stat", "inactive_file 1\ntotal_inactive_file 20\ntotal_active_file 130\n");
        for (groups, limit, left) in [
            ("0::/a/b\n", Some(1000), Some(350)),
            ("0::/\n", None, None),
            ("9:pids:/c\n4:memory:/c\n0::/\n", Some(500), Some(50)),
            ("4:cpu,memory:/\n", None, None),
            ("nonsense\n\n0\n", None, None),
        ] {
            let all = Group::all(groups, &root);
            assert_eq!(all.iter().filter_map(Group::limit).min(), limit, "{groups}");
            assert_eq!(all.iter().filter_map(Group::left).min(), left, "{groups}");
        }
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn amounts_of_the_machine_are_read() {
        assert_eq!(meminfo("MemTotal:", "MemFree: 1 kB\nMemTotal:       16 kB\n"), Some(16384));
        assert_eq!(meminfo("MemTotal:", "MemTotal: much\n"), None);
    }
}
