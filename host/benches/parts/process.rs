//! Measures the processor time and the memory of a process and its children, and raises the limit
//! on file descriptors.

use std::fs;
use std::time::Duration;

use host::config::value;
use rustix::process::{Resource, getrlimit};

use crate::harness::status_kib;

/// Number of file descriptors that a bench or a server needs besides those of connections.
const SPARE: usize = 200;

/// Number of clock ticks in a second, which is the same on every Linux system. The kernel counts
/// processor time (utime and stime) in ticks.
const TICKS: u64 = 100;

/// Returns the ids of a process and its running children.
pub fn family(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    let children = children.split_whitespace().map(|id| id.parse().unwrap());
    std::iter::once(process).chain(children).collect()
}

/// Returns the processor time of a process and its children: utime (in user space) and stime (in
/// the kernel).
pub fn processor_time(process: u32) -> [Duration; 2] {
    let mut ticks = [0; 2];
    for id in family(process) {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // Skips the name in brackets, which may hold any bytes.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        ticks[0] += fields[11].parse::<u64>().unwrap();
        ticks[1] += fields[12].parse::<u64>().unwrap();
    }
    ticks.map(|ticks| Duration::from_millis(ticks * 1000 / TICKS))
}

/// Returns the resident memory of a process and its children in KiB. Shared pages
/// count for each process.
pub fn resident_kib(process: u32) -> u64 {
    family(process).into_iter().map(|id| status_kib(id, "VmRSS:").unwrap() as u64).sum()
}

/// Raises the limit on file descriptors of this process and of the children that it starts. Returns
/// `connections`, or the number of connections that the limit allows if that is smaller.
pub fn raise_descriptors(connections: usize) -> usize {
    value::raise_descriptors();
    let most = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| most as usize);
    if most < connections + SPARE {
        println!("this machine allows {most} descriptors: fewer than {connections} connections");
    }
    connections.min(most - SPARE)
}
