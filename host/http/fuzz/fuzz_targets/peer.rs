//! Compares the request parser with that of hyper as `tests/hyper.rs` does, on inputs of libFuzzer.
#![no_main]

#[allow(dead_code, reason = "the other targets use the rest")]
#[path = "../../tests/check/mod.rs"]
mod check;
#[path = "../../tests/peer/mod.rs"]
mod peer;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(peer::compare(bytes));
});
