//! Substitutes for the host in native tests.

use crate::log::Level;
use core::cell::Cell;

std::thread_local! {
    /// Values of the test client whose request this thread is handling, encoded as in
    /// [`abi`](crate::abi).
    static VALUES: Cell<&'static str> = const { Cell::new("") };
}

/// Allocates `length` bytes, which are never freed. In a module, such memory lasts until the end of
/// the request.
pub(crate) fn leak(length: usize) -> &'static mut [u8] {
    std::vec![0; length].leak()
}

/// Writes a line to standard error.
pub(crate) fn log(level: Level, line: &str) {
    std::eprintln!("{}: {line}", level.name());
}

/// Returns 64 bits that differ between calls, because the standard library's hasher has random
/// keys.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Returns the values of the test client whose request this thread is handling, encoded as in
/// [`abi`](crate::abi).
pub(crate) fn values() -> &'static str {
    VALUES.get()
}

/// Sets the values of this thread to `encoded` while it calls a function. Restores the previous
/// values afterwards, even if the function panics.
pub(crate) fn with_values<R>(encoded: &'static str, call: impl FnOnce() -> R) -> R {
    struct Before(&'static str);
    impl Drop for Before {
        fn drop(&mut self) {
            VALUES.set(self.0);
        }
    }
    let _before = Before(VALUES.replace(encoded));
    call()
}

pub(crate) use std::sync::OnceLock as Once;
