//! Modules and functions that the benches share. A bench consists of named parts, and the command
//! line says which of them run.

pub mod bare;
pub mod native;
pub mod nginx;
pub mod peers;
pub mod plot;
pub mod process;
pub mod program;
pub mod replaced;
pub mod routes;
pub mod secure;
pub mod sheet;
pub mod steady;
pub mod strace;
pub mod wrk;

use std::time::Instant;

/// Runs the parts that the command line names, or all if it names none. Other arguments are
/// ignored, because Cargo adds flags.
pub fn run_chosen(parts: &[(&str, fn())]) {
    let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
    for (_, part) in parts.iter().filter(|(name, _)| is_chosen(name, &names)) {
        part();
    }
}

/// Returns whether the part `name` is to run: the command line contains this name, or none of
/// `names`.
pub fn is_chosen(name: &str, names: &[&str]) -> bool {
    let named: Vec<_> =
        std::env::args().skip(1).filter(|argument| names.contains(&argument.as_str())).collect();
    named.is_empty() || named.iter().any(|argument| argument == name)
}

/// Returns a percentile of the numbers. `share` is from 0.0 to 1.0, such as 0.99 for the 99th
/// percentile.
pub fn percentile(numbers: &[f64], share: f64) -> f64 {
    let mut numbers = numbers.to_vec();
    numbers.sort_by(f64::total_cmp);
    numbers[((numbers.len() - 1) as f64 * share) as usize]
}

pub fn median(numbers: &[f64]) -> f64 {
    percentile(numbers, 0.5)
}

/// Returns the 99th percentile.
pub fn high(numbers: &[f64]) -> f64 {
    percentile(numbers, 0.99)
}

/// Returns the milliseconds since a point in time.
pub fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
