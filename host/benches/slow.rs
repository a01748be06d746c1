//! Measures how slow clients affect other clients, and what idle connections cost the server.
//!
//! `cargo bench -p host-benches --bench slow -- [headers] [body] [read] [trickle] [idle]`
//!
//! - `headers`, `body`, `read`: latency of a healthy client, alone and beside 1,000 connections of
//!   `slowhttptest`, which slowly send the head of a request, slowly send its body, or slowly read
//!   a response of 512 KiB
//! - `trickle`: latency of a healthy client beside as many other connections as the server allows
//!   (1,000). Each sends one byte of a head every four seconds, and reconnects when the server
//!   closes it
//! - `idle`: memory of 10,000 connections that stay idle after one response, and latency of a
//!   healthy client before and beside them
//!
//! The healthy client sends 200 requests a second on connections that it keeps open, and one a
//! second on a new connection.
//!
//! `slowhttptest` polls all of its connections and occupies a core. `nice -n 19` does not entirely
//! keep it from disturbing the server. So in some turns it attacks a second server of the same
//! kind. The cost of slow clients is the difference between these turns and those in which it
//! attacks the measured server.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::{Server, fixture};
use host_benches::parts::process::raise_descriptors;
use host_benches::parts::program::{Program, is_installed};
use host_benches::parts::steady::{CALM, Seen, ask_steadily, compare};
use host_benches::parts::{high, percentile, run_chosen};

/// Number of slow connections that are open at the same time.
const CONNECTIONS: usize = 1000;

const TURNS: usize = 5;

/// Duration of one turn (one measurement). It exceeds ten seconds, the default of `--head-timeout`.
const TURN: Duration = Duration::from_secs(12);

/// Number of turns without idle connections, and of turns with them.
const IDLE_TURNS: usize = 5;

/// Duration of a turn in the part `idle`. It can be short, because the load does not change during
/// the turn.
const IDLE_TURN: Duration = Duration::from_secs(5);

const IDLE_CONNECTIONS: usize = 10_000;

const INSTALL: &str = "without it, only the part `idle` can run";

const QUIET: [&str; 2] = ["--log-level", "off"];

fn main() {
    run_chosen(&[("headers", headers), ("body", body), ("read", read), ("trickle", trickle), ("idle", idle)]);
}

/// Measures a healthy client beside clients that send a header field every second and never end the
/// head.
fn headers() {
    attacked("slow headers", &QUIET, "/", &["-H", "-i", "1"]);
}

/// Measures a healthy client beside clients that send a body of 100,000 bytes, a few bytes every
/// second.
fn body() {
    attacked("slow bodies", &QUIET, "/", &["-B", "-s", "100000", "-i", "1"]);
}

/// Measures a healthy client beside clients with a receive window of 512 to 1,024 bytes, which read
/// 32 bytes of a response every second.
fn read() {
    let module = fixture("large_and_small.wat");
    let arguments = [&[&*module][..], &QUIET].concat();
    attacked("slow reading", &arguments, "/large", &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32"]);
}

/// Pause between two bytes of a slow client in the part `trickle`.
const DROP: Duration = Duration::from_secs(4);

fn trickle() {
    raise_descriptors(CONNECTIONS);
    let connections = CONNECTIONS.to_string();
    let server = Server::with(&[&QUIET[..], &["--connections", &connections]].concat());
    let (address, done) = (server.addresses[0], AtomicBool::new(false));
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            let open = || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_nonblocking(true).unwrap();
                let _ = stream.write(b"G");
                stream
            };
            let mut all: Vec<TcpStream> = (0..CONNECTIONS).map(|_| open()).collect();
            let mut next = Instant::now() + DROP;
            while !done.load(Relaxed) {
                thread::sleep(Duration::from_millis(20));
                let drops = Instant::now() >= next;
                next += if drops { DROP } else { Duration::ZERO };
                for stream in &mut all {
                    let is_open = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
                    if !stream.read(&mut [0; 1024]).map_or_else(is_open, |length| length > 0) {
                        *stream = open();
                    } else if drops {
                        let _ = stream.write(b"E");
                    }
                }
            }
        });
        thread::sleep(Duration::from_secs(1));
        let seen = healthy(address, TURN);
        done.store(true, Relaxed);
        seen
    });
    println!(
        "beside {CONNECTIONS} trickling sockets: {} failed; 99th percentile {:.2} ms, of new connections at most {:.2} ms",
        seen.failed,
        high(&seen.times()),
        percentile(&seen.new, 1.0)
    );
}

/// Runs the healthy client for `time`, and returns its latencies and the number of its failures.
fn healthy(address: SocketAddr, time: Duration) -> Seen {
    ask_steadily(address, "/", CALM, time)
}

/// Measures the healthy client alone, during an attack on a second server, and during an attack on
/// its own server. Both servers start with `arguments`. `slowhttptest` runs with the arguments
/// `mode`, and requests `target`.
fn attacked(what: &str, arguments: &[&str], target: &str, mode: &[&str]) {
    if !is_installed("slowhttptest", "-h", INSTALL) {
        return;
    }
    raise_descriptors(CONNECTIONS);
    let server = Server::with(arguments);
    let address = server.addresses[0];
    // Skips the first requests after the start, which take longer.
    healthy(address, Duration::from_secs(2));
    let kinds = ["alone", "beside the same on another server", "beside them"];
    let failed = compare(what, TURNS, &kinds, |kind| match kind {
        0 => healthy(address, TURN),
        // The other server runs for this turn only.
        1 => beside_attack(what, address, &Server::with(arguments), target, mode),
        _ => beside_attack(what, address, &server, target, mode),
    });
    assert_eq!(failed, 0, "healthy requests failed beside {what}");
}

/// Measures the healthy client for one turn during an attack on `server`. The healthy client sends
/// its requests to `address`, which may belong to a different server.
fn beside_attack(what: &str, address: SocketAddr, server: &Server, target: &str, mode: &[&str]) -> Seen {
    let before = server.resources().descriptors;
    let (mut most, mut resident_kib, mut tcp) = (0, 0, 0);
    let seen = thread::scope(|scope| {
        let healthy = scope.spawn(|| healthy(address, TURN));
        let mut attacker = attack(server.addresses[0], target, mode);
        while !healthy.is_finished() {
            // The attacker ends when the server has closed all of its connections, so
            // it is started again.
            if attacker.0.try_wait().unwrap().is_some() {
                attacker = attack(server.addresses[0], target, mode);
            }
            let now = server.resources();
            most = most.max(now.descriptors.saturating_sub(before));
            resident_kib = resident_kib.max(now.resident_kib);
            tcp = tcp.max(tcp_pages());
            thread::sleep(Duration::from_millis(100));
        }
        healthy.join().unwrap()
    });
    println!(
        "{what}: {most} connections, at most {} MB resident and {} MB of the kernel's for TCP",
        resident_kib / 1000,
        tcp * rustix::param::page_size() / 1_000_000
    );
    assert!(most > CONNECTIONS / 2, "that was no attack");
    until_closed(server, before);
    seen
}

/// Starts `slowhttptest` against `address` for 60 s, which is longer than a turn.
fn attack(address: SocketAddr, target: &str, mode: &[&str]) -> Program {
    let (url, connections) = (format!("http://{address}{target}"), CONNECTIONS.to_string());
    let mut command = Command::new("nice");
    command.args(["-n", "19", "slowhttptest", "-c", &connections, "-r", "500", "-l", "60", "-u", &url]);
    command.args(mode).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Program::start(&mut command, INSTALL).expect("it is installed")
}

/// Returns the memory that the kernel uses for TCP data on the whole machine, in pages. When the
/// memory reaches the limit `net.ipv4.tcp_mem`, all connections wait.
fn tcp_pages() -> usize {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// Waits until the server has at most ten more open file descriptors than `before`: it has then
/// closed the connections of an attack.
fn until_closed(server: &Server, before: usize) {
    let since = Instant::now();
    while server.resources().descriptors > before + 10 {
        assert!(since.elapsed() < Duration::from_secs(60), "connections of clients that went are kept");
        thread::sleep(Duration::from_millis(50));
    }
}

fn idle() {
    let connections = raise_descriptors(IDLE_CONNECTIONS);
    let server = Server::with(&QUIET);
    let address = server.addresses[0];
    healthy(address, Duration::from_secs(2));
    let before = server.resources();
    let mut is_first = true;
    let failed = compare("idle connections", IDLE_TURNS, &["before", "beside them"], |kind| {
        if kind == 0 {
            return healthy(address, IDLE_TURN);
        }
        let mut idle: Vec<_> = (0..connections).map(|_| server.connect()).collect();
        let mut ask_all = || {
            idle.iter_mut().for_each(|client| assert_eq!(client.ask("GET", "/route").status, 200));
        };
        ask_all();
        let beside = server.resources();
        let seen = healthy(address, IDLE_TURN);
        // Fails if the idle timeout has ended a connection.
        ask_all();
        drop(idle);
        until_closed(&server, before.descriptors);
        // Freed memory stays with the process, so only the first turn shows the
        // cost of a connection.
        if std::mem::take(&mut is_first) {
            println!(
                "idle connections: {} kB resident before, {} kB beside {connections}: {:.2} KiB for each; {} kB after",
                before.resident_kib,
                beside.resident_kib,
                (beside.resident_kib - before.resident_kib) as f64 / connections as f64,
                server.resources().resident_kib
            );
        }
        seen
    });
    assert_eq!(failed, 0, "healthy requests failed beside idle connections");
}
