use std::process::Output;

use crate::harness::{host, run_to_end};

/// `host call`: one request to a module, without a server.
mod calling;
/// `host check`: whether a module may serve, and why not.
mod checking;
/// `host new` and `host dev`.
mod developing;
/// `--record` and `host replay`.
mod recording;
/// `host test` and `--probe-file`.
mod testing;

/// Runs a tool. Returns its exit code, standard output and standard error.
fn tool(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run_to_end(host().args(arguments));
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}
