//! The boundary to the handler module, and the only place that names wasmtime.
//!
//! | file | question |
//! | --- | --- |
//! | `engine` | how is wasmtime configured? |
//! | `admission` | which calls may run at once, and which take turns? |
//! | `permits` | who gets the next permit for a long call? |
//! | `long_targets` | which requests are expected to take long? |
//! | `compile/` | how does machine code come of a file, and within which bounds? |
//! | `module` | is this file a handler, and if not, why not? |
//! | `verify` | what does it have to export, and what may it import? |
//! | `handler` | how does it start, and where does an instance for a request come from? |
//! | `call` | how is one call made, and where does it run? |
//! | `failure` | what can go wrong in it, and whose fault is that? |
//! | `measure` | what does a call use? |
//! | `inspect` | what is in a module's file? |
//! | `name` | what do messages call a function? |
//! | `proposals` | which proposals of WebAssembly are on? |
//! | `survey` | is a module valid, and what is in it that matters here? |
//! | `restorable` | which instructions change what cannot be put back? |
//! | `bulk` | how do copies of much memory give way? |
//! | `instrument` | what is added to a module before it is compiled? |
//! | `instance` | what is an instance? |
//! | `snapshot` | how does an instance get into the state that requests start from? |
//! | `image` | what does its memory hold then? |
//! | `mapped` | how is that mapped rather than copied? |
//! | `pages` | which pages of its memory have changed? |
//! | `mappings` | how many mappings may that take? |
//! | `idle` | where does an instance wait for its next request? |
//! | `per_thread` | what has each thread for itself? |
//! | `memory` | how do bytes get in and out? |
//! | `reused` | where does the memory for large responses come from? |
//! | `deadline` | what stops a call that takes too long? |
//! | `import` | what may a module ask of the host? |

mod admission;
mod bulk;
mod call;
pub mod compile;
mod deadline;
mod engine;
mod failure;
mod handler;
pub mod health;
mod idle;
mod image;
mod import;
mod inspect;
mod instance;
mod instrument;
pub mod limits;
mod long_targets;
mod mapped;
mod mappings;
mod measure;
mod memory;
mod module;
mod name;
mod pages;
mod per_thread;
mod permits;
mod proposals;
mod restorable;
mod reused;
mod snapshot;
mod survey;
mod verify;

pub use admission::Calls;
pub use call::Call;
pub use compile::{Compilers, Effort, Priority};
pub use engine::{Engine, EngineError, instances_memory};
pub use failure::CallError;
pub use handler::HandlerModule;
pub use inspect::{Anatomy, Size};
pub use limits::{CallLimits, CompileLimits};
pub use measure::Usage;
pub use memory::BadSpan;
pub use module::{CompiledModule, ModuleError};
pub use reused::kept_for_responses;

/// Bounds that no flag changes.
pub mod fixed {
    pub use super::compile::structure::*;
    pub use super::engine::{STACK_MAX, TABLES_MAX};
    pub use super::failure::{FRAME_MAX, FRAMES_MAX, MESSAGE_MAX};
    pub use super::instrument::GLOBALS_MAX as CHANGING_GLOBALS_MAX;
}
