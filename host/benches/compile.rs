//! What modules that are hard to compile cost those who are being served.
//!
//! `cargo bench -p host-benches --bench compile -- [bombs] [kills] [faults]`
//!
//! - `bombs`: each of `tests/harness/bombs.rs` is swapped in while a client asks,
//!   by a server in a memory cgroup of 512 MiB, where one can be made
//! - `kills`: a compile process is killed at 200 random moments
//! - `faults`: system calls of the server fail, one kind at a time, by strace

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::saying;
use host_benches::harness::{Folder, Random, Server, bombs, host, run_to_end};
use host_benches::parts::program::Program;
use host_benches::parts::run_chosen;
use host_benches::parts::steady::{ask_steadily, high};

fn main() {
    run_chosen(&[("bombs", all_bombs), ("kills", kills), ("faults", faults)]);
}

/// A server with a state folder and a control socket.
struct Place {
    folder: Folder,
    cgroup: Option<Cgroup>,
}

impl Place {
    fn new(cgroup: Option<Cgroup>) -> Place {
        Place { folder: Folder::new(), cgroup }
    }

    fn path(&self, name: &str) -> String {
        self.folder.file(name).to_str().unwrap().to_owned()
    }

    fn start(&self) -> Server {
        let (state, control) = (self.path("state"), self.path("control"));
        let arguments = ["--state-dir", &state, "--control", &control, "--log-level", "info,request=off"];
        let mut command = host();
        if let Some(cgroup) = &self.cgroup {
            let program = command.get_program().to_owned();
            command = Command::new("sh");
            command.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$@\""]).arg(&cgroup.0).arg(program);
        }
        Server::spawn(command, &arguments)
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let mut command = host();
        let output = run_to_end(command.args(arguments).arg("--control").arg(self.path("control")));
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn swap(&self, module: &[u8]) -> String {
        let file = self.path("module");
        fs::write(&file, module).unwrap();
        self.tell(&["swap", &file])
    }
}

/// A memory cgroup, which goes when this is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one, of version 1 or 2, unless that is not allowed.
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
    let place = Place::new(cgroup);
    match &place.cgroup {
        Some(_) => println!("in a memory cgroup of 512 MiB"),
        None => println!("without a memory cgroup: none can be made here"),
    }
    let mut server = place.start();
    let since = Duration::from_secs(5);
    let (alone, failed) = ask_steadily(server.addresses[0], "/", since);
    println!("alone: 99th percentile {:.1} ms, {failed} failed", high(alone).as_secs_f64() * 1e3);
    for (name, module) in bombs::all() {
        let address = server.addresses[0];
        let (said, took, (times, failed)) = thread::scope(|scope| {
            let asking = scope.spawn(move || ask_steadily(address, "/", Duration::from_secs(5)));
            let since = Instant::now();
            let said = place.swap(&module);
            (said, since.elapsed(), asking.join().unwrap())
        });
        drop(server);
        server = place.start();
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
    let place = Place::new(None);
    let server = place.start();
    let mut random = Random::new(0x5eed);
    let (mut served, mut rejected) = (0, 0);
    for round in 0..200u32 {
        let module = match round % 2 {
            0 => bombs::much_code(100 + round as usize),
            _ => saying(&round.to_string()).into(),
        };
        let said = thread::scope(|scope| {
            let swap = scope.spawn(|| place.swap(&module));
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
    let litter = fs::read_dir(place.folder.file("state")).unwrap().count();
    println!(
        "200 orders, a compiler killed during each: {served} served, {rejected} rejected with the cause"
    );
    println!("entries in the state folder afterwards: {litter}");
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    assert!(place.swap(saying("after").as_bytes()).starts_with("serving version "));
}

/// System calls that fail: the error, the first call that gets it, and the step to
/// the next.
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

/// The server has to live through each, to answer, and to swap afterwards.
fn faults() {
    for (call, fault) in FAULTS {
        let place = Place::new(None);
        let mut server = place.start();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:{fault}"), "-p", &server.pid().to_string()]);
        let Some(strace) = Program::start(&mut strace, "faults are not injected") else {
            return;
        };
        thread::sleep(Duration::from_millis(500));
        let mut outcomes = Vec::new();
        for round in 0..6 {
            let said = place.swap(saying(&format!("{call} {round}")).as_bytes());
            outcomes.push(if said.starts_with("serving") { "served" } else { "rejected" });
        }
        drop(strace);
        let alive = place.swap(saying("after").as_bytes());
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
