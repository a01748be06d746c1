//! Measures what misbehaving requests cost other requests.
//!
//! `cargo bench -p host-benches --bench faults -- [loops] [starved] [overload] [soak] [IP:PORT]`
//!
//! - `loops`: latency of a healthy route, without and with eight requests at a
//!   time that loop for ever, in turn; and the same for the server at IP:PORT, if
//!   one is named, which has to answer /fine with 200 and never /l
//! - `starved`: answers and latency of a quick route, alone and beside a hundred
//!   clients of a route that never ends, of one that takes some milliseconds, and of
//!   ever new targets that never end
//! - `overload`: latency of what is admitted, with as many clients as there are
//!   instances, and with ten times as many
//! - `soak`: a minute of traps, loops and hoarding; then memory and descriptors

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::modules::mixed_request;
use host_benches::harness::{Client, Random, Server, fixture_text};
use host_benches::parts::run_chosen;
use host_benches::parts::steady::{ask, ask_steadily, connect, high, median};

fn main() {
    run_chosen(&[("loops", loops), ("starved", starved), ("overload", overload), ("soak", soak)]);
}

fn loops() {
    let server = Server::of_with("mixed.wat", &["--log-level", "off"]);
    let peer = std::env::args().find_map(|argument| argument.parse::<SocketAddr>().ok());
    let servers = [("host", Some(server.addresses[0])), ("peer", peer)];
    let servers: Vec<_> = servers.iter().filter_map(|(name, address)| Some((*name, (*address)?))).collect();
    let mut turns = vec![[Vec::new(), Vec::new()]; servers.len()];
    let mut unanswered = vec![0; servers.len()];
    for _ in 0..3 {
        for (index, (name, address)) in servers.iter().enumerate() {
            for loops in [0, 8] {
                let (times, failed) = healthy_beside(*address, loops);
                let high = high(times);
                println!("{name}, {loops} endless loops: 99th percentile {high:.2?}, {failed} unanswered");
                turns[index][usize::from(loops > 0)].push(high);
                unanswered[index] += failed;
            }
        }
    }
    for (((name, _), turns), unanswered) in servers.iter().zip(turns).zip(unanswered) {
        let [without, with] = turns.map(median);
        println!(
            "{name}: healthy route, 99th percentile, medians of 3 turns: {without:.2} ms alone, {with:.2} ms beside 8 endless loops; {unanswered} without an answer in 5 s"
        );
    }
}

/// Measures a healthy route for four seconds beside clients whose requests loop.
/// Returns the times of the answers, and how many are missing.
fn healthy_beside(address: SocketAddr, loops: usize) -> (Vec<Duration>, usize) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    // A timeout, or no answer.
                    let _ = ask(&mut connect(address), "/l");
                }
            });
        }
        let healthy = ask_steadily(address, "/fine", Duration::from_secs(4));
        done.store(true, Relaxed);
        healthy
    })
}

/// Number of clients of a long route.
const LONG_CLIENTS: usize = 100;

fn starved() {
    let mixed = fixture_text("mixed.wat");
    // Works for about 30 ms if the path asks for it.
    let works = "(if (i32.eq (local.get $letter) (i32.const 119)) (then
        (local.set $request (i32.const 30000000))
        (loop $again (br_if $again (local.tee $request (i32.sub (local.get $request) (i32.const 1)))))))
      (i64.const 18)))";
    let mixed = mixed.trim_end().strip_suffix("(i64.const 18)))").unwrap().to_owned() + works;
    let server = Server::of_text_with(&mixed, &["--log-level", "off"]);
    let address = server.addresses[0];
    for (what, long) in [
        ("alone", None),
        ("beside a route that never ends", Some("/l")),
        ("beside a route of 30 ms", Some("/w")),
        ("beside ever new targets that never end", Some("/l%")),
    ] {
        let done = AtomicBool::new(false);
        let (times, refused) = thread::scope(|scope| {
            for client in 0..if long.is_some() { LONG_CLIENTS } else { 0 } {
                let done = &done;
                scope.spawn(move || {
                    let mut stream = connect(address);
                    for count in 0.. {
                        if done.load(Relaxed) {
                            break;
                        }
                        let target = long.unwrap_or_default().replace('%', &format!("{client}-{count}"));
                        if ask(&mut stream, &target) != Some(200) {
                            thread::sleep(Duration::from_millis(50));
                        }
                    }
                });
            }
            thread::sleep(Duration::from_secs(u64::from(long.is_some())));
            let quick = ask_steadily(address, "/fine", Duration::from_secs(8));
            done.store(true, Relaxed);
            quick
        });
        let percent = 100.0 * refused as f64 / times.len() as f64;
        println!("{what}: {percent:.1} % refused, 99th percentile {:.2?}", high(times));
    }
}

fn overload() {
    let instances = 64;
    let flags = ["--log-level", "off", "--deadline", "10s", "--queue-timeout", "10s"];
    let server = Server::of_with("works.wat", &flags);
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (clients, turn) in [instances, 10 * instances].into_iter().zip(&mut turns) {
            let (times, refused) = busy(&server, clients);
            println!("{clients} clients: {} admitted, {refused} told to come back", times.len());
            turn.push(high(times));
        }
    }
    let [at_capacity, past_it] = turns.map(median);
    println!(
        "admitted requests, 99th percentile, medians of 5 turns: {at_capacity:.0} ms at capacity, {past_it:.0} ms with ten times the clients; ratio {:.2}",
        past_it / at_capacity
    );
}

/// Runs clients for four seconds. Each repeats its request at once, or after 100 ms
/// if it was refused.
fn busy(server: &Server, clients: usize) -> (Vec<Duration>, u64) {
    let (address, refused) = (server.addresses[0], AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(4);
    let times = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut times) = (Client::connect(address), Vec::new());
                    while Instant::now() < end {
                        let since = Instant::now();
                        let reply = client.ask("GET", "/");
                        match reply.status {
                            200 => times.push(since.elapsed()),
                            status => {
                                assert_eq!((status, reply.field("retry-after")), (503, Some("1")));
                                refused.fetch_add(1, Relaxed);
                                thread::sleep(Duration::from_millis(100));
                            }
                        }
                    }
                    times
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    (times, refused.into_inner())
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
