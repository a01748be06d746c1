//! A handler that answers conditional requests and requests for ranges, and that draws
//! random bytes.
//!
//! `cargo build --release --target wasm32-unknown-unknown -p handler-sdk --example document`

#![no_std]

#[path = "../tests/conditional/document.rs"]
pub mod document;

handler_sdk::export!(document::answer);
