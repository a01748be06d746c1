//! Compares the request parser with that of hyper on the inputs of `tests/parsers.rs`. Both must
//! read a request that both accept in the same way, and each difference in what they accept must be
//! known.

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
