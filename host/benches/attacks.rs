//! Measures what attacks over TLS and HTTP/2 cost another client: its response times beside each
//! attack, and the memory of the server, for the host and for nginx in turn. The attackers run at
//! nice 19, as if they were on another machine.
//!
//! `cargo bench -p host-benches --bench attacks -- [resets] [continuations] [settings] [pings]
//! [windows] [hellos] [half-hellos] [renegotiations]`
//!
//! - `resets`: requests that are reset at once
//! - `continuations`: CONTINUATION frames without end
//! - `settings`, `pings`: SETTINGS and PING frames without end
//! - `windows`: 100 requests on each connection, whose windows open byte by byte
//! - `hellos`: handshakes that stop after a whole first message, up to 10,000 at a time
//! - `half-hellos`: the same with half of the first message
//! - `renegotiations`: openssl's client, which asks for a renegotiation in TLS 1.2

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use host_benches::harness::Folder;
use host_benches::parts::process::{raise_descriptors, resident_kib};
use host_benches::parts::secure::{self, HOST, NAME, NGINX, Secure};
use host_benches::parts::{bare, high, is_chosen, median, milliseconds};
use http::Request;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Duration of each attack.
const TIME: Duration = Duration::from_secs(60);

/// Number of attacking threads.
const ATTACKERS: usize = 4;

/// Largest number of connections that an attack leaves open, in all threads together.
const HELD_MAX: usize = 10_000;

/// Pause of each thread between two connections of `hellos` and `half-hellos`.
const BETWEEN_HELLOS: Duration = Duration::from_millis(12);

/// Time between two requests of the other client.
const INTERVAL: Duration = Duration::from_millis(10);

/// Timeout for a connection and for a response.
const PATIENCE: Duration = Duration::from_secs(10);

const NONE: &str = "none";

const NAMES: [&str; 8] =
    ["resets", "continuations", "settings", "pings", "windows", "hellos", "half-hellos", "renegotiations"];

/// Attacked server, and the TLS configuration of its clients.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

/// What attackers have done, in all threads together.
#[derive(Default)]
struct Done {
    connections: AtomicUsize,
    frames: AtomicUsize,
}

fn main() {
    bare::serve_if_asked();
    raise_descriptors(2 * HELD_MAX);
    let folder = Folder::new();
    let (servers, cert) = secure::start(&folder, &[HOST, NGINX]);
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let tls = ClientConfig::builder_with_provider(default_provider().into());
    let tls = tls.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut tls = tls.with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = Arc::new(tls);
    for name in [NONE].into_iter().chain(NAMES.into_iter().filter(|name| is_chosen(name, &NAMES))) {
        println!("\n{name}, {} s, {ATTACKERS} attackers", TIME.as_secs());
        let seen: Vec<_> = servers.iter().map(|server| run(name, server, &tls)).collect();
        if let [(_, host), (_, other)] = seen[..] {
            println!("99 % to nginx {:.2}", host / other);
        }
    }
}

/// Runs an attack beside a client. Returns the median and the 99th percentile of the client's
/// response times in milliseconds.
fn run(attack: &'static str, server: &Secure, tls: &Arc<ClientConfig>) -> (f64, f64) {
    let target = Target { address: server.address, tls: Arc::clone(tls) };
    let (done, end) = (Done::default(), Instant::now() + TIME);
    let (times, failed, memory) = thread::scope(|scope| {
        if attack != NONE {
            for _ in 0..ATTACKERS {
                let (target, done) = (&target, &done);
                scope.spawn(move || {
                    rustix::process::nice(19).expect("any process may lower its priority");
                    attack_until(end, attack, target, done);
                });
            }
        }
        let client = scope.spawn(|| runtime().block_on(ask_until(end, &target)));
        thread::sleep(TIME - Duration::from_secs(2));
        let memory = resident_kib(server.program.0.id());
        let (times, failed) = client.join().unwrap();
        (times, failed, memory)
    });
    let (half, most) = (median(&times), high(&times));
    println!(
        "{:6} 50 % {half:6.2} ms, 99 % {most:6.2} ms, requests {}, failed {failed}; resident {:.0} MiB; \
         attack: {} connections, {} frames",
        server.name,
        times.len(),
        memory as f64 / 1024.0,
        done.connections.load(Relaxed),
        done.frames.load(Relaxed),
    );
    (half, most)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks for /route at a steady rate. Returns the times until the responses in milliseconds, and the
/// number of requests without one.
async fn ask_until(end: Instant, target: &Target) -> (Vec<f64>, usize) {
    let (mut times, mut failed, mut client) = (Vec::new(), 0, None);
    while Instant::now() < end {
        let since = Instant::now();
        match timeout(PATIENCE, ask(&mut client, target)).await {
            Ok(Ok(())) => times.push(milliseconds(since)),
            _ => (failed, client) = (failed + 1, None),
        }
        sleep(INTERVAL.saturating_sub(since.elapsed())).await;
    }
    (times, failed)
}

type Client = h2::client::SendRequest<bytes::Bytes>;

async fn ask(client: &mut Option<Client>, target: &Target) -> io::Result<()> {
    let ready = match client {
        Some(client) => client,
        None => {
            let stream = connect(target).await?;
            let (new, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            client.insert(new)
        }
    };
    let request = Request::get(format!("https://{NAME}/route")).body(()).unwrap();
    *ready = ready.clone().ready().await.map_err(io::Error::other)?;
    let (response, _) = ready.send_request(request, true).map_err(io::Error::other)?;
    let response = response.await.map_err(io::Error::other)?;
    let (is_good, mut body) = (response.status() == 200, response.into_body());
    while let Some(data) = body.data().await {
        data.map_err(io::Error::other)?;
    }
    if is_good { Ok(()) } else { Err(io::Error::other("it has another status")) }
}

async fn connect(target: &Target) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let stream = tokio::net::TcpStream::connect(target.address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::clone(&target.tls)).connect(name(), stream).await
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

/// Attacks a server again and again. Errors are what the server does about it.
fn attack_until(end: Instant, attack: &str, target: &Target, done: &Done) {
    match attack {
        "hellos" | "half-hellos" => hold(end, target, done, attack == "half-hellos"),
        "renegotiations" => {
            while Instant::now() < end {
                renegotiate(target);
                done.connections.fetch_add(1, Relaxed);
            }
        }
        _ => runtime().block_on(async {
            while Instant::now() < end {
                let left = end.saturating_duration_since(Instant::now());
                if timeout(left, flood(attack, target, done)).await.is_ok_and(|ended| ended.is_err()) {
                    // Other threads get a turn when connections are refused.
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }),
    }
}

/// Opens connections and sends a first message, or half of one, but nothing else.
fn hold(end: Instant, target: &Target, done: &Done, is_half: bool) {
    let mut held = VecDeque::new();
    while Instant::now() < end {
        let mut hello = Vec::new();
        let mut client = ClientConnection::new(Arc::clone(&target.tls), name()).unwrap();
        client.write_tls(&mut hello).unwrap();
        if is_half {
            hello.truncate(hello.len() / 2);
        }
        if let Ok(mut stream) = TcpStream::connect_timeout(&target.address, PATIENCE)
            && stream.write_all(&hello).is_ok()
        {
            held.push_back(stream);
            done.connections.fetch_add(1, Relaxed);
        }
        if held.len() > HELD_MAX / ATTACKERS {
            held.pop_front();
        }
        thread::sleep(BETWEEN_HELLOS);
    }
}

/// Asks for a renegotiation with openssl's client, and waits a while for the end of the connection.
fn renegotiate(target: &Target) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-connect", &target.address.to_string()]);
    let quiet = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = quiet.spawn().expect("openssl is needed (on Debian: apt-get install openssl)");
    let mut input = client.stdin.take().unwrap();
    let since = Instant::now();
    let _ = input.write_all(b"R\n");
    while client.try_wait().unwrap().is_none() && since.elapsed() < Duration::from_millis(200) {
        thread::sleep(Duration::from_millis(5));
    }
    let _ = client.kill();
    let _ = client.wait();
}

/// Sends frames on a new connection until the server ends it.
async fn flood(attack: &str, target: &Target, done: &Done) -> io::Result<()> {
    let (mut input, mut output) = tokio::io::split(connect(target).await?);
    done.connections.fetch_add(1, Relaxed);
    let read = async {
        let mut discarded = vec![0; 1 << 16];
        while input.read(&mut discarded).await? > 0 {}
        Ok(())
    };
    let write = async {
        let window = if attack == "windows" { &[0, 4, 0, 0, 0, 1][..] } else { &[] };
        let begin =
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(4, 0, 0, window)[..], &frame(4, 1, 0, &[])[..]];
        output.write_all(&begin.concat()).await?;
        if attack == "continuations" {
            output.write_all(&frame(1, 1, 1, GET)).await?;
        }
        let mut stream = 1;
        if attack == "windows" {
            let requests: Vec<_> = (0..100).map(|number| frame(1, 5, 1 + 2 * number, GET)).collect();
            output.write_all(&requests.concat()).await?;
        }
        loop {
            let frames: Vec<_> = match attack {
                "resets" => (0..50)
                    .flat_map(|_| {
                        stream += 2;
                        [frame(1, 5, stream, GET), frame(3, 0, stream, &[0, 0, 0, 8])]
                    })
                    .collect(),
                "continuations" => vec![frame(9, 0, 1, FIELD); 20],
                "settings" => vec![frame(4, 0, 0, &[0, 4, 0, 0, 0xFF, 0xFF]); 100],
                "pings" => vec![frame(6, 0, 0, b"12345678"); 100],
                _ => {
                    sleep(Duration::from_millis(50)).await;
                    (0..100).map(|number| frame(8, 0, 1 + 2 * number, &[0, 0, 0, 1])).collect()
                }
            };
            output.write_all(&frames.concat()).await?;
            done.frames.fetch_add(frames.len(), Relaxed);
        }
    };
    tokio::select! {
        ended = read => ended,
        ended = write => ended,
    }
}

/// Fields of `GET https://a/`, in HPACK.
const GET: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];

/// A field with a name of one byte and a value of three, in HPACK.
const FIELD: &[u8] = &[0, 1, b'a', 3, b'b', b'b', b'b'];

/// Returns a frame of HTTP/2 by its type, flags, stream and content.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}
