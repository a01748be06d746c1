//! Checks the parser of requests as `tests/parsers.rs` does, with inputs of libFuzzer.
//! The first eight bytes are the lengths of the pieces in which the other bytes arrive.
#![no_main]

#[allow(dead_code, reason = "the other target uses the rest")]
#[path = "../../tests/check/mod.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (pieces, bytes) = input.split_at(input.len().min(8));
    check::messages(bytes, pieces.iter().map(|&piece| usize::from(piece)));
    check::traceparent(bytes);
});
