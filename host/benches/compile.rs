//! Measures what modules that are hard to compile cost other requests.
//!
//! `cargo bench -p host-benches --bench compile -- [bombs] [kills] [faults]`
//!
//! - `bombs`: swaps to each module of `tests/harness/bombs.rs` while a client sends
//!   requests, in a memory cgroup of 512 MiB if one can be made
//! - `kills`: a compile process is killed at 200 random moments
//! - `faults`: system calls of the server fail, one kind at a time, by strace

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::saying;
use host_benches::harness::{Deployment, Random, Server, bombs, host, host_after};
use host_benches::parts::program::Program;
use host_benches::parts::run_chosen;
use host_benches::parts::steady::{ask_steadily, high};

fn main() {
    run_chosen(&[("bombs", all_bombs), ("kills", kills), ("faults", faults)]);
}

/// Starts the server of a deployment, in a memory cgroup if there is one.
fn start(deployment: &Deployment, cgroup: Option<&Cgroup>) -> Server {
    let command = match cgroup {
        Some(Cgroup(path)) => host_after(&format!("echo $$ > '{}/cgroup.procs'", path.display())),
        None => host(),
    };
    deployment.spawn(command, &["--log-level", "info,request=off"])
}

/// A memory cgroup, which is removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes a cgroup of version 1 or 2. Returns None where that is not permitted.
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
    let mut server = start(&deployment, cgroup.as_ref());
    let since = Duration::from_secs(5);
    let (alone, failed) = ask_steadily(server.addresses[0], "/", since);
    println!("alone: 99th percentile {:.1} ms, {failed} failed", high(alone).as_secs_f64() * 1e3);
    for (name, module) in bombs::all() {
        let address = server.addresses[0];
        let (said, took, (times, failed)) = thread::scope(|scope| {
            let asking = scope.spawn(move || ask_steadily(address, "/", Duration::from_secs(5)));
            let since = Instant::now();
            let said = deployment.swap(&module);
            (said, since.elapsed(), asking.join().unwrap())
        });
        drop(server);
        server = start(&deployment, cgroup.as_ref());
        let back = server.connect().ask("GET", "/").status;
        println!(
            "{name}, {} KB: {:.2} s, 99th percentile {:.1} ms, {failed} failed, after a restart {back}: {}",
            module.len() / 1000,
            took.as_secs_f64(),
            high(times).as_secs_f64() * 1e3,
            said.lines().next().unwrap_or_default(),
        );
        assert_eq!(back, 200);
    }
}

fn kills() {
    let deployment = Deployment::new();
    let server = start(&deployment, None);
    let mut random = Random::new(0x5eed);
    let (mut served, mut rejected) = (0, 0);
    for round in 0..200u32 {
        let module = match round % 2 {
            0 => bombs::much_code(100 + round as usize),
            _ => saying(&round.to_string()).into(),
        };
        let said = thread::scope(|scope| {
            let swap = scope.spawn(|| deployment.swap(&module));
            thread::sleep(Duration::from_micros(random.below(60_000) as u64));
            for process in server.children() {
                let _ = Command::new("kill").args(["-9", &process.to_string()]).output();
            }
            swap.join().unwrap()
        });
        match said.starts_with("serving version ") {
            true => served += 1,
            false => {
                assert!(said.contains("the compiler was killed"), "{said}");
                rejected += 1;
            }
        }
    }
    let litter = deployment.state_names().len();
    println!(
        "200 orders, a compiler killed during each: {served} served, {rejected} rejected with the cause"
    );
    println!("entries in the state folder afterwards: {litter}");
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    assert!(deployment.swap(saying("after").as_bytes()).starts_with("serving version "));
}

/// System calls that fail, with the error, the first call that fails, and the step
/// to the next.
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

/// Checks that the server survives each fault, answers, and swaps afterwards.
fn faults() {
    for (call, fault) in FAULTS {
        let deployment = Deployment::new();
        let mut server = start(&deployment, None);
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
