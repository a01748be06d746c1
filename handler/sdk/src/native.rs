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

pub(crate) use std::sync::OnceLock as Once;
