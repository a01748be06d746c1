//! Measures what swaps cost other requests, and what they leave behind.
//!
//! `cargo bench -p host-benches --bench swap -- [latency] [load] [timeline] [drops] [soak]`
//!
//! - `latency`: from `rename` to the first answer of the new version, idle server
//! - `load`: latency under a steady load, without swaps and with one a second,
//!   in turn
//! - `timeline`: latency over 20 s of that load, with a swap a second, as a plot
//! - `drops`: 1,000 swaps under as much load as there can be: every answer is
//!   checked
//! - `soak`: 10,000 swaps: memory, descriptors and mappings before and after

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::Client;
use host_benches::parts::plot::{Axis, Plot, Scale, plain};
use host_benches::parts::replaced::{Replaced, default_handler};
use host_benches::parts::run_chosen;

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

/// Starts a server whose file is a default handler.
fn start(name: &str, flags: &[&str]) -> Replaced {
    Replaced::start(name, default_handler, flags)
}

fn latency() {
    let mut bench = start("latency", &[]);
    let mut client = bench.server.connect();
    let mut times = Vec::new();
    for _ in 0..100 {
        // Longer than the debounce.
        thread::sleep(Duration::from_millis(600));
        let since = bench.rename();
        bench.wait(&mut client);
        times.push(since.elapsed());
    }
    print("rename to first new answer", &mut times);
}

fn load() {
    let mut bench = start("load", &[]);
    let mut high = [Vec::new(), Vec::new()];
    for _ in 0..9 {
        for (swaps, high) in [false, true].into_iter().zip(&mut high) {
            let what = if swaps { "steady load, a swap a second" } else { "steady load, no swaps" };
            let mut times = steady(&mut bench, Duration::from_secs(5), swaps).times();
            high.push(print(what, &mut times));
        }
    }
    // Medians of many short turns: disturbances hit only a few.
    let [before, after] = high.map(|mut high| {
        high.sort();
        high[high.len() / 2].as_secs_f64()
    });
    println!(
        "99th percentile, medians of 9 turns: {:.2} ms without swaps, {:.2} ms with; ratio {:.2}",
        before * 1e3,
        after * 1e3,
        after / before
    );
}

/// Draws the longest of the answers due in each 20 ms, about 32, because a swap
/// would show in it.
fn timeline() {
    let mut bench = start("timeline", &[]);
    // Skip the first version, and what happens only once.
    steady(&mut bench, Duration::from_secs(2), false);
    let seen = steady(&mut bench, Duration::from_secs(20), true);
    let mut longest = vec![0.0f64; 1000];
    for (due, time) in &seen.answers {
        let longest = &mut longest[(due.as_millis() / 20) as usize];
        *longest = longest.max(time.as_secs_f64() * 1e3);
    }
    let points = longest.into_iter().enumerate().map(|(index, time)| (index as f64 / 50.0, time));
    let points = points.filter(|(_, time)| *time > 0.0).collect();
    let swaps: Vec<_> = seen.swaps.iter().map(Duration::as_secs_f64).collect();
    print("20 s with a swap a second", &mut seen.times());
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

/// Results of a steady load, with times since its start.
struct Seen {
    /// When an answer was due, and how long it took from then on.
    answers: Vec<(Duration, Duration)>,
    swaps: Vec<Duration>,
}

impl Seen {
    fn times(&self) -> Vec<Duration> {
        self.answers.iter().map(|(_, time)| *time).collect()
    }
}

/// Runs sixteen connections that each send 100 requests a second, with a swap each
/// second if wanted.
fn steady(bench: &mut Replaced, time: Duration, swaps: bool) -> Seen {
    let address = bench.server.addresses[0];
    let start = Instant::now();
    let end = start + time;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..16u64)
            .map(|index| {
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    let mut answers = Vec::new();
                    let mut next = start + Duration::from_micros(625 * index);
                    while next < end {
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                        assert_eq!(client.ask("GET", "/route").status, 200);
                        // Measured from when it was due, so a delay counts for all
                        // requests behind it.
                        answers.push((next - start, next.elapsed()));
                        next += Duration::from_millis(10);
                    }
                    answers
                })
            })
            .collect();
        let mut swapped = Vec::new();
        while Instant::now() < end {
            thread::sleep(Duration::from_secs(1).min(end.saturating_duration_since(Instant::now())));
            if swaps && Instant::now() < end {
                swapped.push(bench.rename() - start);
            }
        }
        let answers = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        Seen { answers, swaps: swapped }
    })
}

fn drops() {
    // One connection may get more than the default of a million requests.
    let mut bench = start("drops", &["--no-watch", "--connection-requests", "100000000"]);
    let address = bench.server.addresses[0];
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
            bench.rename();
            bench.server.signal("HUP");
            bench.wait(&mut client);
        }
        done.store(true, Relaxed);
    });
    let (answers, time) = (answers.into_inner(), since.elapsed().as_secs_f64());
    println!("1,000 swaps under load: {answers} answers in {time:.1} s, none wrong, none missing");
}

fn soak() {
    let mut bench = start("soak", &["--no-watch"]);
    let mut client = bench.server.connect();
    let mut swap = |times: u64| {
        for _ in 0..times {
            bench.rename();
            bench.server.signal("HUP");
            bench.wait(&mut client);
        }
        let path = format!("/proc/{}", bench.server.pid());
        let status = fs::read_to_string(format!("{path}/status")).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        let descriptors = fs::read_dir(format!("{path}/fd")).unwrap().count();
        let mappings = fs::read_to_string(format!("{path}/maps")).unwrap().lines().count();
        println!("{resident}, {descriptors} descriptors, {mappings} mappings");
    };
    println!("after 100 swaps:");
    swap(100);
    println!("after 10,000 swaps:");
    swap(9_900);
}

/// Prints a distribution. Returns its 99th percentile.
fn print(what: &str, times: &mut [Duration]) -> Duration {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (median, high) = (at(0.5), at(0.99));
    println!(
        "{what}: median {:.2} ms, 99th percentile {:.2} ms, longest {:.2} ms, {} times",
        median.as_secs_f64() * 1e3,
        high.as_secs_f64() * 1e3,
        at(1.0).as_secs_f64() * 1e3,
        times.len()
    );
    high
}
