//! Counts by valgrind what a server does in user space for a request. Other load on
//! the machine hardly changes the counts.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::peers::{Peer, Running};
use super::program::{Program, free_address};
use super::wrk::{self, Asked};
use crate::harness::Folder;

const CONNECTIONS: usize = 4;

/// Pause between two attempts, which are requests, too.
const PAUSE: Duration = Duration::from_millis(500);

/// Counts for each request.
pub struct Counted {
    pub instructions: f64,
    pub allocations: f64,
    /// Instructions of each function without those that it calls, most first.
    pub functions: Vec<(String, f64)>,
}

/// Runs a server under valgrind, with GET /route by wrk. Returns None where
/// valgrind is not installed.
pub fn count(folder: &Folder, peer: &Peer) -> Option<Counted> {
    let address = free_address();
    let server = (peer.command)(folder, address)?;
    let counts = folder.file("callgrind");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--smc-check=all-non-file"]);
    // Whole names and positions in each line, also of functions that recurse.
    command.args(["--compress-strings=no", "--compress-pos=no", "--separate-recs=1"]);
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(server.get_program()).args(server.get_args());
    command.stdout(Stdio::null()).stderr(File::create(folder.file("valgrind")).unwrap());
    let program = Program::start(&mut command, "instructions are not counted")?;
    let mut running = Running { program, address };
    running.wait(PAUSE);
    wrk::drive(folder, address, Asked::Route, CONNECTIONS, 3);
    let zero = Command::new("vgdb").args([&format!("--pid={}", running.pid()), "zero"]).output();
    assert!(zero.expect("a part of valgrind").status.success());
    let seen = wrk::drive(folder, address, Asked::Route, CONNECTIONS, 5);
    // valgrind writes its counts when it is told to end.
    drop(running);
    Some(Counted::read(&counts, seen.requests))
}

impl Counted {
    /// Reads the format of callgrind: `fn` names a function, and the lines behind
    /// it hold a position and a count each. The line behind `calls` counts the
    /// callee named by `cfn`.
    fn read(file: &Path, requests: f64) -> Counted {
        let text = fs::read_to_string(file).expect("counts");
        let (mut counts, mut allocations, mut total) = (HashMap::new(), 0.0, None);
        let (mut function, mut called, mut is_call) = ("", "", false);
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = name;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = name;
            } else if let Some(sum) = line.strip_prefix("totals: ") {
                total = Some(first_number(sum) / requests);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                is_call = true;
                if ["malloc", "calloc", "realloc", "posix_memalign"].contains(&called) {
                    allocations += first_number(calls);
                }
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                let count = line.split(' ').nth(1).map_or(0.0, first_number);
                if !std::mem::take(&mut is_call) {
                    *counts.entry(function).or_insert(0.0) += count / requests;
                }
            }
        }
        let instructions: f64 = counts.values().sum();
        assert!(total.is_some_and(|total| (total - instructions).abs() < 1.0), "{total:?}, {instructions}");
        let counts = counts.into_iter().map(|(function, count)| (function.to_owned(), count));
        let mut functions: Vec<_> = counts.collect();
        functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        Counted { instructions, allocations: allocations / requests, functions }
    }
}

fn first_number(text: &str) -> f64 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
