//! An HTTP server whose behaviour is one WebAssembly module, called for each
//! request.
//!
//! ```text
//! socket -> HTTP (hyper) -> request bytes -> current version -> instance: alloc, copy in, handle, copy out
//! socket <- HTTP (hyper) <- checked response <---------------------------'
//! ```
//!
//! The host interprets no path; the handler sees no socket, clock or file. Their
//! contract is stated in `handler_sdk::abi`.

pub mod access_log;
pub mod args;
pub mod bounds;
pub mod client_net;
pub mod clock;
pub mod connection;
pub mod control;
pub mod ending;
pub mod health;
pub mod http;
pub mod limits;
pub mod listen;
pub mod listener;
pub mod log;
mod log_line;
mod log_queue;
mod look;
pub mod memory_bounds;
pub mod message;
mod own_file;
mod private_folder;
pub mod quote;
pub mod read_into;
pub mod record;
pub mod request_id;
pub mod resources;
pub mod seats;
pub mod server;
pub mod socket;
pub mod stream;
pub mod swap;
pub mod tools;
pub mod wasm;
mod write_pace;
