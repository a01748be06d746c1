//! Measures the start-up time of the host, and its memory with and without idle connections,
//! compared with nginx and with a native server on hyper.
//!
//! `cargo bench -p host-benches --bench memory -- [start] [connections] [burst]`
//!
//! - `start`: time from the start of the process to the first response; a client tries every 200 us
//! - `connections`: resident memory without connections, and 1 s and 3 s after 1,000, 5,000 and
//!   10,000 connections were opened and made one request each
//! - `burst`: resident memory before and after 5 s in which 64 clients send bodies of 1 MiB that
//!   are echoed, if wrk is installed
//!
//! Draws a plot of `connections`.

use std::thread::sleep;
use std::time::{Duration, Instant};

use host_benches::harness::Folder;
use host_benches::parts::peers::{
    self, HOST, HOST_ECHO, HOST_ECHO_GROWING, NATIVE, NGINX, NGINX_ROOMY, Peer,
};
use host_benches::parts::plot::{Axis, Plot, Scale, plain};
use host_benches::parts::process::{raise_descriptors, resident_kib};
use host_benches::parts::steady::{ask, connect};
use host_benches::parts::wrk::{self, Asked};
use host_benches::parts::{milliseconds, native, percentile, run_chosen};

const STARTS: usize = 11;

/// Pause between two attempts to get the first response. Without a pause, the attempts would occupy
/// a core.
const PAUSE: Duration = Duration::from_micros(200);

const CONNECTIONS: [usize; 3] = [1_000, 5_000, 10_000];

fn main() {
    native::serve_if_asked();
    run_chosen(&[("start", start), ("connections", connections), ("burst", burst)]);
}

fn start() {
    println!("from the start of the process to the first answer, of {STARTS} starts:");
    for peer in [HOST, NATIVE, NGINX] {
        let times: Option<Vec<f64>> = (0..STARTS).map(|_| time_to_start(&peer)).collect();
        let Some(times) = times else { continue };
        let [shortest, median, longest] = [0.0, 0.5, 1.0].map(|share| percentile(&times, share));
        println!("{:14} median {median:6.1} ms, from {shortest:.1} to {longest:.1}", peer.name);
    }
}

/// Starts a peer. Returns the time until its first response in milliseconds, or None if the peer is
/// not installed.
fn time_to_start(peer: &Peer) -> Option<f64> {
    let (folder, since) = (Folder::new(), Instant::now());
    peer.start(&folder, PAUSE)?;
    Some(milliseconds(since))
}

fn connections() {
    let most = raise_descriptors(CONNECTIONS[CONNECTIONS.len() - 1]);
    let mut growth = Vec::new();
    println!("resident memory with idle connections, and what each of them adds:");
    // nginx has room for so many connections only where it is configured for them.
    for peer in [HOST, NATIVE, NGINX_ROOMY] {
        let counts = CONNECTIONS.iter().map(|count| *count.min(&most));
        let points: Option<Vec<_>> = counts.map(|count| beside_idle(&peer, count)).collect();
        growth.extend(points.map(|points| (peer.name, points)));
    }
    let x = Axis { what: "idle connections", scale: Scale::Linear, label: plain };
    let y = Axis { what: "KiB for each connection", scale: Scale::Linear, label: plain };
    let title = "Resident memory that an idle connection adds, 3 s after its last request";
    let command = "cargo bench -p host-benches --bench memory";
    Plot { file: "memory-connections", title, command }.lines(&x, &y, &growth);
}

/// Starts a server and opens idle connections. Returns the number of connections, and the KiB of
/// memory that each has added after 3 s, or None if the server is not installed.
fn beside_idle(peer: &Peer, count: usize) -> Option<(f64, f64)> {
    let folder = Folder::new();
    let running = peer.start(&folder, peers::PAUSE)?;
    sleep(Duration::from_secs(1));
    let before = resident_kib(running.pid());
    // Connect and ask one by one: all connections at once would exceed the backlog
    // of some servers.
    let _idle: Vec<_> = (0..count)
        .map(|_| {
            let mut connection = connect(running.address);
            assert_eq!(ask(&mut connection, "/route"), Some(200));
            connection
        })
        .collect();
    let [soon, later] = [1, 2].map(|seconds| {
        sleep(Duration::from_secs(seconds));
        resident_kib(running.pid())
    });
    let mib = |kib: u64| kib as f64 / 1024.0;
    let each = |kib: u64| kib.saturating_sub(before) as f64 / count as f64;
    println!(
        "{:14} {count:6} connections: {:5.1} MiB before, {:6.1} MiB after 1 s ({:.2} KiB each), {:6.1} MiB after 3 s ({:.2} KiB each)",
        peer.name,
        mib(before),
        mib(soon),
        each(soon),
        mib(later),
        each(later)
    );
    Some((count as f64, each(later)))
}

fn burst() {
    if !wrk::is_there() {
        return;
    }
    println!("resident memory around a burst of bodies of 1 MiB:");
    for peer in [HOST_ECHO, HOST_ECHO_GROWING, NATIVE] {
        let folder = Folder::new();
        let Some(running) = peer.start(&folder, peers::PAUSE) else { continue };
        wrk::drive(&folder, running.address, Asked::Route, 8, 1);
        sleep(Duration::from_secs(1));
        let before = resident_kib(running.pid());
        wrk::drive(&folder, running.address, Asked::Echo(1 << 20), 64, 5);
        let at_end = resident_kib(running.pid());
        sleep(Duration::from_secs(10));
        let [before, at_end, later] =
            [before, at_end, resident_kib(running.pid())].map(|kib| kib as f64 / 1024.0);
        println!(
            "{:28} {before:6.1} MiB before, {at_end:6.1} at the end, {later:6.1} after 10 s ({:.2} x)",
            peer.name,
            later / before
        );
    }
}
