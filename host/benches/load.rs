//! Processor time that a server uses for each request, side by side with nginx
//! where that is installed. The load is wrk's: 64 keep-alive connections.
//!
//! `cargo bench -p host --bench load`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unused_imports,
    missing_docs,
    reason = "a bench fails by panicking, and uses the tests' harness in part"
)]

#[path = "../../tests/harness/mod.rs"]
mod harness;
mod parts;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use harness::{Folder, addresses};
use parts::program::{Program, free_address};

const ROUNDS: usize = 5;

/// Ticks of utime and stime in a second, on every Linux that there is.
const TICKS: f64 = 100.0;

struct Peer {
    name: &'static str,
    program: Program,
    address: SocketAddr,
    /// Microseconds for a request, of each round.
    costs: Vec<f64>,
}

fn main() {
    let folder = Folder::new();
    let quiet = ["--log-level", "info,request=off"];
    let mut peers = vec![
        host("host, no lines for requests", &folder, &quiet),
        host("host, a line for each request, to a file", &folder, &[]),
    ];
    peers.extend(nginx(&folder));
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            let before = ticks(peer.program.0.id());
            let requests = wrk(peer.address);
            let used = (ticks(peer.program.0.id()) - before) as f64 / TICKS;
            peer.costs.push(used * 1e6 / requests);
        }
    }
    println!("processor time for each request, medians of {ROUNDS} rounds of 3 s in turn:");
    for peer in &mut peers {
        peer.costs.sort_by(f64::total_cmp);
        println!("{:6.2} us  {}", peer.costs[ROUNDS / 2], peer.name);
    }
}

fn host(name: &'static str, folder: &Folder, flags: &[&str]) -> Peer {
    let log = File::create(folder.file(&format!("log-{}", flags.len()))).unwrap();
    let mut command = harness::host();
    command.args(["--listen", "127.0.0.1:0", "--no-control"]).args(flags);
    let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    Peer { name, program: Program(process), address: addresses(ready.trim_end())[0], costs: Vec::new() }
}

/// nginx with as many workers as there are cores, answering from its
/// configuration.
fn nginx(folder: &Folder) -> Option<Peer> {
    let address = free_address();
    let http = format!(
        "server {{ listen {address};
           location = /route {{ default_type text/html; return 200 \"<h1> hello route</h1>\"; }} }}"
    );
    let program = parts::nginx::start(folder, "auto", &http, address)?;
    Some(Peer { name: "nginx, `return 200`, no access log", program, address, costs: Vec::new() })
}

/// Drives a server for three seconds. Returns how many requests it answered.
fn wrk(address: SocketAddr) -> f64 {
    let url = format!("http://{address}/route");
    let output = Command::new("wrk").args(["-t1", "-c64", "-d3s", &url]).output().expect("wrk is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let line = text.lines().find(|line| line.contains("requests in")).expect("a count");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// utime and stime of a process and of its children that run.
fn ticks(process: u32) -> u64 {
    let own = |id: &str| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    own(&process.to_string()) + children.split_whitespace().map(own).sum::<u64>()
}
