//! Compiles a file to machine code in a process of its own.
//!
//! A compiler is a large program that reads untrusted input, and a file of some
//! kilobytes can make it need gigabytes or minutes. So the server compiles only in
//! child processes of this program, one for each module, with limits on memory and
//! time. The server accepts code from such a child only, through a private pipe.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `compilers` | keeps the next child process ready, and hands out jobs |
//! | `process` | runs one child from the server's side, and explains how it ended |
//! | `job` | defines the messages between server and child |
//! | `worker` | is the child: restricts itself, does one job, and exits |
//! | `pipeline` | lists the steps from file to machine code |
//! | `structure` | refuses oversized modules before anything is compiled |

pub(crate) mod compilers;
pub(crate) mod job;
pub(crate) mod pipeline;
mod process;
pub(crate) mod structure;
pub(crate) mod worker;

pub use compilers::Compilers;
pub use job::{Effort, Priority};
pub use worker::{ARGUMENT, run};
