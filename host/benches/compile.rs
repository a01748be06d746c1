//! Measures how modules that are hard to compile slow down requests.
//!
//! `cargo bench -p host-benches --bench compile -- [bombs] [faults]`
//!
//! - `bombs`: swaps to each module of `tests/harness/bombs.rs` while a client sends requests, in a
//!   memory cgroup of 512 MiB if one can be created
//! - `faults`: checks that the server survives while strace makes system calls fail, one kind of
//!   system call after the other

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::saying;
use host_benches::harness::{Deployment, bombs, host, host_after};
use host_benches::parts::peers::QUIET;
use host_benches::parts::program::Program;
use host_benches::parts::steady::{CALM, ask_steadily};
use host_benches::parts::{high, run_chosen};

/// Time for which a client sends requests, with or without a swap meanwhile.
const TURN: Duration = Duration::from_secs(5);

fn main() {
    run_chosen(&[("bombs", all_bombs), ("faults", faults)]);
}

/// A memory cgroup, which is removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a cgroup of version 1 or 2 with a limit on memory. Returns None if that is not
    /// permitted.
    fn new(bytes: u64) -> Option<Cgroup> {
        let name = format!("host-bench-{}", std::process::id());
        for (parent, file) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let path = Path::new(parent).join(&name);
            if fs::create_dir(&path).is_ok() {
                let cgroup = Cgroup(path);
                if fs::write(cgroup.0.join(file), bytes.to_string()).is_ok() {
                    return Some(cgroup);
                }
            }
        }
        None
    }

    /// Returns a command that runs the server in the cgroup.
    fn host(&self) -> Command {
        host_after(&format!("echo $$ > '{}/cgroup.procs'", self.0.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn all_bombs() {
    let cgroup = Cgroup::new(512 << 20);
    let deployment = Deployment::new();
    match &cgroup {
        Some(_) => println!("in a memory cgroup of 512 MiB"),
        None => println!("without a memory cgroup: none can be made here"),
    }
    let start = || deployment.spawn(cgroup.as_ref().map_or_else(host, Cgroup::host), &QUIET);
    let mut server = start();
    let alone = ask_steadily(server.addresses[0], "/", CALM, TURN);
    println!("alone: 99th percentile {:.1} ms, {} failed", high(&alone.times()), alone.failed);
    for (name, module) in bombs::all() {
        let address = server.addresses[0];
        let (said, took, seen) = thread::scope(|scope| {
            let asking = scope.spawn(move || ask_steadily(address, "/", CALM, TURN));
            let since = Instant::now();
            let said = deployment.swap(&module);
            (said, since.elapsed(), asking.join().unwrap())
        });
        drop(server);
        server = start();
        let back = server.connect().ask("GET", "/").status;
        println!(
            "{name}, {} KB: {:.2} s, 99th percentile {:.1} ms, {} failed, after a restart {back}: {}",
            module.len() / 1000,
            took.as_secs_f64(),
            high(&seen.times()),
            seen.failed,
            said.lines().next().unwrap_or_default(),
        );
        assert_eq!(back, 200);
    }
}

/// Failures that strace injects into system calls. Each entry contains the name of the system call
/// and, in the syntax of strace, the error, the number of the first call that fails, and the step
/// to the next one.
const FAULTS: [(&str, &str); 12] = [
    ("clone3", "error=EAGAIN:when=1+2"),
    ("clone", "error=EAGAIN:when=1+2"),
    ("vfork", "error=EAGAIN:when=1+2"),
    ("mmap", "error=ENOMEM:when=3+5"),
    ("mprotect", "error=ENOMEM:when=2+3"),
    ("munmap", "error=ENOMEM:when=2+3"),
    ("madvise", "error=ENOMEM:when=2+3"),
    ("pipe2", "error=EMFILE:when=1+2"),
    ("openat", "error=EMFILE:when=1+2"),
    ("fsync", "error=EIO:when=1+2"),
    ("renameat", "error=ENOSPC:when=1+2"),
    ("accept4", "error=EMFILE:when=1+2"),
];

/// Checks that the server survives the failures of each system call in [`FAULTS`], and that it can
/// swap and answer requests afterwards.
fn faults() {
    for (call, fault) in FAULTS {
        let deployment = Deployment::new();
        let mut server = deployment.start(&QUIET);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:{fault}"), "-p", &server.pid().to_string()]);
        let Some(strace) = Program::start(&mut strace, "faults are not injected") else {
            return;
        };
        thread::sleep(Duration::from_millis(500));
        let mut outcomes = Vec::new();
        for round in 0..6 {
            let said = deployment.swap(saying(&format!("{call} {round}")).as_bytes());
            outcomes.push(if said.starts_with("serving") { "served" } else { "rejected" });
        }
        drop(strace);
        let alive = deployment.swap(saying("after").as_bytes());
        let answer = server.connect().ask("GET", "/");
        println!(
            "{call} ({fault}): {}; afterwards {}",
            outcomes.join(" "),
            alive.lines().next().unwrap_or_default()
        );
        assert_eq!((answer.status, answer.text()), (200, "after"), "{call}");
        let _ = server.log_line_now(&["ERROR"]).map(|line| println!("  {line}"));
    }
}
