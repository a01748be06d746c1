//! From the bytes of a file to machine code, in a process of its own.
//!
//! A compiler is a large program that reads what strangers wrote, and a file of
//! some kilobytes can make it need gigabytes or minutes. So the server only ever
//! compiles in child processes of this program, each for one module, with bounds
//! on its memory and time. What a child answers over its pipe is the only code
//! that the server takes.
//!
//! | file | question |
//! | --- | --- |
//! | `pipeline` | what is done with a file, step by step? |
//! | `structure` | which modules are refused before they cost anything? |
//! | `job` | what do server and child say to each other? |
//! | `worker` | what does the child do, and what can it reach? |
//! | `process` | how does the server run one child, and name its end? |
//! | `compilers` | where does the next child come from? |

pub(crate) mod compilers;
pub(crate) mod job;
pub(crate) mod pipeline;
mod process;
pub(crate) mod structure;
mod worker;

pub use compilers::Compilers;
pub use job::{Effort, Priority};
pub use worker::{ARGUMENT, run};
