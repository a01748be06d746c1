//! Counts system calls of processes with strace.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::process::family;
use super::program::Program;
use crate::harness::Folder;

/// Time that strace needs to attach to all threads.
const ATTACHING: Duration = Duration::from_millis(500);

/// Calls `meanwhile`, and counts the system calls of a process and its children during the call.
/// Returns the result of `meanwhile`, and the counts, highest first. Returns None if strace is not
/// installed.
pub fn count<T>(
    folder: &Folder,
    process: u32,
    meanwhile: impl FnOnce() -> T,
) -> Option<(T, Vec<(String, f64)>)> {
    let summary = folder.file("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-c", "-U", "name,calls", "-o"]).arg(&summary);
    command.args(family(process).iter().flat_map(|id| ["-p".to_owned(), id.to_string()]));
    let strace = Program::start(&mut command, "system calls are not counted")?;
    sleep(ATTACHING);
    let result = meanwhile();
    // Ends strace, which then writes its summary.
    drop(strace);
    let text = fs::read_to_string(summary).unwrap();
    let lines = text.lines().filter_map(|line| {
        let (name, calls) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_owned(), calls.trim().parse().ok()?))
    });
    let mut calls: Vec<(String, f64)> = lines.filter(|(name, _)| name != "total").collect();
    calls.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    Some((result, calls))
}
