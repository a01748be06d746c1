//! Substitutes for the host in native tests.

use crate::log::Level;

/// Allocates leaked memory of this length in bytes, as a module does.
pub(crate) fn leak(length: usize) -> &'static mut [u8] {
    std::vec![0; length].leak()
}

/// Writes a line to standard error.
pub(crate) fn log(level: Level, line: &str) {
    std::eprintln!("{}: {line}", level.name());
}

/// Returns 64 bits that differ between calls: the standard library's hasher has random
/// keys.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

pub(crate) use std::sync::OnceLock as Once;
