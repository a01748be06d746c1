//! Runs nginx with all of its files in one folder.

use std::fs;
use std::process::Command;

use crate::harness::Folder;

/// Name of nginx's error log in its folder.
pub const ERRORS: &str = "nginx-errors";

/// Limit on the connections of a worker process, unless a bench needs more. nginx reserves memory
/// for this number of connections when it starts.
pub const CONNECTIONS: usize = 1024;

/// Writes a configuration for nginx, and returns the command that runs nginx with it. `workers` is
/// the number of worker processes (`auto`: one for each core), `connections` the limit on the
/// connections of each, and `http` the content of the block `http`. The error log [`ERRORS`] gets
/// warnings and errors.
pub fn command(folder: &Folder, workers: &str, connections: usize, http: &str) -> Command {
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
    // Without `-e`, nginx logs to a path of the distribution until it has read its
    // configuration.
    command.arg("-e").arg(&errors).arg("-c").arg(&configuration);
    command
}
