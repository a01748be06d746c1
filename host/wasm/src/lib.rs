//! Compiles, starts, calls and resets handler modules. No other crate of the host uses wasmtime.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `handler` | is a started handler of either kind, as the host calls it |
//! | `compiled` | is a compiled handler of either kind |
//! | `shared` | machine code for use by other versions and sites |
//! | `kind` | tells the two kinds of handlers apart |
//! | `component/` | runs components of `wasi:http` |
//! | `engine` | holds what all modules share, in an engine of wasmtime |
//! | `config` | configures wasmtime |
//! | `engine_error` | says why the engine cannot be set up |
//! | `proposals` | lists the WebAssembly proposals that are on |
//! | `module` | loads a compiled module, and checks it against the contract |
//! | `module_error` | reads a file as a module, and says why a file is refused |
//! | `code` | holds the machine code that instances are created from |
//! | `compile/` | compiles a file to machine code in a child process with limits |
//! | `survey` | validates a module, and collects what `instrument` needs |
//! | `instrument` | adds exports and helper functions to a module before it is compiled |
//! | `bulk` | splits large memory operations, so that compiled code can yield |
//! | `restorable` | lists the instructions whose effects can be undone |
//! | `verify` | checks imports and exports against the contract |
//! | `started` | starts a module, and provides an instance for each request |
//! | `call` | makes one call, on the serving thread's stack or on a fiber |
//! | `long_threads` | runs the long calls of clients at a lower priority |
//! | `call_state` | holds the data of a store during a call |
//! | `values` | holds the values of a site, and masks the secrets among them |
//! | `call_error` | says why a call gave no response |
//! | `admission` | limits how many calls run at once, and schedules long ones |
//! | `permits` | queues long calls, and shares their permits among sites and clients |
//! | `long_targets` | predicts which requests take long |
//! | `deadline` | ends calls past their deadline, and makes long ones yield |
//! | `failure` | calls one function of a module, and converts wasmtime's errors |
//! | `import` | implements what a module may import |
//! | `memory` | copies bytes into and out of a module's memory |
//! | `instance` | creates an instance, runs `_initialize` and `configure`, and drops it safely |
//! | `snapshot` | stores the state after `_initialize` and `configure`, and resets an instance to it |
//! | `image` | stores the memory of a snapshot |
//! | `mapped` | maps a large image instead of copying it |
//! | `pages` | tracks which pages of an instance's memory were written to |
//! | `mappings` | keeps the instances within the process's limit on memory mappings |
//! | `idle` | keeps reset instances for the next request |
//! | `slots` | counts all instances, and makes idle ones give way |
//! | `per_thread` | gives each serving thread its own value |
//! | `reused` | reuses the memory of large responses |
//! | `measure` | measures one call, for the tools of handler authors |
//! | `inspect` | lists the parts of a module's file, for the same tools |
//! | `inspect_component` | lists the parts of a component's file |
//! | `limits` | the limits of calls and of compiling |
//! | `system_memory` | reads the memory that the machine and the cgroups have left |
//! | `health` | restarts background threads that panic |
//! | `name` | formats function names for messages |

mod admission;
mod bulk;
mod call;
mod call_error;
mod call_state;
mod code;
pub mod compile;
mod compiled;
mod component;
mod config;
mod deadline;
mod engine;
mod engine_error;
mod failure;
mod handler;
pub mod health;
mod idle;
mod image;
mod import;
mod inspect;
mod inspect_component;
mod instance;
mod instrument;
mod kind;
pub mod limits;
mod long_targets;
mod long_threads;
mod mapped;
mod mappings;
mod measure;
mod memory;
mod module;
mod module_error;
mod name;
mod pages;
mod per_thread;
mod permits;
mod proposals;
mod restorable;
mod reused;
mod shared;
mod slots;
mod snapshot;
mod started;
mod survey;
pub mod system_memory;
mod values;
mod verify;

pub use admission::Calls;
pub use call::{Call, Ended};
pub use call_error::{BadSpan, CallError};
pub use compile::{Compilers, Effort, Priority};
pub use compiled::{CompiledHandler, SharedCode};
pub use component::needs::Grant;
pub use engine::{Engine, instances_memory};
pub use engine_error::EngineError;
pub use handler::Handler;
pub use inspect::{Anatomy, Size};
pub use kind::Kind;
pub use limits::{CallLimits, CompileLimits};
pub use measure::Usage;
pub use module_error::ModuleError;
pub use reused::kept_for_responses;
pub use values::{Values, ValuesError};

/// Limits that no flag changes.
pub mod fixed {
    pub use super::admission::INSTANCES_SPARE;
    pub use super::compile::pipeline::THREADS_MAX;
    pub use super::compile::structure::*;
    pub use super::compile::worker::ON_ALL_CORES;
    pub use super::component::fixed::*;
    pub use super::config::STACK_MAX;
    pub use super::engine::TABLES_MAX;
    pub use super::instrument::GLOBALS_MAX as CHANGING_GLOBALS_MAX;
    pub use super::long_targets::PLACES as LONG_TARGETS_MAX;
    pub use super::mappings::STRETCHES_MAX;
    pub use super::name::{FRAME_MAX, FRAMES_MAX, MESSAGE_MAX};
    pub use super::pages::PAGES_MAX;
    pub use super::reused::KEPT_MAX as RESPONSES_KEPT_MAX;
    pub use super::values::MASKED_MIN;
}
