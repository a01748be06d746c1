//! The error of setting up the engine.

use thiserror::Error;

/// Why the engine cannot be set up on this machine.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The system refused address space for the pool of instances.
    #[error("cannot reserve address space for {instances} instances (reduce --instances): {cause}")]
    Pool {
        /// The value of `--instances`.
        instances: usize,
        /// wasmtime's message.
        cause: String,
    },
    /// The instances could need more memory mappings than a process may have.
    #[error(
        "the instances may need {needed} memory mappings, but a process may have only {limit} (reduce --instances, or raise vm.max_map_count)"
    )]
    Mappings {
        /// Mappings that the whole process may need.
        needed: usize,
        /// The process's limit on mappings.
        limit: usize,
    },
    /// Any other failure, with wasmtime's or the system's message.
    #[error("cannot set up WebAssembly on this machine: {0}")]
    Other(String),
}
