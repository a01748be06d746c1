//! Commands for authors of handlers.

use std::process::Output;

use crate::harness::{host, run_to_end};

mod calling;
mod checking;
mod developing;
mod https;
mod recording;
mod testing;

/// Runs the program with these arguments. Returns its exit code, standard output and
/// standard error.
pub fn tool(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run_to_end(host().args(arguments));
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}
