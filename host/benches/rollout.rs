//! Measures rollouts: how and when they detect a bad version, how many failures clients get until
//! then, how often they reject a good version, and what a shadow costs. wrk generates the load.
//!
//! `cargo bench -p host-benches --bench rollout -- [gate] [canary] [alarms] [shadow]`
//!
//! - `gate`: whether a replay of the journal detects a version that fails 2 % of the requests of a
//!   class that is a tenth of the traffic
//! - `canary`: time until a rollout to a tenth of the users rejects this version, and number of
//!   failures that clients got
//! - `alarms`: how many rollouts of equally good versions are rejected
//! - `shadow`: latency, rate and CPU time without and with a shadow of a tenth of the requests
//!
//! The environment variable HOST names the server program to measure, instead of the one that Cargo
//! built with the bench.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::site::version::EMBEDDED;
use host_benches::harness::{Folder, Server, host};
use host_benches::parts::process::processor_time;
use host_benches::parts::program::Program;
use host_benches::parts::{milliseconds, percentile, run_chosen, wrk};
use serde_json::Value;

/// Number of tries for each set of conditions.
const TRIES: usize = 10;

/// Time for which the journal collects requests before a swap.
const COLLECTED: Duration = Duration::from_secs(3);

/// Maximum wait for the end of a rollout, or for the server to roll back a bad version after a
/// swap.
const PATIENCE: Duration = Duration::from_secs(60);

/// Interval at which the state of the server is polled.
const LOOK: Duration = Duration::from_millis(5);

const CONNECTIONS: usize = 8;

/// Maximum duration of a load in seconds. A load ends earlier when it is dropped.
const LONG: usize = 600;

/// Number of rollouts of equally good versions.
const GOOD: usize = 200;
/// Number of rollouts of versions that each fail different requests than the version before.
const OTHER: usize = 20;

/// Number of rounds, each without and then with a shadow.
const ROUNDS: usize = 9;
/// Duration of the load in a round, without and with a shadow, in seconds.
const SECONDS: usize = 2;

/// WebAssembly code that does nothing, for [`module`].
const NOTHING: &str = "";

/// WebAssembly code that traps for one of 50 paths below `/items`: those whose number ends in 00 or
/// 50.
const FAILS_ITEMS: &str = "(if (i32.and
     (i32.eq (i32.load8_u offset=5 (local.get 0)) (i32.const 0x69)) ;; the i of `GET /items`
     (i32.or (i32.eq (i32.load16_u offset=15 (local.get 0)) (i32.const 0x3030))
       (i32.eq (i32.load16_u offset=15 (local.get 0)) (i32.const 0x3035))))
   (then unreachable))";

fn main() {
    if wrk::is_there() {
        run_chosen(&[("gate", gate), ("canary", canary), ("alarms", alarms), ("shadow", shadow)]);
    }
}

/// Returns a module that runs the code `does` and then answers with 200. The comment becomes part
/// of the module, so modules with different comments are different versions.
fn module(comment: &str, does: &str) -> Vec<u8> {
    let text = format!(
        "(module (import \"host\" \"random\" (func $random (result i64)))
           (memory (export \"memory\") 1)
           (data (i32.const 0) \"HTTP/1.1 200 OK\\n\\nfine\") (data (i32.const 64) \"{comment}\")
           (func (export \"alloc\") (param i32) (result i32) (i32.const 32768))
           (func (export \"handle\") (param i32 i32) (result i64) (local $left i32)
             {does} (i64.const 21)))"
    );
    wat::parse_str(text).unwrap()
}

/// Returns a script that makes wrk send requests of many users: a tenth of them for paths below
/// `/items`, and the others for `pages` pages. Each connection waits for `pause_ms` before each
/// request.
fn traffic(pages: usize, pause_ms: usize) -> String {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    format!(
        "math.randomseed({seed})
         request = function()
           local path = '/page/' .. string.rep('p', math.random({pages}))
           if math.random(10) == 1 then path = string.format('/items/%06d', math.random(0, 999999)) end
           return wrk.format('GET', path, {{['x-user'] = 'u' .. math.random(100000)}})
         end\n{}",
        if pause_ms == 0 { String::new() } else { format!("delay = function() return {pause_ms} end\n") }
    )
}

/// Server under test, with the folder of its files.
struct Site {
    folder: Folder,
    server: Server,
}

impl Site {
    /// Starts a server with a module and these lines of configuration.
    fn start(module: &[u8], lines: &str) -> Site {
        let folder = Folder::new();
        fs::write(folder.file("first.wasm"), module).unwrap();
        let text = format!(
            "listen = '127.0.0.1:0'\ncontrol = 'control'\nlog-level = 'error,request=off,handler=off'\n\
             module = 'first.wasm'\n{lines}"
        );
        fs::write(folder.file("host.toml"), text).unwrap();
        let mut command = env::var_os("HOST").map_or_else(host, Command::new);
        command.current_dir(folder.file("")).stdin(Stdio::null());
        let server = Server::begin_as_it_is(command).until_ready();
        Site { folder, server }
    }

    fn load(&self, pages: usize, pause_ms: usize) -> Program {
        let script = traffic(pages, pause_ms);
        wrk::start(&self.folder, self.server.addresses[0], &script, CONNECTIONS, LONG)
    }

    /// Sends a request to the host's API, and returns the JSON body of the reply. Does not use the
    /// host's command line, because starting a process would disturb the server more.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Value {
        let mut stream = UnixStream::connect(self.folder.file("control")).expect("a control socket");
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: a\r\nx-host-admin: 1\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str(body));
        body.and_then(Result::ok).unwrap_or_else(|| panic!("{method} {target}: {reply}"))
    }

    fn get(&self, target: &str) -> Value {
        self.ask("GET", target, b"")
    }

    /// Begins a rollout of a module. `plan` is a part of the query of `POST /v1/rollout`.
    fn roll_out(&self, plan: &str, module: &[u8]) {
        let reply = self.ask("POST", &format!("/v1/rollout?name=next.wasm&{plan}"), module);
        assert!(reply["outcome"] == "rolling_out", "{reply}");
    }

    /// Waits for the end of the rollout in progress, and returns the final state of the rollout.
    fn end(&self) -> Value {
        let since = Instant::now();
        loop {
            let status = self.get("/v1/rollout");
            if !matches!(text(&status["state"]), "shadow" | "canary") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not end: {status}");
            sleep(LOOK);
        }
    }

    /// Returns how many requests of clients failed because the handler trapped.
    fn traps(&self) -> u64 {
        number(&self.get("/v1/faults")["counts"]["trap"])
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Formats the median of some numbers, with their quartiles.
fn spread(numbers: &[f64]) -> String {
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| percentile(numbers, share));
    format!("{middle:.1} ({low:.1} to {high:.1})")
}

fn gate() {
    for pages in [1, 19] {
        let (mut found, mut kept, mut faulty, mut undone) = (0, Vec::new(), Vec::new(), 0);
        for _ in 0..TRIES {
            let site = Site::start(&module("first", NOTHING), "gate = 'faults'\n");
            let _load = site.load(pages, 0);
            sleep(COLLECTED);
            let journal = site.get("/v1/journal");
            let classes = journal["classes"].as_array().unwrap();
            let items = classes.iter().find(|class| text(&class["class"]).contains("items"));
            kept.push(items.map_or(0.0, |items| number(&items["requests"]) as f64));
            let reply = site.ask("POST", "/v1/versions?name=bad.wasm", &module("bad", FAILS_ITEMS));
            if reply["stage"] == "replay" {
                found += 1;
            } else {
                assert_eq!(reply["outcome"], "serving", "{reply}");
                let since = Instant::now();
                let is_undone = || site.get("/v1/versions").to_string().contains("watch: ");
                while !is_undone() && since.elapsed() < PATIENCE {
                    sleep(LOOK);
                }
                undone += usize::from(is_undone());
            }
            faulty.push(site.traps() as f64);
        }
        println!(
            "the gate, with {pages} other classes: found in {found} of {TRIES} tries, by {} requests of \
             the class; faulty responses: {faulty:?}; of the others, the watch undid {undone}",
            spread(&kept)
        );
    }
}

fn canary() {
    for (load, pause_ms, percent) in
        [("as fast as they can", 0, "10"), ("1,000 a second", 8, "10"), ("1,000 a second", 8, "100")]
    {
        let (mut times, mut faulty, mut served, mut causes) = (vec![], vec![], vec![], BTreeMap::new());
        // A try takes long if faults are rare.
        let tries = if pause_ms > 0 && percent == "10" { 3 } else { TRIES };
        let mut rate = Vec::new();
        for _ in 0..tries {
            let site = Site::start(&module("first", NOTHING), "gate = 'off'\n");
            let _load = site.load(19, pause_ms);
            sleep(Duration::from_secs(1));
            let since = Instant::now();
            let plan = format!("steps=10%25&hold=10min&key=header:x-user&percent={percent}%25");
            site.roll_out(&plan, &module("bad", FAILS_ITEMS));
            let status = site.end();
            times.push(milliseconds(since));
            faulty.push(site.traps() as f64);
            served.push(number(&status["served"]) as f64);
            rate.push(number(&status["served"]) as f64 / since.elapsed().as_secs_f64());
            *causes.entry(cause(&status)).or_insert(0) += 1;
        }
        println!(
            "canary at 10 %, {CONNECTIONS} connections {load}, --percent {percent}: {tries} tries; rejected after \
             {} ms; faulty responses {}, at most {}; the candidate served {}, {} a second; {causes:?}",
            spread(&times),
            spread(&faulty),
            percentile(&faulty, 1.0),
            spread(&served),
            spread(&rate),
        );
    }
}

/// Returns the kind of evidence that caused a rollout to be rejected: `share`, `failures` or
/// `times`. If the cause names none of them, returns the state of the rollout and the cause.
fn cause(status: &Value) -> String {
    let cause = text(&status["cause"]);
    let kinds =
        [("that were run again", "share"), ("the other way round (", "failures"), ("take more", "times")];
    let kind = kinds.iter().rev().find(|(part, _)| cause.contains(part));
    kind.map_or_else(|| format!("{} {cause}", text(&status["state"])), |(_, kind)| (*kind).to_owned())
}

/// Returns WebAssembly code that computes for about 100 us, so that a call may miss its deadline if
/// another process interrupts it. Traps for one of 16 requests: those whose four random bits are
/// `bits`.
fn noisy(bits: usize) -> String {
    format!(
        "(local.set $left (i32.const 200000))
         (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
         (if (i64.eq (i64.and (call $random) (i64.const 15)) (i64.const {bits})) (then unreachable))"
    )
}

fn alarms() {
    let deadline = "deadline = '2ms'\n";
    rejected("without failures", GOOD, "", |_| NOTHING.to_owned());
    rejected(
        "that miss deadlines by chance, and fail 6 % of the requests, the same ones",
        GOOD,
        deadline,
        |_| noisy(0),
    );
    rejected("that fail 6 % of the requests, each other ones", OTHER, "", |number| noisy(number % 2));
}

/// Rolls out `count` versions, one after the other, and prints how many were rejected. `does`
/// returns the code of the version with a given number.
fn rejected(what: &str, count: usize, lines: &str, does: fn(usize) -> String) {
    let lines = format!("gate = 'off'\nwatch-after = '0s'\nno-probe = true\n{lines}");
    let site = Site::start(&module("first", &does(0)), &lines);
    let _load = site.load(19, 1);
    sleep(Duration::from_secs(1));
    let before = site.get("/v1/faults")["counts"].clone();
    let (since, mut ends, mut pairs, mut served, mut slow) = (Instant::now(), BTreeMap::new(), 0, 0, 0);
    let mut current = 0;
    for number_of in 1..=count {
        // The next one differs from the current one, whichever that is.
        let next = module(&format!("{number_of}"), &does(current + 1));
        site.roll_out("steps=50%25&hold=200ms&key=header:x-user", &next);
        let status = site.end();
        if status["state"] == "published" {
            current += 1;
        } else {
            println!("  {}", text(&status["cause"]));
        }
        *ends
            .entry(if status["state"] == "published" { "published".into() } else { cause(&status) })
            .or_insert(0) += 1;
        pairs += number(&status["report"]["requests"]);
        served += number(&status["served"]);
        let times = status["evidence"]["times"].as_array().map_or(0, Vec::len);
        slow += usize::from(times > 0);
    }
    println!(
        "{count} rollouts of versions {what}: {ends:?} in {:.0} s; {served} requests served by candidates, \
         {pairs} run again; times were bets in {slow}; faults before {before}, after {}",
        since.elapsed().as_secs_f64(),
        site.get("/v1/faults")["counts"],
    );
}

/// Returns the default handler with an additional custom section, which makes it a different
/// version.
fn other_default() -> Vec<u8> {
    [EMBEDDED, &[0, 2, 1, b'x']].concat()
}

fn shadow() {
    for (load, pause_ms) in [("with pauses of 2 ms", 2), ("as fast as they can", 0)] {
        let script =
            if pause_ms == 0 { String::new() } else { format!("delay = function() return {pause_ms} end\n") };
        let site = Site::start(EMBEDDED, "gate = 'off'\n");
        let [mut highs, mut rates, mut works] = [const { [const { Vec::new() }; 2] }; 3];
        let mut compared = 0;
        for round in 0..=ROUNDS {
            for is_on in [false, true] {
                if is_on {
                    site.roll_out("steps=off&shadow=10min&percent=10%25", &other_default());
                    // The candidate is optimised meanwhile.
                    sleep(Duration::from_secs(1));
                }
                let before = processor_time(site.server.pid());
                let seen = wrk::run(&site.folder, site.server.addresses[0], &script, CONNECTIONS, SECONDS);
                let after = processor_time(site.server.pid());
                assert_eq!(seen.failed, 0.0);
                if is_on {
                    compared += number(&site.get("/v1/rollout")["report"]["requests"]);
                    site.ask("POST", "/v1/rollout/abort", b"");
                }
                // The first round warms up.
                if round > 0 {
                    let work = after.iter().sum::<Duration>() - before.iter().sum::<Duration>();
                    works[usize::from(is_on)].push(work.as_secs_f64() * 1e6 / seen.requests);
                    highs[usize::from(is_on)].push(seen.high_us);
                    rates[usize::from(is_on)].push(seen.requests / seen.seconds);
                }
            }
        }
        println!("{CONNECTIONS} connections {load}, {ROUNDS} rounds in turn, medians (quartiles):");
        for (name, index) in [("without a shadow", 0), ("with a shadow of 10 %", 1)] {
            println!(
                "  {name}: 99th percentile {} us, {} requests a second, {} us of CPU a request",
                spread(&highs[index]),
                spread(&rates[index]),
                spread(&works[index])
            );
        }
        println!("  {compared} requests ran again");
    }
}
