//! The host's own work for a module or a client is short, even if it asks for as much as
//! the limits allow. Each step takes a few milliseconds. The tests allow about ten times
//! as much for the fastest of several attempts, because the machine may be busy.

use std::time::{Duration, Instant};

use host_wasm::Effort;

use crate::harness::modules::{answering, escaped};
use crate::harness::oracle::{Host, call};
use crate::harness::{Client, Server, fails_to_start};

/// Longest time of one step.
const BOUND: Duration = Duration::from_millis(50);

/// Returns the shortest time of seven attempts.
fn shortest(mut attempt: impl FnMut()) -> Duration {
    let measure = |_| {
        let since = Instant::now();
        attempt();
        since.elapsed()
    };
    (0..7).map(measure).min().unwrap()
}

#[track_caller]
fn is_short(what: &str, attempt: impl FnMut()) {
    let time = shortest(attempt);
    assert!(time < BOUND, "{what} takes {time:?}");
}

/// Returns a handler that answers with the `length` bytes at address 65,536. It runs
/// `initialize` once at the start and `more` for each request.
fn module(initialize: &str, length: usize, more: &str) -> String {
    let packed = 65_536u64 << 32 | length as u64;
    format!(
        "(module (memory (export \"memory\") 1000)
          (func (export \"_initialize\") {initialize})
          (func (export \"alloc\") (param i32) (result i32) (i32.const 1024))
          (func (export \"handle\") (param i32 i32) (result i64) {more} (i64.const {packed})))"
    )
}

#[test]
fn heads_of_responses() {
    let ok = "HTTP/1.1 200 OK\n";
    let names: String = (0..99).map(|number| format!("x-{number:0600}: a\n")).collect();
    let all_listed = format!("{ok}{names}connection: {}\n\n", "x-0,".repeat(63));
    let fields = format!("{ok}{}", "a:b\n".repeat(100));
    // Each response is `start`, then as many fillers as make it `length` bytes long, then
    // `end`.
    for (start, filler, length, end, status) in [
        (format!("{ok}x-a: "), b',', 64 << 10, "\n\n", 200),
        (format!("{ok}x-a: "), b',', 65 << 10, "\n\n", 502),
        (format!("{ok}connection: "), b',', 64 << 10, "\n\n", 502),
        (format!("{ok}connection: "), b',', 8 << 20, "\n\n", 502),
        (format!("{ok}x-a: "), b',', 8 << 20, "\n\n", 502),
        (format!("{ok}{names}\n"), b' ', 0, "", 200),
        (fields.clone(), b'x', fields.len() + (1 << 20), "", 502),
        (all_listed, b' ', 0, "", 200),
    ] {
        let length = length.max(start.len() + end.len());
        let (first, last) = (65_536 + start.len(), 65_536 + length - end.len());
        // The module fills its memory itself: megabytes of WebAssembly text would take too
        // long to parse.
        let fill =
            format!("(memory.fill (i32.const {first}) (i32.const {filler}) (i32.const {}))", last - first);
        let [start_data, end_data] = [(65_536, &*start), (last, end)]
            .map(|(address, text)| format!("(data (i32.const {address}) \"{}\")", escaped(text.as_bytes())));
        let data = format!("(module {start_data} {end_data}");
        let wat = module(&fill, length, "").replacen("(module", &data, 1);
        let server = Server::of_text(&wat);
        let mut client = server.connect();
        let about = format!("a head of {length} bytes: {start:.24}");
        is_short(&about, || assert_eq!(client.ask("GET", "/").status, status, "{about}"));
    }
}

#[test]
fn options_of_requests() {
    let server = Server::start();
    let ask = |client: &mut Client, fields: &str| {
        client.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        client.reply_to("GET").status
    };
    let fields: String = (0..90).map(|number| format!("x-{number}: a\r\n")).collect();
    for (options, status) in [
        (format!("connection: {}\r\n", ",".repeat(63)), 200),
        (format!("connection: {}\r\n", ",".repeat(64)), 431),
        (format!("connection: {}\r\n", ",".repeat(15_000)), 431),
        (format!("connection: {}\r\n", "a,".repeat(7_500)), 431),
        ("connection: a, b\r\n".repeat(32), 200),
        (fields + &format!("connection: {}\r\n", "x-1,".repeat(63)), 200),
    ] {
        is_short("a request with options", || {
            assert_eq!(ask(&mut server.connect(), &options), status, "{}", &options[..60]);
        });
    }
}

#[test]
fn what_a_module_says_of_its_trap() {
    for byte in [0xff, 0x61, 0] {
        let fill = format!("(memory.fill (i32.const 0) (i32.const {byte}) (i32.const 65536000))");
        let says = "(func (export \"panic_message\") (result i64) (i64.const 65536000)))";
        let wat = module(&fill, 1, "(unreachable)").trim_end().strip_suffix(')').unwrap().to_owned() + says;
        let server = Server::of_text(&wat);
        let mut client = server.connect();
        is_short("a long message", || assert_eq!(client.ask("GET", "/").status, 500));
    }
}

#[test]
fn instances_with_large_images() {
    let host = Host::new();
    let fill = "(memory.fill (i32.const 128) (i32.const 7) (i32.const 65000000))";
    let module = host.start(module(fill, 1, "(unreachable)").as_bytes(), Effort::Quick).unwrap();
    // Each call traps, so the next call gets a new instance.
    is_short("a new instance of 64 MiB", || drop(host.call(&module, b"GET /").unwrap_err()));
}

#[test]
fn globals_that_are_put_back() {
    let with = |count: usize| {
        answering(b"HTTP/1.1 200 OK\n\n")
            .replace("(memory", &("(global (mut i64) (i64.const 1))".repeat(count) + "(memory"))
    };
    let host = Host::new();
    let plain = host.start(with(0).as_bytes(), Effort::Quick).unwrap();
    let most = host.start(with(1000).as_bytes(), Effort::Quick).unwrap();
    let call = |module| shortest(|| (0..100).for_each(|_| drop(host.call(module, b"GET /").unwrap()))) / 100;
    let (plain, most) = (call(&plain), call(&most));
    assert!(most < plain + BOUND / 100, "{plain:?} -> {most:?}");
    let file = crate::harness::TextFile::new(with(1001));
    let message = fails_to_start(&[file.path()]);
    assert!(message.contains("it has 1001 globals that can change; expected at most 1000"), "{message}");
}

#[test]
fn memory_that_is_put_back() {
    // Writes to 510 pages, in a row and scattered: about as many as the host resets.
    let host = Host::new();
    for step in [4096, 8192, 65_536] {
        let writes = format!(
            "(local $i i32) (local.set $i (i32.const 65536))
             (loop $next (i32.store (local.get $i) (i32.const 7))
               (local.set $i (i32.add (local.get $i) (i32.const {step})))
               (br_if $next (i32.lt_u (local.get $i) (i32.const {}))))",
            65_536 + 510 * step.min(100_000)
        );
        let module = host.start(module("", 1, &writes).as_bytes(), Effort::Quick).unwrap();
        is_short("to put memory back", || drop(host.call(&module, b"GET /").unwrap()));
    }
}

#[test]
fn copies_of_requests_and_responses() {
    let host = Host::new();
    let module = host.start(module("", 8 << 20, "").as_bytes(), Effort::Quick).unwrap();
    is_short("a response of 8 MiB", || assert_eq!(host.call(&module, b"GET /").unwrap().len(), 8 << 20));
    let request = vec![b'a'; 8 << 20];
    is_short("a request of 8 MiB", || assert_eq!(host.call(&module, &request).unwrap().len(), 8 << 20));
}

#[test]
fn a_call_whose_time_is_up_is_answered_504_although_it_has_an_answer() {
    // The host needs tens of milliseconds to copy the response, so the deadline passes
    // after the handler has returned.
    let flags = ["--deadline", "5ms", "--response-max", "64MiB"];
    let server = Server::of_text_with(&module("", 65_000_000, ""), &flags);
    assert_eq!(server.connect().ask("GET", "/").status, 504);
}

#[test]
fn mappings_of_all_instances_fit_a_process() {
    // Skips systems that do not have the default limit of Linux.
    if std::fs::read_to_string("/proc/sys/vm/max_map_count").is_ok_and(|limit| limit.trim() != "65530") {
        return;
    }
    let message = fails_to_start(&["--instances", "5000"]);
    assert!(message.contains("(reduce --instances, or raise vm.max_map_count)"), "{message}");
    // All calls are in progress at once, and each writes to as many scattered pages as its
    // request has bytes. If every instance took as many mappings as a single instance
    // may take, none would be left for the last ones.
    let flags = ["--instances", "700", "--deadline", "1min"];
    let host = Host::with(&flags, tokio::runtime::Builder::new_current_thread());
    let writes = "(local $i i32)
        (loop $next (i32.store (i32.mul (local.get 1) (i32.const 1000000)) (i32.const 7))
          (local.set 1 (i32.sub (local.get 1) (i32.const 1)))
          (br_if $next (local.get 1)))
        (loop $wait (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $wait (i32.lt_u (local.get $i) (i32.const 10000000))))";
    let module = host.start(module("", 1, writes).as_bytes(), Effort::Thorough).unwrap();
    let module = std::sync::Arc::new(module);
    host.runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..600 {
            let module = std::sync::Arc::clone(&module);
            calls.spawn(async move {
                let length = if number % 3 == 0 { 17 } else { 60 };
                let request = host_http::message::Message::from(vec![b'a'; length]);
                call(&module, &request).end().await.map(drop).map_err(|error| error.to_string())
            });
        }
        for result in calls.join_all().await {
            assert_eq!(result, Ok(()));
        }
    });
}
