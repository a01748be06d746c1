//! Fuzz target of `tests/fuzzed.rs`: libFuzzer's bytes are what a client sends.
#![no_main]

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../harness/wire/mod.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use wire::Host;
use wire::requests::{check, host};

thread_local! {
    static HOST: Host = host();
}

fuzz_target!(|bytes: &[u8]| HOST.with(|host| check(host, bytes)));
