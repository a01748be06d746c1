//! Measures how swaps of the handler affect requests, and whether swaps leak resources.
//!
//! `cargo bench -p host-benches --bench swap -- [latency] [load] [timeline] [drops] [soak]`
//!
//! - `latency`: time from the `rename` of the module file to the first response of the new version,
//!   on an idle server
//! - `load`: latency under a steady load, alternately without swaps and with one swap a second
//! - `timeline`: a plot of the latency over 20 s of that load, with one swap a second
//! - `drops`: 1,000 swaps while four clients send as many requests as they can; checks every
//!   response
//! - `soak`: 10,000 swaps; memory, file descriptors and mappings after 100 swaps and at the end

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::Client;
use host_benches::parts::plot::{Axis, Plot, Scale, plain};
use host_benches::parts::replaced::{Replaced, default_handler};
use host_benches::parts::steady::{Rate, Seen, ask_steadily, compare};
use host_benches::parts::{high, median, milliseconds, percentile, run_chosen};

const REQUEST: &str = "GET /route HTTP/1.1\r\nhost: a\r\n\r\n";

fn main() {
    run_chosen(&[
        ("latency", latency),
        ("load", load),
        ("timeline", timeline),
        ("drops", drops),
        ("soak", soak),
    ]);
}

fn latency() {
    let mut replaced = Replaced::start(default_handler, &[]);
    let mut client = replaced.server.connect();
    let mut times = Vec::new();
    for _ in 0..100 {
        // Longer than 500 ms, so that the server does not take the renames for a burst
        // of changes, which it debounces.
        thread::sleep(Duration::from_millis(600));
        let since = replaced.rename();
        replaced.wait(&mut client);
        times.push(milliseconds(since));
    }
    print("rename to first new answer", &times);
}

fn load() {
    let mut replaced = Replaced::start(default_handler, &[]);
    // Many short turns, so that disturbances of the machine affect only a few.
    compare("steady load", 9, &["without swaps", "with a swap a second"], |kind| {
        steady(&mut replaced, Duration::from_secs(5), kind == 1).0
    });
}

/// Plots the longest latency in each interval of 20 ms, in which about 32 responses are due, so
/// that a delay by a swap stands out.
fn timeline() {
    let mut replaced = Replaced::start(default_handler, &[]);
    // Skips the first requests, which take longer.
    steady(&mut replaced, Duration::from_secs(2), false);
    let (seen, swaps) = steady(&mut replaced, Duration::from_secs(20), true);
    let mut longest = vec![0.0f64; 1000];
    for (due, time) in &seen.answers {
        let longest = &mut longest[(due.as_millis() / 20) as usize];
        *longest = longest.max(*time);
    }
    let points = longest.into_iter().enumerate().map(|(index, time)| (index as f64 / 50.0, time));
    let points = points.filter(|(_, time)| *time > 0.0).collect();
    print("20 s with a swap a second", &seen.times());
    let x = Axis { what: "seconds", scale: Scale::Linear, label: plain };
    let y = Axis { what: "milliseconds until the answer", scale: Scale::Log, label: plain };
    let title = "Latency under 1,600 requests a second while the handler is swapped";
    let command = "cargo bench -p host-benches --bench swap -- timeline";
    Plot { file: "swap-timeline", title, command }.points(
        &x,
        &y,
        ("longest of the answers due in 20 ms", points),
        ("the file is replaced", &swaps),
    );
}

/// Load of 1,600 requests a second.
const BUSY: Rate = Rate { connections: 16, interval: Duration::from_millis(10) };

/// Runs a steady load, with a swap each second if `swaps` is set. Also returns the time of each
/// swap, in seconds since the start.
fn steady(replaced: &mut Replaced, time: Duration, swaps: bool) -> (Seen, Vec<f64>) {
    let (address, start) = (replaced.server.addresses[0], Instant::now());
    thread::scope(|scope| {
        let load = scope.spawn(|| ask_steadily(address, "/route", BUSY, time));
        let seconds = if swaps { 1..time.as_secs() } else { 0..0 };
        let swaps = seconds.map(|_| {
            thread::sleep(Duration::from_secs(1));
            (replaced.rename() - start).as_secs_f64()
        });
        let swaps = swaps.collect();
        let seen = load.join().unwrap();
        assert_eq!(seen.failed, 0);
        (seen, swaps)
    })
}

fn drops() {
    // A connection here may need more than a million requests, the default limit.
    let mut replaced =
        Replaced::start(default_handler, &["--no-watch", "--connection-requests", "100000000"]);
    let address = replaced.server.addresses[0];
    let (done, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let since = Instant::now();
    thread::scope(|scope| {
        for pipelined in [1, 1, 4, 16] {
            let (done, answers) = (&done, &answers);
            scope.spawn(move || {
                let (mut client, mut newest) = (Client::connect(address), 0);
                while !done.load(Relaxed) {
                    client.send(REQUEST.repeat(pipelined));
                    for _ in 0..pipelined {
                        let reply = client.reply_to("GET");
                        assert_eq!((reply.status, reply.text()), (200, "<h1> hello route</h1>"));
                        let version = reply.field("x-handler-version").unwrap().parse().unwrap();
                        assert!(version >= newest, "a version went backwards on a connection");
                        newest = version;
                        answers.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let mut client = Client::connect(address);
        for _ in 0..1000 {
            replaced.replace();
            replaced.wait(&mut client);
        }
        done.store(true, Relaxed);
    });
    let (answers, time) = (answers.into_inner(), since.elapsed().as_secs_f64());
    println!("1,000 swaps under load: {answers} answers in {time:.1} s, none wrong, none missing");
}

fn soak() {
    let mut replaced = Replaced::start(default_handler, &["--no-watch"]);
    let mut client = replaced.server.connect();
    let mut swap = |times: u64| {
        for _ in 0..times {
            replaced.replace();
            replaced.wait(&mut client);
        }
        println!("{:?}", replaced.server.resources());
    };
    println!("after 100 swaps:");
    swap(100);
    println!("after 10,000 swaps:");
    swap(9_900);
}

/// Prints the median, the 99th percentile, the maximum and the number of `times`, which are in
/// milliseconds.
fn print(what: &str, times: &[f64]) {
    println!(
        "{what}: median {:.2} ms, 99th percentile {:.2} ms, longest {:.2} ms, {} times",
        median(times),
        high(times),
        percentile(times, 1.0),
        times.len()
    );
}
