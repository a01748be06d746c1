//! An HTTP server whose behaviour is one WebAssembly module, called for each
//! request.
//!
//! ```text
//! socket -> (TLS) -> HTTP/1.1 -> request bytes -> current version -> instance: alloc, copy in, handle, copy out
//! socket <- (TLS) <- HTTP/1.1 <- checked response <---------------------------'
//! ```
//!
//! The host interprets no path; the handler sees no socket, clock or file. The
//! contract between the two is stated in `handler_sdk::abi`.

pub mod acme;
pub mod admin;
pub(crate) mod amount;
pub mod background;
pub(crate) mod bounds;
pub mod bounds_page;
pub mod builder;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doors;
pub mod events;
pub mod fault;
pub mod fault_counts;
pub mod files;
pub mod hex;
pub mod in_force;
pub mod limits;
pub mod metrics;
pub mod net;
pub mod record;
pub mod reference;
pub mod regular_file;
pub mod reload;
pub mod rollout;
pub(crate) mod seed;
pub mod serve;
pub mod site;
pub mod source;
pub mod telemetry;
pub mod tls;
pub mod trial;
pub mod upgrade;
