//! Measures the host under load, compared with other servers if they are installed: a native server
//! on hyper with the same routes, nginx, node and `wasmtime serve`. wrk generates the load. The
//! results are medians of several rounds.
//!
//! `cargo bench -p host-benches --bench load -- [keep-alive] [new-connections]
//! [pipelined] [small-body] [large-body] [connections] [syscalls]`
//!
//! - `keep-alive`: GET /route on 64 connections that stay open
//! - `new-connections`: GET /route by 64 clients, on a new connection for each request
//! - `pipelined`: GET /route on 64 connections, with 16 requests in one write
//! - `small-body`: POST /echo with 1 KiB; `large-body`: with 64 KiB and with 1 MiB
//! - `connections`: GET /route on 1, 64 and 1,000 connections
//! - `syscalls`: number of system calls for each request, if strace is installed
//!
//! Draws plots of `keep-alive` and `connections`.

use std::collections::BTreeMap;

use host_benches::harness::Folder;
use host_benches::parts::peers::{
    HOST, HOST_ECHO, HOST_ECHO_GROWING, HOST_LOGGING, NATIVE, NGINX, NGINX_LOGGING, NODE, PAUSE, Peer,
    Running, WASMTIME_SERVE,
};
use host_benches::parts::plot::{Axis, Plot, Scale, plain};
use host_benches::parts::process::{processor_time, raise_descriptors, resident_kib};
use host_benches::parts::wrk::{self, Asked};
use host_benches::parts::{is_chosen, median, native, strace};

const ROUNDS: usize = 5;
const SECONDS: usize = 2;

/// Names of the peers that the printed ratios compare with.
const REFERENCES: [&str; 2] = [NATIVE.name, NGINX.name];

const CPU: Axis = Axis { what: "microseconds of CPU per request", scale: Scale::Linear, label: plain };

const COMMAND: &str = "cargo bench -p host-benches --bench load";

struct Scenario {
    name: &'static str,
    asked: Asked,
    connections: usize,
    peers: &'static [Peer],
}

const ALL: &[Peer] = &[HOST, HOST_LOGGING, NATIVE, NGINX, NGINX_LOGGING, NODE, WASMTIME_SERVE];
const ECHOING: &[Peer] = &[HOST_ECHO, NATIVE, NODE];
const ECHOING_MUCH: &[Peer] = &[HOST_ECHO, HOST_ECHO_GROWING, NATIVE, NODE];
const SCALING: &[Peer] = &[HOST, NATIVE, NGINX, NODE];

const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "keep-alive", asked: Asked::Route, connections: 64, peers: ALL },
    Scenario { name: "new-connections", asked: Asked::RouteAnew, connections: 64, peers: ALL },
    Scenario { name: "pipelined", asked: Asked::Pipelined(16), connections: 64, peers: ALL },
    Scenario { name: "small-body", asked: Asked::Echo(1 << 10), connections: 64, peers: ECHOING },
    Scenario { name: "large-body", asked: Asked::Echo(64 << 10), connections: 64, peers: ECHOING_MUCH },
    Scenario { name: "large-body", asked: Asked::Echo(1 << 20), connections: 16, peers: ECHOING_MUCH },
    Scenario { name: CONNECTIONS, asked: Asked::Route, connections: 1, peers: SCALING },
    Scenario { name: CONNECTIONS, asked: Asked::Route, connections: 64, peers: SCALING },
    Scenario { name: CONNECTIONS, asked: Asked::Route, connections: 1000, peers: SCALING },
];

const CONNECTIONS: &str = "connections";
const SYSCALLS: &str = "syscalls";

/// Quantity that is measured in each round, and its format.
struct Metric {
    what: &'static str,
    write: fn(f64) -> String,
}

const METRICS: [Metric; 7] = [
    Metric { what: "CPU/request", write: |us| format!("{us:.1} us") },
    Metric { what: "in user space", write: |us| format!("{us:.1} us") },
    Metric { what: "requests/s", write: |number| format!("{number:.0}") },
    Metric { what: "50%", write: time },
    Metric { what: "99%", write: time },
    Metric { what: "resident", write: |mib| format!("{mib:.1} MiB") },
    Metric { what: "each way", write: |mib| format!("{mib:.0} MiB/s") },
];

fn time(us: f64) -> String {
    // wrk reports 0 where it recorded nothing.
    if us == 0.0 {
        return "-".to_owned();
    }
    if us < 1e3 { format!("{us:.0} us") } else { format!("{:.2} ms", us / 1e3) }
}

/// Medians of the metrics of one peer, in the order of [`METRICS`].
struct Measured {
    name: &'static str,
    medians: [f64; METRICS.len()],
}

fn main() {
    native::serve_if_asked();
    if !wrk::is_there() {
        return;
    }
    raise_descriptors(1000);
    let mut names = SCENARIOS.map(|scenario| scenario.name).to_vec();
    names.push(SYSCALLS);
    // Points of the plot of `connections`, by the name of the peer.
    let mut growth = BTreeMap::<_, Vec<_>>::new();
    for scenario in SCENARIOS.iter().filter(|scenario| is_chosen(scenario.name, &names)) {
        let results = measure(scenario);
        print(scenario, &results);
        match scenario.name {
            "keep-alive" => draw_bars(&results),
            CONNECTIONS => {
                for Measured { name, medians } in results {
                    growth.entry(name).or_default().push((scenario.connections as f64, medians[0]));
                }
            }
            _ => {}
        }
    }
    if !growth.is_empty() {
        draw_growth(growth);
    }
    if is_chosen(SYSCALLS, &names) {
        count_system_calls();
    }
}

/// Measures all peers of a scenario, one after the other in each round.
fn measure(scenario: &Scenario) -> Vec<Measured> {
    let folder = Folder::new();
    let started = scenario.peers.iter().filter_map(|peer| Some((peer.name, peer.start(&folder, PAUSE)?)));
    let mut running: Vec<_> = started.map(|(name, peer)| (name, peer, Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (_, peer, rounds) in &mut running {
            rounds.push(round(scenario, &folder, peer));
        }
    }
    let medians = |rounds: Vec<[f64; METRICS.len()]>| {
        std::array::from_fn(|metric| median(&rounds.iter().map(|round| round[metric]).collect::<Vec<_>>()))
    };
    running.into_iter().map(|(name, _, rounds)| Measured { name, medians: medians(rounds) }).collect()
}

fn round(scenario: &Scenario, folder: &Folder, peer: &Running) -> [f64; METRICS.len()] {
    let before = processor_time(peer.pid());
    let seen = wrk::drive(folder, peer.address, scenario.asked, scenario.connections, SECONDS);
    let after = processor_time(peer.pid());
    let [user, kernel] = [0, 1].map(|kind| (after[kind] - before[kind]).as_secs_f64() * 1e6 / seen.requests);
    let per_second = seen.requests / seen.seconds;
    [
        user + kernel,
        user,
        per_second,
        seen.median_us,
        seen.high_us,
        resident_kib(peer.pid()) as f64 / 1024.0,
        per_second * scenario.asked.body() as f64 / f64::from(1 << 20),
    ]
}

fn print(scenario: &Scenario, results: &[Measured]) {
    let references = REFERENCES.map(|name| results.iter().find(|result| result.name == name));
    let there: Vec<_> = references.into_iter().flatten().collect();
    let names: Vec<_> = there.iter().map(|reference| reference.name).collect();
    println!(
        "\n{}: {}, connections: {}; medians of {ROUNDS} rounds of {SECONDS} s in turn; in brackets ratios to {}",
        scenario.name,
        scenario.asked,
        scenario.connections,
        names.join(" and ")
    );
    // Throughput adds information only where there are bodies.
    let metrics = &METRICS[..METRICS.len() - usize::from(scenario.asked.body() == 0)];
    let names: String = metrics.iter().map(|metric| format!("{:>25}", metric.what)).collect();
    println!("{:30}{names}", "");
    for result in results {
        let figures = metrics.iter().enumerate().map(|(index, metric)| {
            let figure = result.medians[index];
            let ratios = there.iter().map(|other| format!("{:.2}", figure / other.medians[index]));
            let ratios = format!("({})", ratios.collect::<Vec<_>>().join(", "));
            format!("{:>11} {ratios:>13}", (metric.write)(figure))
        });
        println!("{:30}{}", result.name, figures.collect::<String>());
    }
}

fn draw_bars(results: &[Measured]) {
    let bars: Vec<_> =
        results.iter().map(|result| (result.name, (result.medians[0] * 10.0).round() / 10.0)).collect();
    let title = "Processor time of the server for each GET /route, 64 keep-alive connections";
    Plot { file: "cpu-per-request", title, command: COMMAND }.bars(&CPU, &bars);
}

fn draw_growth(growth: BTreeMap<&'static str, Vec<(f64, f64)>>) {
    let x = Axis { what: "connections", scale: Scale::Log, label: plain };
    let title = "Processor time of the server for each GET /route, by connections";
    let series: Vec<_> = growth.into_iter().collect();
    Plot { file: "growth-connections", title, command: COMMAND }.lines(&x, &CPU, &series);
}

/// Counts system calls. strace slows a server down, which then handles more work with each system
/// call. So the numbers serve only to compare servers with each other.
fn count_system_calls() {
    println!("\nsystem calls for each request, GET /route, 64 connections, under strace:");
    let folder = Folder::new();
    for peer in [HOST, NATIVE, NGINX] {
        let Some(running) = peer.start(&folder, PAUSE) else { continue };
        let drive = || wrk::drive(&folder, running.address, Asked::Route, 64, 3);
        let Some((seen, calls)) = strace::count(&folder, running.pid(), drive) else { return };
        let all: f64 = calls.iter().map(|(_, times)| times).sum();
        let shares = calls.iter().map(|(name, times)| (name, times / seen.requests));
        let most =
            shares.filter(|(_, share)| *share >= 0.005).map(|(name, share)| format!("{name} {share:.2}"));
        println!("{:30}{:6.2}  {}", peer.name, all / seen.requests, most.collect::<Vec<_>>().join(", "));
    }
}
