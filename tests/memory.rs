//! Each part of the server's memory, driven to its limit, stays within the bound that
//! `host status` states.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{
    Client, Deployment, Server, bombs, fixture_text, host_after, make_pipe, status_kib, wait_until,
};

const MIB: u64 = 1 << 20;

/// Flags with limits that are small enough to be reached, and timeouts that never expire.
#[rustfmt::skip]
const FLAGS: [&str; 18] = [
    "--no-watch", "--threads=2", "--instances=8", "--memory-max=8MiB", "--table-max=1000",
    "--buffer-max=24MiB", "--connections=120", "--module-max=8MiB", "--keep-bytes=16MiB", "--keep=100",
    "--compile-memory-max=96MiB", "--deadline=1h", "--head-timeout=1h", "--body-timeout=1h",
    "--write-timeout=1h", "--body-rate-min=0", "--write-rate-min=0", "--rate-window=1h",
];

/// Returns `fills_or_answers.wat` with a megabyte of data. Another seed gives another
/// module.
fn module(seed: u8) -> Vec<u8> {
    let data = format!("(module (data (i32.const 1100000) \"{}\")", format!("\\{seed:02x}").repeat(1 << 20));
    wat::parse_str(fixture_text("fills_or_answers.wat").replacen("(module", &data, 1)).unwrap()
}

/// Server whose log nobody reads, and its files.
struct Place {
    deployment: Deployment,
    server: Server,
}

impl Place {
    fn new() -> Place {
        let deployment = Deployment::of(module(0));
        let log = deployment.path("log");
        make_pipe(&log);
        let shell = host_after(&format!("exec 2<>'{log}'"));
        let arguments = ["--control", &deployment.path("control"), &deployment.path("handler.wasm")];
        let server = Server::spawn(shell, &[&FLAGS, &arguments[..]].concat());
        Place { deployment, server }
    }

    fn resources(&self) -> Value {
        let status: Value = serde_json::from_str(&self.deployment.tell(&["status", "--json"])).unwrap();
        status["resources"].clone()
    }

    /// Returns the bound that the server states for a part of its memory, in bytes.
    fn bound(&self, part: &str) -> u64 {
        let resources = self.resources();
        let mut parts = resources["memory"].as_array().unwrap().iter();
        parts.find(|found| found["what"] == part).unwrap()["bytes"].as_u64().unwrap()
    }

    /// Waits until `host status` says that at least `least` of a resource is in use.
    #[track_caller]
    fn wait_for(&self, what: &str, least: u64) {
        wait_until(what, || self.resources()[what]["used"].as_u64().unwrap() >= least);
    }

    fn connect(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| self.server.connect()).collect()
    }
}

/// Returns the memory of a process without mapped files, in bytes.
fn memory(pid: u32) -> u64 {
    let kib = ["RssAnon:", "RssShmem:"].into_iter().filter_map(|name| status_kib(pid, name));
    (kib.sum::<usize>() as u64) << 10
}

/// Connections of clients and of uploads, which keep memory in use until dropped.
type Held = (Vec<Client>, Vec<UnixStream>);

/// Part of the server's memory, and the load that drives it to its limit.
struct Part {
    name: &'static str,
    drive: fn(&Place) -> Held,
    /// Least growth of the server's memory under that load, in bytes.
    least: u64,
}

const PARTS: [Part; 6] = [
    Part { name: "kept versions", drive: keep_versions, least: 11 * MIB },
    Part { name: "log", drive: log_much, least: 3 * MIB / 2 },
    Part { name: "bodies", drive: send_bodies, least: 20 * MIB },
    Part { name: "connections", drive: open_connections, least: 3 * MIB },
    Part { name: "candidates", drive: upload, least: 30 * MIB },
    Part { name: "instances", drive: fill_instances, least: 46 * MIB },
];

fn keep_versions(place: &Place) -> Held {
    for seed in 1..25 {
        place.deployment.serves(module(seed), u64::from(seed) + 1);
    }
    place.wait_for("kept_versions", 12 * MIB);
    Held::default()
}

fn log_much(place: &Place) -> Held {
    let mut client = place.server.connect();
    let target = format!("/{}", "x".repeat(8000));
    // The blocked writer holds the first lines; the others fill the queue.
    (0..1000).for_each(|_| assert_eq!(client.ask("GET", &target).status, 200));
    place.wait_for("log", 2 * MIB - 10_000);
    Held::default()
}

fn send_bodies(place: &Place) -> Held {
    let mut clients = place.connect(30);
    let body = vec![b'x'; MIB as usize - 1];
    for client in &mut clients {
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {MIB}\r\n\r\n"));
        // Sending may fail, because some bodies are refused before they are complete.
        client.try_send(&body);
    }
    place.wait_for("buffers", 20 * MIB);
    (clients, Vec::new())
}

fn open_connections(place: &Place) -> Held {
    let mut clients = place.connect(70);
    for (index, client) in clients.iter_mut().enumerate() {
        let (head, rest) = match index % 2 {
            0 => ("GET / HTTP/1.1\r\nhost: a\r\nx: ".to_owned(), 16_000),
            _ => (format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 64 << 10), 65_000),
        };
        client.send(head + &"x".repeat(rest));
    }
    place.wait_for("connections", 70);
    (clients, Vec::new())
}

fn upload(place: &Place) -> Held {
    let size = 8 * MIB as usize;
    let order =
        format!("POST /v1/versions HTTP/1.1\r\nhost: a\r\nx-host-admin: 1\r\ncontent-length: {size}\r\n\r\n");
    let connect = |_| UnixStream::connect(place.deployment.socket()).unwrap();
    let mut uploads: Vec<_> = (0..6).map(connect).collect();
    uploads.iter_mut().for_each(|stream| stream.write_all(order.as_bytes()).unwrap());
    place.wait_for("uploads", 4);
    // Writes without blocking: two of the uploads wait for a permit, and the server chooses
    // which.
    let module = vec![b'x'; size - 1];
    uploads.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    let mut sent = vec![0; uploads.len()];
    wait_until("uploads", || {
        for (stream, sent) in uploads.iter_mut().zip(&mut sent) {
            *sent += stream.write(&module[*sent..]).unwrap_or(0);
        }
        sent.iter().filter(|&&sent| sent == module.len()).count() >= 4
    });
    (Vec::new(), uploads)
}

fn fill_instances(place: &Place) -> Held {
    let clients = (0..8).map(|_| place.server.asking("/l")).collect();
    // Six of eight instances: the other two are reserved for short calls.
    place.wait_for("instances", 6);
    (clients, Vec::new())
}

#[test]
fn each_part_of_the_memory_and_all_together_stay_within_the_sum_that_is_stated() {
    for Part { name, drive, least } in PARTS {
        let place = Place::new();
        let before = memory(place.server.pid());
        let held = drive(&place);
        // Adds the bound of the connections that the load uses.
        let own = place.bound("connections") / 120 * held.0.len() as u64;
        let bound = place.bound(name) + if name == "connections" { 0 } else { own } + 4 * MIB;
        // Expects a little less growth: the server gives back what its start has freed.
        grows(name, &place, before, least * 3 / 4, bound);
    }

    let place = Place::new();
    let before = memory(place.server.pid());
    let (mut held, mut least, mut bound) = (Vec::new(), 0, 4 * MIB);
    for part in PARTS {
        held.push((part.drive)(&place));
        (least, bound) = (least + part.least, bound + place.bound(part.name));
        // Expects a little less growth: a part may reuse memory that an earlier one freed.
        grows(&format!("all up to {}", part.name), &place, before, least * 3 / 4, bound);
    }
}

/// Waits until a server has grown by at least `least`, and checks that it has grown
/// by at most `bound`.
#[track_caller]
fn grows(what: &str, place: &Place, before: u64, least: u64, bound: u64) {
    let grown = || memory(place.server.pid()).saturating_sub(before);
    wait_until(&format!("{what}: {least} bytes"), || grown() >= least);
    for _ in 0..20 {
        assert!(grown() <= bound, "{what}: {} MiB of {} MiB", grown() / MIB, bound / MIB);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    println!("{what}: at least {} MiB, {} MiB, at most {} MiB", least / MIB, grown() / MIB, bound / MIB);
}

#[test]
fn what_the_kernel_keeps_for_clients_that_do_not_read_stays_within_its_part() {
    let place = Place::new();
    // Clients have small receive buffers, so most of a response stays in the server's send
    // buffer in the kernel.
    let connect = || Client::connect_with_room(4096, place.server.addresses[0]);
    let mut clients: Vec<Client> = (0..20).map(|_| connect()).collect();
    clients.iter_mut().for_each(|client| client.send("GET /r HTTP/1.1\r\nhost: a\r\n\r\n".repeat(16)));
    place.wait_for("buffers", 10 * MIB);
    let port = format!(":{:04X}", place.server.addresses[0].port());
    let unsent = || -> u64 {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // State 01 is ESTABLISHED.
        let of_server = fields.filter(|fields| fields[1].ends_with(&port) && fields[3] == "01");
        let bytes = |fields: Vec<&str>| u64::from_str_radix(&fields[4][..8], 16).unwrap();
        // By the client's address: the kernel lists a socket twice when others come and go
        // while the list is read.
        let by_client = of_server.map(|fields| (fields[2].to_owned(), bytes(fields)));
        by_client.collect::<BTreeMap<_, _>>().into_values().sum()
    };
    wait_until("unsent bytes", || unsent() > 20 * (64 << 10));
    // Also allows the bytes in flight, which are at most the client's receive buffer.
    let bound = place.bound("unsent in the kernel") / 120 * 20 + 20 * (8 << 10);
    for _ in 0..20 {
        assert!(unsent() <= bound, "{} of {bound}", unsent());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_compiler_takes_no_more_than_its_part() {
    let place = Place::new();
    let mut most = 0;
    for bomb in [bombs::chain_of_conditions(10_000), bombs::much_code(1500)] {
        let mut order = place.deployment.swap_command(bomb).stdout(Stdio::piped()).spawn().unwrap();
        while order.try_wait().unwrap().is_none() {
            most = place.server.children().into_iter().map(memory).fold(most, u64::max);
        }
    }
    let bound = place.bound("compiling");
    assert!(most > bound / 2 && most <= bound, "{} MiB of {} MiB", most / MIB, bound / MIB);
}

#[test]
fn the_memory_of_a_burst_is_given_back() {
    const BODY: usize = 1 << 20;
    let server = Server::of_with("echo.wat", &["--threads", "2"]);
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {BODY}\r\n\r\n");
    let request = [head.as_bytes(), &[b'x'; BODY]].concat();
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    let address = server.addresses[0];
    // With mapped files, as operators see it.
    let resident = || status_kib(server.pid(), "VmRSS:").unwrap();
    let before = resident();
    let mut most = 0;
    // More than once, so that what the allocator keeps does not add up.
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let mut client = Client::connect(address);
                    client.send(&request);
                    assert_eq!(client.reply_to("POST").body.len(), BODY);
                });
            }
        });
        most = most.max(resident());
        // The C library keeps some memory for each thread that has freed some.
        wait_until("the memory is given back", || resident() <= before + before / 2);
    }
    assert!(most > 2 * before, "{most} KiB are no burst after {before}");
}
