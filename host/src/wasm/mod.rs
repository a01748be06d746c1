//! The boundary to the handler module, and the only place that names wasmtime.
//!
//! | file | question |
//! | --- | --- |
//! | `engine` | how is wasmtime configured? |
//! | `admission` | which calls may run at once, and which take turns? |
//! | `permits` | who gets the next permit for a long call? |
//! | `long_targets` | which requests are expected to take long? |
//! | `compiler` | how does code come of it, and how hard is it tried? |
//! | `module` | is this file a handler, and if not, why not? |
//! | `verify` | what does it have to export, and what may it import? |
//! | `handler` | how does it start, and where does an instance for a request come from? |
//! | `call` | how is one call made, and where does it run? |
//! | `failure` | what can go wrong in it, and whose fault is that? |
//! | `measure` | what does a call use? |
//! | `inspect` | what is in a module's file? |
//! | `instance` | what is an instance? |
//! | `instrument` | how does the host get at what an instance may change? |
//! | `snapshot` | how does an instance get into the state that requests start from? |
//! | `pages` | which pages of its memory have changed? |
//! | `idle` | where does an instance wait for its next request? |
//! | `per_thread` | what has each thread for itself? |
//! | `memory` | how do bytes get in and out? |
//! | `reused` | where does the memory for large responses come from? |
//! | `deadline` | what stops a call that takes too long? |
//! | `import` | what may a module ask of the host? |

mod admission;
mod call;
mod compiler;
mod deadline;
mod engine;
mod failure;
mod handler;
mod idle;
mod import;
mod inspect;
mod instance;
mod instrument;
mod long_targets;
mod measure;
mod memory;
mod module;
mod pages;
mod per_thread;
mod permits;
mod reused;
mod snapshot;
mod verify;

pub use admission::Calls;
pub use call::Call;
pub use compiler::Effort;
pub use engine::{Engine, EngineError, instances_memory, mappings_max};
pub use failure::CallError;
pub use handler::HandlerModule;
pub use inspect::{Anatomy, Size, inspect};
pub use measure::Usage;
pub use memory::BadSpan;
pub use module::{CompiledModule, ModuleError, Unoptimised};
pub use reused::kept_for_responses;
