//! Measures how the load on one site affects the requests of another, and what many sites cost.
//!
//! `cargo bench -p host-benches --bench sites -- [isolation] [many]`
//!
//! - `isolation`: 99th percentile of the latency of one site, alone and while other sites run
//!   endless loops, get a flood of requests, and get candidates that are hard to compile
//! - `many`: time to start, resident memory, and time of a reload that adds a site, with up to
//!   1,000 sites

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::saying;
use host_benches::harness::{Folder, Server, bombs, fixture, host, output_of, status_kib};
use host_benches::parts::run_chosen;
use host_benches::parts::steady::{CALM, Seen, ask, ask_steadily, compare, connect};

/// Duration of one turn: one measurement under one of the loads in [`KINDS`].
const TURN: Duration = Duration::from_secs(5);

/// Number of turns under each of the loads in [`KINDS`].
const TURNS: usize = 5;

/// Number of connections whose requests make the handler loop endlessly.
const LOOPS: usize = 32;
/// Number of connections that send requests without a pause.
const FLOOD: usize = 8;

/// Loads on the other sites while the requests of one site are measured.
const KINDS: [&str; 5] = ["alone", "beside loops", "beside a flood", "beside candidates", "beside all three"];

fn main() {
    run_chosen(&[("isolation", isolation), ("many", many)]);
}

/// Starts a server with a configuration file in `folder`, which contains `lines` besides general
/// settings.
fn start(folder: &Folder, lines: &str) -> Server {
    let text =
        format!("listen = '127.0.0.1:0'\ncontrol = 'control'\nlog-level = 'error,handler=off'\n{lines}");
    fs::write(folder.file("host.toml"), text).unwrap();
    let mut command = host();
    command.current_dir(folder.file(""));
    Server::begin_as_it_is(command).until_ready()
}

fn isolation() {
    let folder = Folder::new();
    fs::write(folder.file("calm.wat"), saying("calm")).unwrap();
    fs::copy(fixture("loops_or_counts.wat"), folder.file("loops.wat")).unwrap();
    fs::write(folder.file("flood.wat"), saying("flood")).unwrap();
    let site = |name: &str| format!("[[site]]\nname = '{name}'\npath = '/{name}'\nmodule = '{name}.wat'\n");
    let server = start(&folder, &["calm", "loops", "flood"].map(site).concat());
    let address = server.addresses[0];
    let bombs: Vec<_> = bombs::all().into_iter().map(|(_, bomb)| bomb).collect();
    let failed = compare("requests of one site", TURNS, &KINDS, |kind| {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let beside = |is_on: bool, count: usize, work: &'static str| {
                for _ in 0..if is_on { count } else { 0 } {
                    let ended = &ended;
                    scope.spawn(move || {
                        be_elsewhere();
                        ask_until(ended, address, work);
                    });
                }
            };
            beside(kind == 1 || kind == 4, LOOPS, "/loops/loop");
            beside(kind == 2 || kind == 4, FLOOD, "/flood");
            if kind == 3 || kind == 4 {
                let (ended, folder, bombs, count) = (&ended, &folder, &bombs, bombs.len());
                scope.spawn(move || {
                    be_elsewhere();
                    let control = folder.file("control");
                    for number in (0..count).cycle().take_while(|_| !ended.load(Relaxed)) {
                        order(&control, "/v1/versions?site=loops", &bombs[number]);
                        order(&control, "/v1/rollback?site=loops", br#"{"version":1}"#);
                    }
                });
            }
            let seen: Seen = ask_steadily(address, "/calm", CALM, TURN);
            ended.store(true, Relaxed);
            seen
        })
    });
    assert_eq!(failed, 0);
}

/// Posts `body` to `target` of the API, and waits for the reply. The `host` command would do the
/// same, but starting its process would disturb the server more than the request does.
fn order(control: &Path, target: &str, body: &[u8]) {
    let mut stream = UnixStream::connect(control).expect("a control socket");
    let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\nx-host-admin: bench\r\n");
    // A module that is too large is refused before it is read.
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(body);
    let _ = io::copy(&mut stream, &mut io::sink());
}

/// Gives this thread the lowest priority, so that its client takes hardly any processor time from
/// the server, as if the client ran on another machine.
fn be_elsewhere() {
    rustix::process::nice(19).expect("any process may lower its priority");
}

/// Sends requests one after another until `ended` is set. Reconnects after a failure.
fn ask_until(ended: &AtomicBool, address: SocketAddr, target: &str) {
    let mut stream = connect(address);
    while !ended.load(Relaxed) {
        if ask(&mut stream, target).is_none() {
            stream = connect(address);
        }
    }
}

fn many() {
    // Builds the program, which does not belong to the first start.
    drop(host());
    for count in [1, 10, 100, 1000] {
        for is_shared in [true, false] {
            let folder = Folder::new();
            let mut lines = format!("instances = {}\n", count.max(64));
            for number in 0..count {
                let module = if is_shared { 0 } else { number };
                fs::write(folder.file(&format!("{module}.wat")), saying(&format!("site {module}"))).unwrap();
                let site =
                    format!("name = 'site-{number}'\nhosts = 'h{number}.example'\nmodule = '{module}.wat'");
                let _ = writeln!(lines, "[[site]]\n{site}");
            }
            let since = Instant::now();
            let server = start(&folder, &lines);
            let started = since.elapsed();
            // The second compilation of the modules goes on after the start.
            let memory = status_kib(server.pid(), "VmRSS:").unwrap_or_default();
            let more = "[[site]]\nname = 'new'\nhosts = 'new.example'\nmodule = '0.wat'\n";
            let text = fs::read_to_string(folder.file("host.toml")).unwrap() + more;
            fs::write(folder.file("host.toml"), text).unwrap();
            let since = Instant::now();
            let mut reload = host();
            let (code, said) = output_of(reload.arg("reload").env("HOST_CONTROL", folder.file("control")));
            assert_eq!(code, 0, "{said}");
            println!(
                "{count} sites, {}: start {:.2} s, {memory} KiB resident, reload {:.2} s",
                if is_shared { "one module" } else { "a module each" },
                started.as_secs_f64(),
                since.elapsed().as_secs_f64(),
            );
        }
    }
}
