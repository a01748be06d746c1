//! Servers that the benches compare, and how each is started.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::program::{Program, free_address};
use super::steady::{ask, connect};
use super::{native, nginx};
use crate::harness::{self, Folder, fixture};

/// Pause between two attempts to connect to a server that has just been started.
pub const PAUSE: Duration = Duration::from_millis(10);

/// Maximum wait until a server answers.
const PATIENCE: Duration = Duration::from_secs(20);

const WITHOUT: &str = "it does not stand beside the host";

/// A server to measure or to compare with, which answers GET /route.
pub struct Peer {
    pub name: &'static str,
    /// Returns a command that starts the server at an address, or None if a part of the server is
    /// missing.
    pub command: fn(&Folder, SocketAddr) -> Option<Command>,
}

/// A running peer.
pub struct Running {
    pub program: Program,
    pub address: SocketAddr,
}

/// Flags for a host that logs no requests.
pub const QUIET: [&str; 2] = ["--log-level", "info,request=off"];

pub const HOST: Peer = Peer { name: "host", command: |folder, address| host(folder, address, &QUIET) };

pub const HOST_LOGGING: Peer =
    Peer { name: "host, with access log", command: |folder, address| host(folder, address, &[]) };

/// The host with an echo module whose memory has room for 1 MiB from the start.
pub const HOST_ECHO: Peer = Peer {
    name: "host",
    command: |folder, address| {
        let text = fs::read_to_string(fixture("echo.wat")).unwrap();
        let roomy = text.replacen("(export \"memory\") 1)", "(export \"memory\") 18)", 1);
        assert_ne!(text, roomy, "the fixture is another one");
        let module = folder.file("echo.wat");
        fs::write(&module, roomy).unwrap();
        host_with(folder, address, &module)
    },
};

/// The host with an echo module that grows its memory for a large request. An instance whose memory
/// has grown cannot be reset for another request.
pub const HOST_ECHO_GROWING: Peer = Peer {
    name: "host, module grows its memory",
    command: |folder, address| host_with(folder, address, Path::new(&fixture("echo.wat"))),
};

/// The server of [`native`], which serves the routes of the default handler, and `/echo`.
pub const NATIVE: Peer = Peer { name: "native hyper", command: |_, address| Some(native::command(address)) };

pub const NGINX: Peer = Peer {
    name: "nginx",
    command: |folder, address| nginx_answering(folder, address, nginx::CONNECTIONS, ""),
};

/// nginx with an access log. Like the host, nginx writes each line of the log at once.
pub const NGINX_LOGGING: Peer = Peer {
    name: "nginx, with access log",
    command: |folder, address| {
        let log = format!("access_log {};", folder.file("nginx-access").display());
        nginx_answering(folder, address, nginx::CONNECTIONS, &log)
    },
};

/// nginx whose worker processes each have room for all connections of a bench.
pub const NGINX_ROOMY: Peer =
    Peer { name: "nginx", command: |folder, address| nginx_answering(folder, address, 16_384, "") };

/// node in one process, with a script that serves the routes of the default handler, and `/echo`.
pub const NODE: Peer = Peer {
    name: "node",
    command: |_, address| {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new("node");
        command.args(["-e", NODE_SCRIPT, &ip, &port]);
        Some(command)
    },
};

/// `wasmtime serve` with the component in the folder `wasmtime-serve`, which must have been built
/// as its Cargo.toml says.
pub const WASMTIME_SERVE: Peer = Peer {
    name: "wasmtime serve",
    command: |_, address| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasmtime-serve");
        let component = folder.join("target/wasm32-wasip2/release/peer.wasm");
        if !component.is_file() {
            println!(
                "wasmtime serve has no component (see host/benches/wasmtime-serve/Cargo.toml): {WITHOUT}"
            );
            return None;
        }
        let mut command = Command::new("wasmtime");
        command.args(["serve", "-S", "cli", "--addr", &address.to_string()]).arg(component);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Some(command)
    },
};

const NODE_SCRIPT: &str = r#"
const [ip, port] = process.argv.slice(1);
const pages = { "/": "<h1> hello index</h1>", "/route": "<h1> hello route</h1>" };
const answer = (response, status, body) => {
  response.writeHead(status, {
    "content-type": "text/html; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
};
require("node:http").createServer((request, response) => {
  if (request.url === "/echo") {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => answer(response, 200, Buffer.concat(pieces)));
  } else if (!(request.url in pages)) {
    answer(response, 404, "<h1>error 404 not found</h1>");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    answer(response, 405, "<h1>error 405 method not allowed</h1>");
  } else {
    answer(response, 200, pages[request.url]);
  }
}).listen(port, ip);
"#;

impl Peer {
    /// Starts the peer, and sends it requests until it answers, with a pause between the attempts.
    /// Returns None if the peer is not installed.
    pub fn start(&self, folder: &Folder, pause: Duration) -> Option<Running> {
        let address = free_address();
        let program = Program::start(&mut (self.command)(folder, address)?, WITHOUT)?;
        let mut running = Running { program, address };
        running.wait(pause);
        Some(running)
    }
}

impl Running {
    /// Sends requests until the peer answers, with a pause between the attempts.
    pub fn wait(&mut self, pause: Duration) {
        let since = Instant::now();
        while ask(&mut connect(self.address), "/route") != Some(200) {
            let ended = self.program.0.try_wait().unwrap();
            assert_eq!(ended, None, "it ended instead of answering on {}", self.address);
            assert!(since.elapsed() < PATIENCE, "it does not answer on {}", self.address);
            std::thread::sleep(pause);
        }
    }

    pub fn pid(&self) -> u32 {
        self.program.0.id()
    }
}

fn host_with(folder: &Folder, address: SocketAddr, module: &Path) -> Option<Command> {
    host(folder, address, &[&[module.to_str().unwrap()], &QUIET[..]].concat())
}

fn host(folder: &Folder, address: SocketAddr, arguments: &[&str]) -> Option<Command> {
    let log = File::create(folder.file(&format!("log-{}", address.port()))).unwrap();
    let mut command = harness::host();
    command.args(["--no-control", "--listen", &address.to_string()]).args(arguments);
    command.stdout(Stdio::null()).stderr(log);
    Some(command)
}

/// Returns a command that runs nginx with one worker process for each core. The configuration
/// contains the response, and `more` in the block `server`.
fn nginx_answering(folder: &Folder, address: SocketAddr, connections: usize, more: &str) -> Option<Command> {
    let http = format!(
        "server {{ listen {address}; {more}
           location = /route {{ default_type text/html; return 200 \"<h1> hello route</h1>\"; }} }}"
    );
    Some(nginx::command(folder, "auto", connections, &http))
}
