//! Measures one call of the handler without HTTP: a clean instance, copying the request in, and
//! copying the response out. Also measures the host's work around a call, calls of the examples,
//! and how the time of a call grows with the size of the module's memory, with how much of the
//! memory the call writes, and with the number of routes.
//!
//! `cargo bench -p host-benches --bench call -- [TEXT]`
//!
//! Runs the measurements whose names contain TEXT, or all of them. Draws a plot if all measurements
//! `memory/...` or all measurements `routes/...` have run.

use std::cell::LazyCell;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use host::clock;
use host::metrics::requests::{Answered, ByKind, CallTimes, Requests};
use host::site::version::EMBEDDED;
use host_benches::harness::oracle::Host;
use host_benches::parts::plot::{Axis, Plot, Scale, Series, bytes, plain};
use host_benches::parts::{median, routes};
use host_http::h1::{HeadParser, MessageLimits};
use host_http::message::Message;
use host_http::request::{Origin, check_head, encode};
use host_http::request_id::RequestId;
use host_http::response::{Own, Places, check};
use host_wasm::Effort;

/// Fields of a request as the handler gets it: the client's `host`, and those that the host adds.
const FIELDS: &str = "host: localhost:4444\r\nx-request-id: 2b-3-9c07b2e41f3a55d0\r\n\
    x-forwarded-for: 127.0.0.1\r\nx-request-time: 1795334400000\r\n";

/// Fields that a browser sends.
const BROWSER: [(&str, &str); 9] = [
    ("host", "localhost:4444"),
    ("connection", "keep-alive"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9"),
];

/// Request to an example: name of the example, description, method and target, fields, expected
/// status, and body.
type Example = (&'static str, &'static str, &'static str, &'static str, u16, &'static str);

/// Requests to the examples. Signatures are made with the keys in the sources of the examples.
const EXAMPLES: [Example; 14] = [
    ("ab", "a visitor who was here before", "GET /", "cookie: variant=a\r\n", 200, ""),
    ("ab", "a new visitor", "GET /", "", 200, ""),
    ("form", "the form", "GET /", "", 200, ""),
    ("inspect", "the head", "GET /echo", "", 200, ""),
    ("items", "one item", "GET /items/1", "", 200, ""),
    (
        "login",
        "a session",
        "GET /",
        "cookie: session=b6006562917eb051c2f085fcd3a1aedd8ee40985d6921dcdbc42c0f3aefcd230.9999999999.ada\r\n",
        200,
        "",
    ),
    ("mandelbrot", "64 by 48 pixels", "GET /mandelbrot.bmp?width=64&height=48", "", 200, ""),
    ("redirects", "an entry", "GET /p/17", "", 308, ""),
    ("site", "a page", "GET /", "", 200, ""),
    ("site", "a page that the client has", "GET /", "if-none-match: *\r\n", 304, ""),
    ("site", "a range", "GET /", "range: bytes=5-9\r\n", 206, ""),
    ("tasks", "a page of 20", "GET /tasks", "", 200, ""),
    ("tasks", "a new task", "POST /tasks", "", 201, "{\"title\":\"a\"}"),
    (
        "webhook",
        "a signed message",
        "POST /hook",
        "x-timestamp: 1795334400\r\n\
         x-signature: sha256=43976a72242f88e87caa32b3e67cdc205d44fae9c6bafad4f24d45751d683194\r\n",
        204,
        "{}",
    ),
];

/// Page size of WebAssembly, in bytes.
const PAGE: usize = 64 << 10;

/// Size of the largest memory that is measured, in pages.
const LARGE: usize = 256;

const COMMAND: &str = "cargo bench -p host-benches --bench call";

/// Size, and the time of a call at that size in microseconds; None if it was not measured.
type Measured = Option<(f64, f64)>;

struct Caller(Host);

impl Caller {
    /// Measures calls of a module with GET requests for the targets in turn. Returns the median
    /// time of a call in microseconds, or None if the command line excludes `name`.
    fn measure(
        &self,
        criterion: &mut Criterion,
        name: &str,
        module: impl FnOnce() -> Vec<u8>,
        targets: &[String],
    ) -> Option<f64> {
        let requests = targets.iter().map(|target| Message::from(request(target))).collect();
        self.measure_requests(criterion, name, module, requests, 200)
    }

    /// Measures calls of a module with the requests in turn. All responses must have the status
    /// `status`. Returns the median time of a call in microseconds, or None if the command line
    /// excludes `name`.
    fn measure_requests(
        &self,
        criterion: &mut Criterion,
        name: &str,
        module: impl FnOnce() -> Vec<u8>,
        requests: Vec<Message>,
        status: u16,
    ) -> Option<f64> {
        // Compiled at its first use, so not at all if the measurement is excluded.
        let module = LazyCell::new(|| {
            let module = self.0.start(&module(), Effort::Thorough).expect("a handler");
            for request in &requests {
                let call = module.call(request, RequestId::none(), Instant::now());
                let response = self.0.runtime.block_on(call.end()).expect("a response");
                let line = format!("HTTP/1.1 {status} ");
                assert!(response.starts_with(line.as_bytes()), "{name}: {line}");
            }
            module
        });
        let mut measured = Vec::new();
        criterion.bench_function(name, |bencher| {
            let module = &*module;
            bencher.iter_custom(|times| {
                let since = Instant::now();
                self.0.runtime.block_on(async {
                    for request in requests.iter().cycle().take(times as usize) {
                        let call = module.call(request, RequestId::none(), Instant::now());
                        black_box(call.end().await.expect("a response"));
                    }
                });
                let time = since.elapsed();
                measured.push(time.as_secs_f64() * 1e6 / times as f64);
                time
            });
        });
        (!measured.is_empty()).then(|| median(&measured))
    }
}

/// Measures those modules of `handler/examples/rust` that were built there by
/// `cargo build --release --target wasm32-unknown-unknown`.
fn examples(criterion: &mut Criterion) {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../handler/examples/rust/target/wasm32-unknown-unknown/release");
    let caller = Caller(Host::new());
    for (name, what, line, fields, status, body) in EXAMPLES {
        let Ok(module) = fs::read(built.join(format!("{name}.wasm"))) else { continue };
        let length =
            if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let request = format!("{line} HTTP/1.1\r\n{FIELDS}{fields}{length}\r\n{body}");
        let message = Message { seed: Some([7; 32]), ..request.into_bytes().into() };
        let name = format!("examples/{name}, {what}");
        caller.measure_requests(criterion, &name, || module, vec![message], status);
    }
}

fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\n{FIELDS}\r\n").into_bytes()
}

/// Returns a module that answers without reading the request, so that only the host's share of a
/// call is measured. Each call writes `written` bytes after the first page of memory.
fn constant(pages: usize, written: usize) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") {pages})
            (data (i32.const 0) "HTTP/1.1 200 OK\n\n<h1> hello route</h1>")
            (func (export "alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "handle") (param i32 i32) (result i64)
                (memory.fill (i32.const {PAGE}) (i32.const 1) (i32.const {written}))
                (i64.const 38)))"#
    );
    text.into_bytes()
}

fn calls(criterion: &mut Criterion) {
    let (caller, route) = (Caller(Host::new()), ["/route".to_owned()]);
    caller.measure(criterion, "call/default handler", || EMBEDDED.to_vec(), &route);
    caller.measure(criterion, "call/constant", || constant(1, 0), &route);
    criterion.bench_function("call/default handler, natively", |bencher| {
        let (mut room, request) = ([0; 4096], request(&route[0]));
        bencher.iter(|| handler_sdk::respond(black_box(&request), handler::answer).encode(&mut room));
    });
}

/// Measures what the host does with a request and a response around the call.
fn around(criterion: &mut Criterion) {
    let mut bytes = b"GET /route HTTP/1.1\r\n".to_vec();
    for (name, value) in BROWSER {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    let limits =
        MessageLimits { target_max: 8 << 10, head_max: 16 << 10, fields_max: 100, body_max: 1 << 20 };
    let origin = Origin {
        id: &RequestId::none(),
        client: "127.0.0.1",
        time: SystemTime::now(),
        tls: host_http::request::Tls::Off,
        trace: None,
    };
    let (mut parser, mut canonical) = (HeadParser::default(), Vec::new());
    criterion.bench_function("http/parse, check and encode a request", |bencher| {
        bencher.iter(|| {
            parser.reset();
            canonical.clear();
            parser.read(black_box(&bytes), &limits).expect("a head");
            let head = parser.head(&bytes);
            encode(
                &mut canonical,
                &head,
                check_head(&head, host_http::request::Tls::Off).expect("a target"),
                0,
                0,
                &origin,
            );
        });
    });
    let mut returned = vec![0; 4096];
    let asked = request("/route");
    let response = handler_sdk::respond(&asked, handler::answer);
    let length = response.encode(&mut returned).expect("a response");
    returned.truncate(length);
    let (mut out, id, date) = (Vec::new(), RequestId::none(), b"Thu, 01 Jan 1970 00:00:00 GMT");
    criterion.bench_function("http/check a response and write its head", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut places = Places::default();
            let checked = check(black_box(&returned), "GET", 64 << 10, &mut places).expect("a response");
            checked
                .write_head(&mut out, &Own { id: &id, version: Some(1), connection: None, hsts: None, date });
        });
    });
}

/// Measures counting a request in the metrics, and reading the clocks that a request needs.
fn counted(criterion: &mut Criterion) {
    let (requests, version) = (Requests::default(), ByKind::default());
    let call = Some(CallTimes { ran: Duration::from_micros(2), waited: Duration::ZERO });
    criterion.bench_function("http/count a request", |bencher| {
        bencher.iter(|| {
            let took = black_box(Duration::from_micros(3));
            let answered = Answered { method: "GET", status: 200, received: 80, sent: 190, took, call };
            requests.add(black_box(&answered), Some(&version));
        });
    });
    criterion.bench_function("http/read both clocks", |bencher| bencher.iter(clock::both));
    criterion.bench_function("http/read one clock", |bencher| bencher.iter(Instant::now));
}

/// Measures how the time of a call grows with the size of the memory, and with how much of a large
/// memory the call writes to.
fn memory(criterion: &mut Criterion) {
    let (caller, route) = (Caller(Host::new()), ["/route".to_owned()]);
    let mut measure = |what: &str, pages: usize, written: usize, size: usize| {
        let (size, module) = ((size * PAGE) as f64, || constant(pages, written * PAGE));
        let name = format!("memory/{what} {}", bytes(size));
        Some((size, caller.measure(criterion, &name, module, &route)?))
    };
    let sizes = [1, 16, LARGE].map(|pages| measure("of", pages, 0, pages));
    measure("of 128 KiB, written to", 2, 1, 1);
    let written = [1, 4, 16].map(|pages| measure("of 16 MiB, written to", LARGE, pages, pages));
    draw(
        Plot { file: "growth-memory", title: "One call, by the module's memory", command: COMMAND },
        &Axis { what: "size of the memory, and how much is written", scale: Scale::Log, label: bytes },
        Scale::Log,
        [
            ("memory of this size, a constant answer", sizes.to_vec()),
            ("memory of 16 MiB, of which this much is written to", written.to_vec()),
        ],
    );
}

/// Measures how the time of a call grows with the number of routes in the SDK's index.
fn growth_of_routes(criterion: &mut Criterion) {
    let caller = Caller(Host::new());
    let mut measure = |kind: routes::Kind| {
        let of = |count: usize| {
            let (name, module) = (format!("routes/{count} {}", kind.name), || routes::module(kind, count));
            Some((count as f64, caller.measure(criterion, &name, module, &routes::asked(kind, count))?))
        };
        (kind.name, [2, 100, 10_000].map(of).to_vec())
    };
    draw(
        Plot {
            file: "growth-routes",
            title: "One call, by the routes in the module's table",
            command: COMMAND,
        },
        &Axis { what: "routes, found by an index", scale: Scale::Log, label: plain },
        Scale::Linear,
        routes::KINDS.map(&mut measure),
    );
}

/// Draws a plot if all of its points were measured.
fn draw<const LINES: usize>(
    plot: Plot,
    x: &Axis,
    scale: Scale,
    lines: [(&'static str, Vec<Measured>); LINES],
) {
    let whole =
        lines.into_iter().map(|(name, points)| Some((name, points.into_iter().collect::<Option<_>>()?)));
    if let Some(series) = whole.collect::<Option<Vec<Series>>>() {
        plot.lines(x, &Axis { what: "microseconds for a call", scale, label: plain }, &series);
    }
}

criterion_group!(benches, calls, around, counted, memory, growth_of_routes, examples);
criterion_main!(benches);
