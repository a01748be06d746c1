//! Checks the handling of HTTP/2 frames as `tests/frames.rs` does, on inputs of libFuzzer. The
//! first eight bytes of an input are the lengths of the pieces in which the frame meter gets the
//! rest.
#![no_main]

#[path = "../../tests/frames/mod.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (pieces, bytes) = input.split_at(input.len().min(8));
    check::connection(bytes, pieces.iter().map(|&piece| usize::from(piece)));
});
