//! The command line: one file for each command, and the arguments of the server.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `args` | the command line as a whole |
//! | `serve` | the arguments of the server |
//! | `tool` | the commands that need no server |
//! | `command` | tells a running server what to do, and shows its reply |
//! | `check` | says whether a module can serve, and what is in it |
//! | `call` | sends one request to a module |
//! | `test` | sends requests from files, and compares the answers |
//! | `new` | writes a new handler crate |
//! | `dev` | serves a crate, and builds it again when it changes |
//! | `build` | builds a crate for WebAssembly |
//! | `sources` | watches the sources of a crate |
//! | `replay` | makes recorded requests again |
//! | `remedy` | says what to change in a module that cannot serve |
//! | `loader` | loads a module for `check`, `call`, `test`, `replay` and `dev` |
//! | `output` | prints texts of modules safely |

pub mod args;
mod build;
mod call;
mod check;
pub mod command;
pub mod dev;
mod loader;
mod new;
mod output;
mod remedy;
mod replay;
pub mod serve;
mod sources;
mod test;
pub mod tool;
