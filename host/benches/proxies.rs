//! Checks that clients of proxies notice no swap: 100,000 requests through each
//! proxy, while the handler is swapped ten times a second. Every answer is checked,
//! and none may be missing.
//!
//! `cargo bench -p host-benches --bench proxies -- [nginx] [haproxy] [workers]`
//!
//! - `nginx`: one worker process of nginx, which keeps its connections to the host
//! - `haproxy`: HAProxy, which gives any of its connections to any client
//! - `workers`: four worker processes of nginx, over three hosts in turn
//!
//! No proxy may retry a request, which would hide failures.
//!
//! The host closes a connection that was idle for a minute, and a proxy that sends
//! a request at that moment loses it. HTTP/1.1 has no remedy, so a proxy has to
//! close first, as operators configure it: here nginx after 30 s, while HAProxy
//! closes half of its spare connections every 5 s.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::{Client, Folder, Random};
use host_benches::parts::program::{Program, free_address};
use host_benches::parts::replaced::Replaced;
use host_benches::parts::{nginx, run_chosen};

/// Requests through each proxy.
const REQUESTS: u64 = 100_000;

/// Client threads, each with a connection that it keeps.
const CLIENTS: u64 = 4;

const SWAP_INTERVAL: Duration = Duration::from_millis(100);

/// Number of failures after which a client stops.
const FAILURES_MAX: u64 = 10;

/// Longest request body, in bytes: several reads, but no more than the proxies
/// buffer in memory.
const BODY_MAX: usize = 40_000;

fn main() {
    run_chosen(&[("nginx", nginx_alone), ("haproxy", haproxy), ("workers", nginx_workers)]);
}

/// Returns a handler that answers with its number and the request.
fn numbered(number: u64) -> Vec<u8> {
    let text = format!(
        r#"(module
  (memory (export "memory") 2)
  (data (i32.const 0) "HTTP/1.1 200 OK\0a\0aversion {number:010}\0a")
  (func (export "alloc") (param i32) (result i32) (i32.const 36))
  (func (export "handle") (param i32) (param $length i32) (result i64)
    (i64.extend_i32_u (i32.add (local.get $length) (i32.const 36)))))"#
    );
    text.into_bytes()
}

fn hosts(count: usize) -> Vec<Replaced> {
    let start = |index| Replaced::start(&format!("proxied-{index}"), numbered, &["--no-watch"]);
    (0..count).map(start).collect()
}

fn nginx_alone() {
    through_nginx("nginx", "1", hosts(1));
}

fn nginx_workers() {
    through_nginx("nginx, four workers over three hosts", "4", hosts(3));
}

fn through_nginx(name: &str, workers: &str, hosts: Vec<Replaced>) {
    let (folder, address) = (Folder::new(), free_address());
    let servers: String =
        hosts.iter().map(|host| format!("server {};\n", host.server.addresses[0])).collect();
    // Bodies are forwarded as they come, so that the host gets chunks where the
    // client sends chunks. Nothing is written to files.
    let http = format!(
        "upstream hosts {{ {servers} keepalive 16; keepalive_timeout 30s; }}
         server {{ listen {address}; client_body_buffer_size 1m;
           location / {{ proxy_pass http://hosts; proxy_http_version 1.1; proxy_set_header Connection \"\";
             proxy_next_upstream off; proxy_request_buffering off;
             proxy_buffers 16 16k; proxy_max_temp_file_size 0; }} }}"
    );
    if let Some(_proxy) = nginx::start(&folder, workers, &http, address) {
        swap_behind(name, address, hosts, || fs::read_to_string(folder.file(nginx::ERRORS)).unwrap());
    }
}

fn haproxy() {
    let (folder, address, hosts) = (Folder::new(), free_address(), hosts(1));
    let (configuration, errors) = (folder.file("haproxy.cfg"), folder.file("haproxy-errors"));
    // Logs only requests that failed, were retried, or were answered from 500 on.
    // Connections without a request, such as the first one, are not logged.
    let text = format!(
        "global
           log stdout format raw local0
         defaults
           mode http
           log global
           option httplog
           option dontlog-normal
           option dontlognull
           retries 0
           timeout connect 5s
           timeout client 60s
           timeout server 60s
         frontend clients
           bind {address}
           default_backend hosts
         backend hosts
           http-reuse always
           server host {} pool-purge-delay 5s\n",
        hosts[0].server.addresses[0]
    );
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new("haproxy");
    // Runs in the foreground, with all its output in one file.
    command.arg("-db").arg("-f").arg(&configuration);
    let log = File::create(&errors).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    if let Some(proxy) = Program::start(&mut command, "it does not stand in front of the host") {
        let _proxy = proxy.listens_on(address);
        swap_behind("HAProxy", address, hosts, || fs::read_to_string(&errors).unwrap());
    }
}

/// State that clients and swaps share.
struct Run {
    /// Address of the proxy.
    address: SocketAddr,
    /// Oldest version that a host may serve.
    oldest: AtomicU64,
    /// Newest version that a host may serve.
    newest: AtomicU64,
    failures: AtomicU64,
    done: AtomicBool,
}

/// Sends all requests through a proxy while all hosts are swapped, and checks its
/// error log afterwards.
fn swap_behind(name: &str, address: SocketAddr, mut hosts: Vec<Replaced>, errors: impl Fn() -> String) {
    let run = &Run {
        address,
        oldest: AtomicU64::new(1),
        newest: AtomicU64::new(1),
        failures: AtomicU64::new(0),
        done: AtomicBool::new(false),
    };
    let since = Instant::now();
    let asked: u64 = thread::scope(|scope| {
        let swapping = scope.spawn(|| swap(run, &mut hosts));
        let clients: Vec<_> = (1..=CLIENTS).map(|seed| scope.spawn(move || ask_all(run, seed))).collect();
        let asked = clients.into_iter().map(|client| client.join().unwrap()).sum();
        run.done.store(true, SeqCst);
        swapping.join().unwrap();
        asked
    });
    let (time, failures, swaps) = (since.elapsed(), run.failures.load(SeqCst), run.oldest.load(SeqCst) - 1);
    println!(
        "{name} in front: {asked} requests, {failures} failures, {swaps} swaps of {} in {:.1} s",
        match hosts.len() {
            1 => "the host".to_owned(),
            count => format!("each of {count} hosts"),
        },
        time.as_secs_f64()
    );
    let complaints = errors();
    assert!(complaints.is_empty(), "{name} complains:\n{complaints}");
    assert_eq!((asked, failures), (REQUESTS, 0));

    // An empty log proves something only if the proxy logs errors.
    drop(hosts);
    let status = connect(address).ask("GET", "/route").status;
    assert!([502, 503].contains(&status), "{name} answers {status} without a host");
    let since = Instant::now();
    while errors().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(10), "{name} does not log that there is no host");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Swaps all hosts until the clients are done.
fn swap(run: &Run, hosts: &mut [Replaced]) {
    let mut clients: Vec<_> = hosts.iter().map(|host| host.server.connect()).collect();
    while !run.done.load(SeqCst) {
        let since = Instant::now();
        run.newest.fetch_add(1, SeqCst);
        for host in &mut *hosts {
            host.rename();
            host.server.signal("HUP");
        }
        for (host, client) in hosts.iter().zip(&mut clients) {
            host.wait(client);
        }
        run.oldest.fetch_add(1, SeqCst);
        thread::sleep(SWAP_INTERVAL.saturating_sub(since.elapsed()));
    }
}

/// Connects to a proxy, which may write names of fields in any case.
fn connect(proxy: SocketAddr) -> Client {
    let mut client = Client::connect(proxy);
    client.lower_case = false;
    client
}

/// Sends one client's share of the requests. Returns their number.
fn ask_all(run: &Run, seed: u64) -> u64 {
    let (mut random, mut client) = (Random::new(seed), connect(run.address));
    for number in 1..=REQUESTS / CLIENTS {
        let target = format!("/route?client={seed}&request={number}");
        // A wrong answer panics with a message on standard error.
        let exchange = AssertUnwindSafe(|| exchange(run, &mut client, &target, &mut random));
        if catch_unwind(exchange).is_err() {
            if run.failures.fetch_add(1, SeqCst) + 1 >= FAILURES_MAX {
                return number;
            }
            client = connect(run.address);
        }
    }
    REQUESTS / CLIENTS
}

/// Makes one request, and checks everything about its answer.
fn exchange(run: &Run, client: &mut Client, target: &str, random: &mut Random) {
    let (method, body, chunked) = match random.below(10) {
        0 => ("HEAD", Vec::new(), false),
        1 => ("POST", some_bytes(random), false),
        2 => ("POST", some_bytes(random), true),
        _ => ("GET", Vec::new(), false),
    };
    let oldest = run.oldest.load(SeqCst);
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n").into_bytes();
    match method {
        "POST" if chunked => {
            request.extend(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in body.chunks(1 + random.below(8000)) {
                request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                request.extend(chunk);
                request.extend(b"\r\n");
            }
            request.extend(b"0\r\n\r\n");
        }
        "POST" => {
            request.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
            request.extend(&body);
        }
        _ => request.extend(b"\r\n"),
    }
    client.send(request);
    let reply = client.reply_to(method);
    let newest = run.newest.load(SeqCst);

    assert_eq!(reply.status, 200, "{method} {target}: {}", reply.body.escape_ascii());
    let version: u64 = reply.field("x-handler-version").unwrap().parse().unwrap();
    assert!((oldest..=newest).contains(&version), "{version} is not within {oldest} and {newest}");
    if method == "HEAD" {
        let length: usize = reply.field("content-length").unwrap().parse().unwrap();
        assert!(length > target.len() && reply.body.is_empty(), "{length}: {:?}", reply.body);
        return;
    }
    let start = format!("version {version:010}\n{method} {target} HTTP/1.1\r\n");
    let end = [b"\r\n\r\n", &body[..]].concat();
    assert!(
        reply.body.starts_with(start.as_bytes()) && reply.body.ends_with(&end),
        "{method} {target} of version {version}: {}",
        reply.body.escape_ascii()
    );
}

/// Returns a body of any length and content.
fn some_bytes(random: &mut Random) -> Vec<u8> {
    let (length, step) = (random.below(BODY_MAX), 1 + random.below(10_000));
    (0..length).map(|at| (at * step / 16) as u8).collect()
}
