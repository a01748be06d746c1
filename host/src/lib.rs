//! An HTTP server that calls a WebAssembly module for each request. Each site has a module of its
//! own.
//!
//! ```text
//! socket -> (TLS) -> HTTP -> request bytes -> current version -> instance: alloc, copy in, handle, copy out
//! socket <- (TLS) <- HTTP <- checked response <-------------------------------'
//! ```
//!
//! The host uses the authority and the path of a request only to choose the site. The handler has
//! no access to sockets, clocks or files. `handler_sdk::abi` defines the contract between the two.

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
