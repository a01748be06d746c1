use std::process::Output;

use crate::harness::{host, run_to_end};

/// One request to a module, without a server.
mod calling;
/// Whether a module may serve, and if not, why.
mod checking;
/// Making a crate, and serving it while it is written.
mod developing;
/// Requests that failed are kept, and made again.
mod recording;
/// The requests of a file, to a module or to a candidate.
mod testing;

/// Runs a tool to its end: its exit code, standard output and standard error.
fn tool<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run_to_end(host().args(arguments));
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}
