//! Connections without a network: the server's own connection code gets bytes in
//! pieces and is compared with the RFCs. Fuzz targets and tests share this.
//!
//! A comment that begins with KNOWN and a number marks a known difference between
//! the server and the RFCs, or its own rules. Both results pass there.

mod framing;
pub mod replies;
pub mod requests;
pub mod responses;
pub mod rfc9110;
pub mod rfc9112;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use host::cli::args::Args;
use host::net::socket::Socket;
use host::serve::buffers::Buffers;
use host::serve::connection::Connections;
use host::serve::service::App;
use host::site::activate::Workshop;
use host::site::begin::begin;
use host::site::notice::Notice;
use host::site::swapper::{Settings, Swapper};
use host_http::client_net::Peer;
use host_http::request_id::ConnectionIds;
use host_wasm::{Compilers, Engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Address of the client.
pub const CLIENT: &str = "192.0.2.7";

/// Longest conversation. Only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Timeouts that never expire, so that nothing depends on the load of the machine.
#[rustfmt::skip]
const TIMES: [&str; 10] = [
    "host", "--head-timeout=1h", "--idle-timeout=1h", "--body-timeout=1h", "--rate-window=1h",
    "--write-timeout=1h", "--queue-timeout=1h", "--deadline=1h", "--instances=2", "--keep=1",
];

/// A server in this process, with all connections on one thread.
pub struct Host {
    runtime: Runtime,
    connections: Connections,
}

impl Host {
    /// Serves a module of `tests/fixtures`, with these flags for its limits.
    pub fn new(module: &str, flags: &[&str]) -> Host {
        let limits = Args::parse_from([&TIMES, flags].concat()).serve.limits;
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let module = tests().join("fixtures").join(module);
        let swapper = runtime.block_on(async {
            let engine = Engine::new(&limits.call()).unwrap();
            let (compilers, probes) = (Compilers::here(&limits.compile()), Vec::new().into());
            let workshop = Workshop { engine, compilers, probes };
            let beginning = begin(&workshop, &limits, Some(&module), None).await.unwrap();
            let settings = Settings {
                workshop,
                module_max: limits.module_max,
                file: None,
                state: None,
                require_durable: false,
                notice: Notice::default(),
            };
            Swapper::start(settings, beginning).unwrap()
        });
        let app = App {
            swapper,
            tell_version: true,
            buffers: Buffers::new(limits.buffer_max),
            places: Arc::new(Semaphore::new(limits.connections)),
            recorder: None,
            limits,
            ids: ConnectionIds::new(),
            tell_cause: false,
            notice: Notice::default(),
            faults: Arc::default(),
            trusted: Vec::new(),
            ending: Arc::default(),
        };
        Host { runtime, connections: Connections::new(Arc::new(app)) }
    }

    /// Sends pieces, closes the sending side, and returns what the server sends
    /// until it closes.
    pub fn ask<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let conversation = async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let peer = Peer::Ip(CLIENT.parse::<IpAddr>().unwrap());
            let serving = self.connections.serve(Socket::from(theirs), peer);
            let (mut reader, mut writer) = ours.into_split();
            let sending = async move {
                for piece in pieces {
                    // The server may have closed before.
                    if writer.write_all(piece).await.is_err() {
                        break;
                    }
                    // Let the server read the piece by itself.
                    for _ in 0..3 {
                        yield_now().await;
                    }
                }
                let _ = writer.shutdown().await;
            };
            let mut output = Vec::new();
            let receiving = reader.read_to_end(&mut output);
            let ((), (), received) = tokio::join!(serving, sending, receiving);
            received.unwrap();
            output
        };
        let ended = self.runtime.block_on(async { timeout(PATIENCE, conversation).await });
        ended.expect("the connection does not end")
    }
}

/// Returns the folder of the tests, which several packages share.
pub fn tests() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.map(|folder| folder.join("tests")).find(|tests| tests.join("fixtures").is_dir()).unwrap()
}
