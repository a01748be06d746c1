//! The boundary to the handler module, and the only place that names wasmtime.
//!
//! | file | question |
//! | --- | --- |
//! | `engine` | how is wasmtime configured, and how many calls may run at once? |
//! | `compiler` | how does code come of it, and how hard is it tried? |
//! | `module` | is this file a handler, and if not, why not? |
//! | `verify` | what does it have to export, and what may it import? |
//! | `instance` | how is one call made, and what can go wrong in it? |
//! | `memory` | how do bytes get in and out? |
//! | `deadline` | what stops a call that takes too long? |
//! | `import` | what may a module ask of the host? |

mod compiler;
mod deadline;
mod engine;
mod import;
mod instance;
mod memory;
mod module;
mod verify;

pub use compiler::Effort;
pub use engine::{Engine, EngineError};
pub use instance::CallError;
pub use memory::BadSpan;
pub use module::{HandlerModule, ModuleError, Unoptimised};
