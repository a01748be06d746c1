//! Checks the request parser as `tests/parsers.rs` does, on inputs of libFuzzer. The first eight
//! bytes of an input are the lengths of the pieces in which the rest arrives.
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
