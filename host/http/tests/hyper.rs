//! Compares the parser with hyper's on the inputs of `tests/parsers.rs`: a request that both accept
//! is read alike by both, and each difference in what they accept is known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "another test uses the rest")]
mod check;
mod inputs;
mod peer;

#[test]
fn what_both_accept_is_read_alike_and_each_difference_is_known() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    inputs::for_each("requests", |bytes, _| runtime.block_on(peer::compare(bytes)));
}
