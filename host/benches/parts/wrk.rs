//! Loads a server with wrk, and reads wrk's results.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::program::{Program, is_installed};
use crate::harness::Folder;

/// The request that wrk repeats.
#[derive(Clone, Copy)]
pub enum Asked {
    /// GET /route, on connections that stay open.
    Route,
    /// GET /route, each on a new connection.
    RouteAnew,
    /// GET /route, this many times in one write.
    Pipelined(usize),
    /// POST /echo, with a body of this many bytes.
    Echo(usize),
}

/// Results of a run of wrk.
pub struct Seen {
    pub requests: f64,
    pub seconds: f64,
    /// Median time until a response, or until the last response of pipelined requests, in
    /// microseconds.
    pub median_us: f64,
    pub high_us: f64,
    /// Number of requests without a response, or with a status of 400 or more.
    pub failed: f64,
}

/// Last part of every script for wrk, which makes wrk print its results without units.
const REPORT: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("seen %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end
"#;

/// Returns whether wrk is installed; otherwise prints what to install.
pub fn is_there() -> bool {
    is_installed("wrk", "--version", "nothing can be measured (on Debian: apt-get install wrk)")
}

/// Loads a server for some seconds, and returns the results. Prints the number of failed requests,
/// if there are any.
pub fn drive(folder: &Folder, address: SocketAddr, asked: Asked, connections: usize, seconds: usize) -> Seen {
    let seen = run(folder, address, &asked.script(), connections, seconds);
    if seen.failed > 0.0 {
        println!("{} of {} requests failed", seen.failed, seen.requests);
    }
    seen
}

/// Loads a server for some seconds with the requests of a script, and returns the results.
pub fn run(folder: &Folder, address: SocketAddr, script: &str, connections: usize, seconds: usize) -> Seen {
    let output = command(folder, address, script, connections, seconds).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("seen "));
    let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [requests, duration_us, median_us, high_us, failed] = numbers[..] else { panic!("{line}") };
    assert!(requests > 0.0, "nothing was answered: {text}");
    Seen { requests, seconds: duration_us / 1e6, median_us, high_us, failed }
}

/// Loads a server with the requests of a script, until the returned program is dropped or `seconds`
/// have passed.
pub fn start(
    folder: &Folder,
    address: SocketAddr,
    script: &str,
    connections: usize,
    seconds: usize,
) -> Program {
    let mut command = command(folder, address, script, connections, seconds);
    Program(command.stdout(Stdio::null()).spawn().unwrap())
}

fn command(
    folder: &Folder,
    address: SocketAddr,
    script: &str,
    connections: usize,
    seconds: usize,
) -> Command {
    let file = folder.file("load.lua");
    fs::write(&file, script.to_owned() + REPORT).unwrap();
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--timeout", "10s", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), "--script"]).arg(file);
    command.arg(format!("http://{address}/route"));
    command
}

impl Asked {
    /// Returns the length of the request's body in bytes.
    pub fn body(self) -> usize {
        if let Asked::Echo(length) = self { length } else { 0 }
    }

    fn script(self) -> String {
        match self {
            Asked::Route => String::new(),
            Asked::RouteAnew => "wrk.headers['connection'] = 'close'\n".to_owned(),
            Asked::Pipelined(times) => format!(
                "init = function() requests = string.rep(wrk.format(), {times}) end
                 request = function() return requests end\n"
            ),
            Asked::Echo(length) => {
                format!("wrk.method, wrk.path, wrk.body = 'POST', '/echo', string.rep('x', {length})\n")
            }
        }
    }
}

impl Display for Asked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Route => write!(f, "GET /route"),
            Asked::RouteAnew => write!(f, "GET /route, each on a new connection"),
            Asked::Pipelined(times) => write!(f, "GET /route, {times} pipelined"),
            Asked::Echo(length) => write!(f, "POST /echo of {} KiB", length >> 10),
        }
    }
}
