//! Checks that clients behind a proxy do not notice swaps: sends 100,000 requests through each
//! proxy, while the handler is swapped ten times a second. Every response is checked, and none may
//! be missing.
//!
//! `cargo bench -p host-benches --bench proxies -- [nginx] [haproxy] [workers]`
//!
//! - `nginx`: one worker process of nginx, which keeps its connections to the host open
//! - `haproxy`: HAProxy, which uses each connection to the host for requests of any client
//! - `workers`: four worker processes of nginx, which use three hosts in turn
//!
//! The proxies are configured not to retry requests, because that would hide failures.
//!
//! The host closes a connection that was idle for a minute, and a proxy that sends
//! a request at that moment loses the request. HTTP/1.1 has no remedy, so a proxy has
//! to close first, as operators configure it: here nginx after 30 s, while HAProxy
//! closes half of its spare connections every 5 s.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::{Client, Folder, Random, wait_until};
use host_benches::parts::peers::{PAUSE, Running};
use host_benches::parts::program::{Program, free_address};
use host_benches::parts::replaced::Replaced;
use host_benches::parts::{nginx, run_chosen};

/// Number of requests through each proxy.
const REQUESTS: u64 = 100_000;

/// Number of client threads. Each keeps one connection open.
const CLIENTS: u64 = 4;

const SWAP_INTERVAL: Duration = Duration::from_millis(100);

/// Upper limit on the length of a request body, in bytes. Bodies up to this limit need several
/// reads, but fit into the memory buffers of the proxies.
const BODY_MAX: usize = 40_000;

fn main() {
    run_chosen(&[("nginx", nginx_alone), ("haproxy", haproxy), ("workers", nginx_workers)]);
}

/// Returns a handler that answers with its number and the bytes of the request.
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
    (0..count).map(|_| Replaced::start(numbered, &["--no-watch"])).collect()
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
    let command = nginx::command(&folder, workers, nginx::CONNECTIONS, &http);
    swap_behind(name, command, address, hosts, &folder.file(nginx::ERRORS));
}

fn haproxy() {
    let (folder, address, hosts) = (Folder::new(), free_address(), hosts(1));
    let (configuration, errors) = (folder.file("haproxy.cfg"), folder.file("haproxy-errors"));
    // Logs only requests that failed, were retried, or got a status of 500 or above.
    // Connections without a request are not logged.
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
    swap_behind("HAProxy", command, address, hosts, &errors);
}

/// Oldest and newest version that the hosts may serve at the moment.
struct Versions {
    oldest: AtomicU64,
    newest: AtomicU64,
}

/// Sends all requests through a proxy while the handlers of the hosts behind it are
/// swapped, then checks the proxy's error log.
fn swap_behind(name: &str, mut proxy: Command, address: SocketAddr, mut hosts: Vec<Replaced>, log: &Path) {
    let Some(program) = Program::start(&mut proxy, "it does not stand in front of the host") else { return };
    let mut running = Running { program, address };
    running.wait(PAUSE);
    let errors = || fs::read_to_string(log).unwrap();
    let versions = Versions { oldest: AtomicU64::new(1), newest: AtomicU64::new(1) };
    let since = Instant::now();
    thread::scope(|scope| {
        let ask = |seed| ask_all(address, &versions, seed);
        let clients: Vec<_> = (1..=CLIENTS).map(|seed| scope.spawn(move || ask(seed))).collect();
        // A client whose answer is wrong panics, which ends the bench.
        while clients.iter().any(|client| !client.is_finished()) {
            let next = Instant::now() + SWAP_INTERVAL;
            swap(&versions, &mut hosts);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    println!(
        "{name} in front: {REQUESTS} requests, none failed, {} swaps of {} hosts in {:.1} s",
        versions.oldest.load(SeqCst) - 1,
        hosts.len(),
        since.elapsed().as_secs_f64()
    );
    assert!(errors().is_empty(), "{name} has logged errors:\n{}", errors());

    // An empty log proves something only if the proxy logs errors.
    drop(hosts);
    let status = connect(address).ask("GET", "/route").status;
    assert!([502, 503].contains(&status), "{name} answers {status} without a host");
    wait_until("the proxy logs that there is no host", || !errors().is_empty());
}

/// Swaps the handler of each host once.
fn swap(versions: &Versions, hosts: &mut [Replaced]) {
    versions.newest.fetch_add(1, SeqCst);
    hosts.iter_mut().for_each(Replaced::replace);
    hosts.iter().for_each(|host| host.wait(&mut host.server.connect()));
    versions.oldest.fetch_add(1, SeqCst);
}

/// Connects to a proxy. Accepts field names in upper case, which a proxy may write, unlike the
/// host.
fn connect(proxy: SocketAddr) -> Client {
    let mut client = Client::connect(proxy);
    client.lower_case = false;
    client
}

/// Sends one client's share of the requests.
fn ask_all(proxy: SocketAddr, versions: &Versions, seed: u64) {
    let (mut random, mut client) = (Random::new(seed), connect(proxy));
    for number in 1..=REQUESTS / CLIENTS {
        let target = format!("/route?client={seed}&request={number}");
        exchange(versions, &mut client, &target, &mut random);
    }
}

/// Makes one request, and checks everything about its response.
fn exchange(versions: &Versions, client: &mut Client, target: &str, random: &mut Random) {
    let (method, body, chunked) = match random.below(10) {
        0 => ("HEAD", Vec::new(), false),
        1 => ("POST", some_bytes(random), false),
        2 => ("POST", some_bytes(random), true),
        _ => ("GET", Vec::new(), false),
    };
    let oldest = versions.oldest.load(SeqCst);
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
    let newest = versions.newest.load(SeqCst);

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

/// Returns a body of random length, below [`BODY_MAX`], and varying content.
fn some_bytes(random: &mut Random) -> Vec<u8> {
    let (length, step) = (random.below(BODY_MAX), 1 + random.below(10_000));
    (0..length).map(|at| (at * step / 16) as u8).collect()
}
