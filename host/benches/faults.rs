//! Measures how misbehaving requests affect other requests.
//!
//! `cargo bench -p host-benches --bench faults -- [loops] [starved] [overload] [soak] [IP:PORT]`
//!
//! - `loops`: latency of a healthy route, alternately alone and beside eight concurrent requests
//!   that loop forever. Also measures the server at IP:PORT, if that is given; it must answer /fine
//!   with 200, and never answer /l
//! - `starved`: failed requests and latency of a fast route, alone and beside a hundred clients
//!   that request a route that never ends, a route that takes 30 ms, or an endless route with a new
//!   target each time
//! - `overload`: latency of the admitted requests, with as many clients as there are instances, and
//!   with ten times as many
//! - `soak`: 65 s of healthy requests mixed with ones that trap, loop, or grow and fill memory;
//!   memory and file descriptors of the server after 5 s and at the end

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::mixed_request;
use host_benches::harness::{Client, Random, Server, fixture_text};
use host_benches::parts::steady::{CALM, Seen, ask, ask_steadily, compare, connect};
use host_benches::parts::{high, milliseconds, run_chosen};

fn main() {
    run_chosen(&[("loops", loops), ("starved", starved), ("overload", overload), ("soak", soak)]);
}

fn loops() {
    let server = Server::of_with("mixed.wat", &["--log-level", "off"]);
    let peer = std::env::args().find_map(|argument| argument.parse::<SocketAddr>().ok());
    let addresses: Vec<_> = [server.addresses[0]].into_iter().chain(peer).collect();
    let kinds = ["alone", "beside 8 endless loops", "peer, alone", "peer, beside 8 endless loops"];
    compare("healthy route", 3, &kinds[..2 * addresses.len()], |kind| {
        beside(addresses[kind / 2], [0, 8][kind % 2], "/l", Duration::from_secs(4))
    });
}

/// Measures a healthy route while other clients repeatedly request `target`. A `%` in the target is
/// replaced with a new number for each request.
fn beside(address: SocketAddr, clients: usize, target: &str, time: Duration) -> Seen {
    let (done, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut stream = connect(address);
                while !done.load(Relaxed) {
                    let target = target.replace('%', &count.fetch_add(1, Relaxed).to_string());
                    // Refused, timed out, or not answered.
                    if ask(&mut stream, &target) != Some(200) {
                        thread::sleep(REFUSED_PAUSE);
                        stream = connect(address);
                    }
                }
            });
        }
        thread::sleep(Duration::from_secs(u64::from(clients > 0)));
        let healthy = ask_steadily(address, "/fine", CALM, time);
        done.store(true, Relaxed);
        healthy
    })
}

/// Pause of a client whose request was not answered with 200.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Number of clients that request a route which takes long or never ends.
const LONG_CLIENTS: usize = 100;

fn starved() {
    let mixed = fixture_text("mixed.wat");
    // Works for about 30 ms if the path begins with /w (119 is `w`).
    let works = "(if (i32.eq (local.get $letter) (i32.const 119)) (then
        (local.set $request (i32.const 30000000))
        (loop $again (br_if $again (local.tee $request (i32.sub (local.get $request) (i32.const 1)))))))
      (i64.const 18)))";
    let mixed = mixed.trim_end().strip_suffix("(i64.const 18)))").unwrap().to_owned() + works;
    let server = Server::of_text_with(&mixed, &["--log-level", "off"]);
    for (what, clients, target) in [
        ("alone", 0, ""),
        ("beside a route that never ends", LONG_CLIENTS, "/l"),
        ("beside a route of 30 ms", LONG_CLIENTS, "/w"),
        ("beside ever new targets that never end", LONG_CLIENTS, "/l%"),
    ] {
        let seen = beside(server.addresses[0], clients, target, Duration::from_secs(8));
        let percent = 100.0 * seen.failed as f64 / (seen.answers.len() + seen.new.len()) as f64;
        println!("{what}: {percent:.1} % refused, 99th percentile {:.2} ms", high(&seen.times()));
    }
}

/// Default of the host's flag `--instances`.
const INSTANCES: usize = 64;

fn overload() {
    let flags = ["--log-level", "off", "--deadline", "10s", "--queue-timeout", "10s"];
    let server = Server::of_with("works.wat", &flags);
    compare("admitted requests", 5, &["at capacity", "with ten times the clients"], |kind| {
        busy(server.addresses[0], [INSTANCES, 10 * INSTANCES][kind])
    });
}

/// Runs clients for four seconds. Each client sends its next request at once, or after 100 ms if
/// the previous one was refused. Refused requests count as failed.
fn busy(address: SocketAddr, clients: usize) -> Seen {
    let start = Instant::now();
    let client = || {
        let (mut client, mut seen) = (Client::connect(address), Seen::default());
        while start.elapsed() < Duration::from_secs(4) {
            let since = Instant::now();
            let reply = client.ask("GET", "/");
            if reply.status == 200 {
                seen.answers.push((since - start, milliseconds(since)));
            } else {
                assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
                seen.failed += 1;
                thread::sleep(Duration::from_millis(100));
            }
        }
        seen
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut all = Seen::default();
        clients.into_iter().for_each(|client| all.add(client.join().unwrap()));
        all
    })
}

fn soak() {
    let server = Server::of_with("mixed.wat", &["--log-level", "off", "--deadline", "250ms"]);
    let healthy = AtomicU64::new(0);
    let run = |time: Duration| {
        let end = Instant::now() + time;
        thread::scope(|scope| {
            for seed in 1..=8 {
                let (mut client, healthy) = (server.connect(), &healthy);
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    while Instant::now() < end {
                        let (target, status) = mixed_request(&mut random);
                        let reply = client.ask("GET", target);
                        assert_eq!(reply.status, status, "{target}");
                        assert!(status != 200 || reply.text() == "0", "{target}: {}", reply.text());
                        healthy.fetch_add(u64::from(target == "/fine"), Relaxed);
                    }
                });
            }
        });
    };
    run(Duration::from_secs(5));
    println!("after 5 s: {:?}", server.resources());
    run(Duration::from_secs(60));
    println!("after 65 s: {:?}", server.resources());
    println!("{} healthy requests beside the faults, all answered right", healthy.into_inner());
}
