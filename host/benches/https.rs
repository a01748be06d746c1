//! Measures the processor time of the host over TLS, compared with nginx and with a minimal server
//! on the host's libraries, rustls and h2, which shows how much of the cost comes from the
//! libraries. All servers have the same certificate. h2load and openssl generate the load. The
//! results are medians of several rounds.
//!
//! `cargo bench -p host-benches --bench https -- [keep-alive] [streams] [handshakes]`
//!
//! - `keep-alive`: GET /route over HTTP/1.1 on 16 connections that stay open
//! - `streams`: GET /route over HTTP/2 on 16 connections, with 1, 10 and 100 streams each
//! - `handshakes`: a new connection for each request, with full and with resumed handshakes, over
//!   TLS 1.3 and over TLS 1.2

use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use host_benches::harness::Folder;
use host_benches::parts::process::processor_time;
use host_benches::parts::program::is_installed;
use host_benches::parts::secure::{self, BARE, HOST, NGINX, Secure};
use host_benches::parts::{bare, is_chosen, median};

const ROUNDS: usize = 5;

/// Number of requests in a round of `keep-alive` or `streams`.
const REQUESTS: usize = 60_000;

/// Duration of a round of `handshakes`, in seconds.
const SECONDS: usize = 2;

const CONNECTIONS: usize = 16;

const NAMES: [&str; 3] = ["keep-alive", "streams", "handshakes"];

/// A running server. For each round, `rounds` contains the user time and the system time that a
/// request took, in microseconds.
struct Peer {
    server: Secure,
    rounds: Vec<[f64; 2]>,
}

fn main() {
    bare::serve_if_asked();
    let without = "nothing can be measured (on Debian: apt-get install nghttp2-client openssl)";
    if !is_installed("h2load", "--version", without) || !is_installed("openssl", "version", without) {
        return;
    }
    let folder = Folder::new();
    let (servers, _) = secure::start(&folder, &[HOST, BARE, NGINX]);
    let mut peers: Vec<_> = servers.into_iter().map(|server| Peer { server, rounds: Vec::new() }).collect();
    if is_chosen(NAMES[0], &NAMES) {
        let what = format!("GET /route over HTTP/1.1 and TLS, connections: {CONNECTIONS}");
        measure(&what, &mut peers, |address| load(address, &["--h1"]));
    }
    for streams in ["1", "10", "100"] {
        if is_chosen(NAMES[1], &NAMES) {
            let what =
                format!("GET /route over HTTP/2, connections: {CONNECTIONS}, streams of each: {streams}");
            measure(&what, &mut peers, |address| load(address, &["-m", streams]));
        }
    }
    for version in ["-tls1_3", "-tls1_2"] {
        for kind in ["-new", "-reuse"] {
            if is_chosen(NAMES[2], &NAMES) {
                let what = format!("a connection for each request, openssl s_time {version} {kind}");
                measure(&what, &mut peers, |address| shake_hands(address, version, kind));
            }
        }
    }
}

/// Measures the servers one after the other, and reverses their order each round. Prints the
/// medians, and the ratios to nginx, or to the last server that is installed. `drive` loads a
/// server and returns the number of requests.
fn measure(what: &str, peers: &mut [Peer], drive: impl Fn(SocketAddr) -> f64) {
    for round in 0..ROUNDS {
        let mut order: Vec<_> = peers.iter_mut().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for peer in order {
            let before = processor_time(peer.server.program.0.id());
            let requests = drive(peer.server.address);
            let after = processor_time(peer.server.program.0.id());
            peer.rounds.push([0, 1].map(|kind| (after[kind] - before[kind]).as_secs_f64() * 1e6 / requests));
        }
    }
    println!("\n{what}; medians of {ROUNDS} rounds in turn");
    let totals = |peer: &Peer| peer.rounds.iter().map(|round| round[0] + round[1]).collect::<Vec<_>>();
    let reference = peers.last().map(totals).unwrap_or_default();
    for peer in peers.iter() {
        let part = |kind: usize| median(&peer.rounds.iter().map(|round| round[kind]).collect::<Vec<_>>());
        let totals = totals(peer);
        let ratios: Vec<_> = totals.iter().zip(&reference).map(|(total, other)| total / other).collect();
        println!(
            "{:20} user {:7.2} us, system {:7.2} us, both {:7.2} us, to {} {:.2}",
            peer.server.name,
            part(0),
            part(1),
            median(&totals),
            peers[peers.len() - 1].server.name,
            median(&ratios)
        );
    }
    for peer in peers {
        peer.rounds.clear();
    }
}

/// Loads a server with h2load. Returns the number of requests.
fn load(address: SocketAddr, arguments: &[&str]) -> f64 {
    let mut command = Command::new("h2load");
    command.args(["-n", &REQUESTS.to_string(), "-c", &CONNECTIONS.to_string()]).args(arguments);
    let output = command.arg(format!("https://{address}/route")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("{REQUESTS} succeeded")), "{text}");
    REQUESTS as f64
}

/// Makes connections with openssl, with one request on each. Returns the number of connections.
fn shake_hands(address: SocketAddr, version: &str, kind: &str) -> f64 {
    let since = Instant::now();
    let mut command = Command::new("openssl");
    command.args(["s_time", "-connect", &address.to_string(), "-www", "/route", version, kind]);
    let output = command.args(["-time", &SECONDS.to_string()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.contains(" connections in ") && line.contains("real seconds"));
    let number = line.and_then(|line| line.split(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("after {:?}: {text}", since.elapsed()))
}
