//! Tests the parsers alone, with the inputs that fuzzing found worth keeping and with
//! random changes of these. The seed is fixed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod check;
mod inputs;

use std::path::Path;

#[test]
fn a_connection_is_read_alike_however_its_bytes_arrive() {
    inputs::for_each("requests", |bytes, below| {
        let pieces: Vec<usize> = (0..16).map(|_| 1 + below(40)).collect();
        check::messages(bytes, pieces);
    });
}

/// Cuts every kept input once, and not its changed copies.
#[test]
fn a_connection_is_read_alike_wherever_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/requests");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check::every_cut(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 200, "{count} inputs");
}

#[test]
fn a_response_is_refused_or_one_that_http_allows() {
    inputs::for_each("responses", |bytes, _| check::response(bytes));
}
