//! nginx, with all of its files in one folder.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use super::program::Program;
use crate::harness::Folder;

/// The name of its error log in the folder.
pub const ERRORS: &str = "nginx-errors";

/// As many connections as one of its worker processes has when nothing is said.
/// It takes the memory for them at once.
pub const CONNECTIONS: usize = 1024;

/// Starts it with this many worker processes (`auto`: one for each core), each
/// for this many connections, and with this in the block `http`. None where it is
/// not installed. From warnings on, what it complains of is in its error log.
pub fn begin(folder: &Folder, workers: &str, connections: usize, http: &str) -> Option<Program> {
    let (configuration, errors) = (folder.file("nginx.conf"), folder.file(ERRORS));
    let text = format!(
        "worker_processes {workers}; daemon off; pid {}; error_log {} warn;
         events {{ worker_connections {connections}; }}
         http {{ access_log off; keepalive_requests 100000000;\n{http}\n}}\n",
        folder.file("nginx.pid").display(),
        errors.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new("nginx");
    // Until it has read its configuration, it would log to where Debian says.
    command.arg("-e").arg(&errors).arg("-c").arg(&configuration);
    Program::start(&mut command, "it does not stand beside the host")
}

/// The same, until a server of that configuration listens on the address.
pub fn start(folder: &Folder, workers: &str, http: &str, address: SocketAddr) -> Option<Program> {
    Some(begin(folder, workers, CONNECTIONS, http)?.listens_on(address))
}
