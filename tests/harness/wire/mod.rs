//! Passes bytes in pieces to the server's own connection code, without a network, and compares the
//! responses with the RFCs. Fuzz targets and tests share this.
//!
//! A comment that begins with KNOWN and a number marks a known difference between the server and
//! the RFCs or its own rules. The checks accept both results there.

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
use host::builder::{self, Foundation};
use host::cli::args::Args;
use host::net::listener::{Accepted, Connection};
use host::serve::connection::Connections;
use host_http::client_net::Peer;
use host_wasm::Compilers;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Address of the client, as the server sees it.
pub const CLIENT: &str = "192.0.2.7";

/// Maximum time of one connection. Only a connection that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Name of the program and first flags. The timeouts are so long that none expires, so that no
/// result depends on the load of the machine.
#[rustfmt::skip]
const TIMES: [&str; 10] = [
    "host", "--head-timeout=1h", "--idle-timeout=1h", "--body-timeout=1h", "--rate-window=1h",
    "--write-timeout=1h", "--queue-timeout=1h", "--deadline=1h", "--instances=2", "--keep=1",
];

/// Server in this process, with all connections on one thread.
pub struct Host {
    runtime: Runtime,
    connections: Connections,
}

impl Host {
    /// Creates a server with a module of `tests/fixtures` and with these flags.
    pub fn new(module: &str, flags: &[&str]) -> Host {
        let module = tests().join("fixtures").join(module);
        let module = [module.to_str().unwrap(), "--no-watch", "--no-probe"];
        let args = Args::parse_from([&TIMES, &module[..], flags].concat()).serve;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(async {
            let compilers = Compilers::here(&args.limits.for_compilers());
            let foundation = Foundation::new(&args, compilers).unwrap();
            let plan = args.plans().remove(0);
            let loaded = foundation.load(plan, None).await.unwrap();
            builder::start(&args, &foundation, vec![loaded]).unwrap().0
        });
        Host { runtime, connections: Connections::new(Arc::new(app), None) }
    }

    /// Sends pieces on a new connection and closes the sending side. Returns all bytes that
    /// the server sends until it closes the connection.
    pub fn ask<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let conversation = async {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let peer = Peer::Ip(CLIENT.parse::<IpAddr>().unwrap());
            let connection = Connection::Unix(theirs);
            let serving = self.connections.serve(Accepted { connection, peer, has_header: false });
            let (mut reader, mut writer) = ours.into_split();
            let sending = async move {
                for piece in pieces {
                    // The server may have closed the connection already.
                    if writer.write_all(piece).await.is_err() {
                        break;
                    }
                    // Lets the server read this piece before the next one is sent.
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

/// Returns the folder `tests` of the repository, in any of the packages that use it.
pub fn tests() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    packages.map(|folder| folder.join("tests")).find(|tests| tests.join("fixtures").is_dir()).unwrap()
}
