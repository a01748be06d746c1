//! Fuzz target of `handler/sdk/tests/robustness.rs`: libFuzzer's bytes are requests and
//! texts. A handler never frees its memory, so leaks must not be reported:
//!
//!     ASAN_OPTIONS=detect_leaks=0 cargo +nightly fuzz run --fuzz-dir tests/fuzz sdk
#![no_main]

#[path = "../../../handler/sdk/tests/everything/mod.rs"]
mod everything;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    everything::ask_for_everything(bytes);
    everything::ask_for_everything(&[b"GET / HTTP/1.1\r\n", bytes].concat());
    if let Ok(text) = std::str::from_utf8(bytes) {
        everything::send_round(text);
    }
});
