//! Runs components of `wasi:http` 0.2. Each request gets a new instance, whose clocks and random
//! bits depend only on the request. An instance has no files, no sockets and no other servers.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `engine` | holds what all components share: an engine of wasmtime with a pool of its own |
//! | `needs` | lists what is granted, and checks what a component imports and exports |
//! | `linker` | connects the imports with what is granted |
//! | `compiled` | holds the machine code of a component, and starts it |
//! | `handler` | is a started component, and makes its calls |
//! | `request` | makes a request of the bytes that a module would get |
//! | `exchange` | runs one call: the guest, and the response that it writes |
//! | `response` | collects a response, in the bytes that a module would return |
//! | `failure` | says why a call gave no response |
//! | `state` | holds the data of a store, and limits what its instances may use |
//! | `clocks` | implements the clocks, whose time follows from the request |
//! | `random` | implements random bits, which follow from the seed of the request |
//! | `stdio` | makes log lines of standard output and standard error |

mod clocks;
pub(crate) mod compiled;
pub(crate) mod engine;
mod exchange;
mod failure;
pub(crate) mod handler;
mod linker;
pub(crate) mod needs;
mod random;
mod request;
mod response;
mod state;
mod stdio;

/// Limits that no flag changes.
pub mod fixed {
    pub use super::engine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX as COMPONENT_TABLES_MAX};
    pub use super::random::RANDOM_MAX;
    pub use super::state::{HANDLES_MAX, HOST_COPY_MAX, RESOURCES_MAX};
    pub use super::stdio::CHUNK_MAX;
}
