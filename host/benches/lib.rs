//! Code that the benches share: the harness of the tests (the server as a child
//! process, an HTTP client, modules for tests), and parts that only benches need.

#[path = "../../tests/harness/mod.rs"]
pub mod harness;
pub mod parts;
