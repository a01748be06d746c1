//! Checks the frames of a client of HTTP/2 as `tests/frames.rs` does, with inputs of libFuzzer. The
//! first eight bytes are the lengths of the pieces in which the meter gets the other bytes.
#![no_main]

#[path = "../../tests/frames/mod.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (pieces, bytes) = input.split_at(input.len().min(8));
    check::connection(bytes, pieces.iter().map(|&piece| usize::from(piece)));
});
