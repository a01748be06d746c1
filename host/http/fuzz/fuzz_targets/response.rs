//! Checks the response parser as `tests/parsers.rs` does, on inputs of libFuzzer.
#![no_main]

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/check/mod.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| check::response(bytes));
