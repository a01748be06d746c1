//! The command line: one file for each command, and the arguments of the server.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `args` | the command line as a whole |
//! | `serve` | the arguments of the server |
//! | `configured` | adds the configuration file and the environment to the command line |
//! | `config` | checks and shows the configuration |
//! | `config_doubts` | what only `host config check` warns of |
//! | `tool` | the commands that need no server |
//! | `parse` | parses the command line, and explains mistakes in it |
//! | `client` | finds a running server, and sends it a request |
//! | `access` | says why a server cannot be reached, and checks who owns it |
//! | `ask` | sends a request to a running server, and parses or shows the reply |
//! | `upload` | reads the module that is sent to a server |
//! | `command` | sends a command to a running server, and shows the reply |
//! | `status` | what `host status` prints |
//! | `insight` | shows faults, certificates and readiness of a server, and shows or changes its log levels |
//! | `events` | prints the events of a running server |
//! | `proof` | compares a module with a version on recent requests, and shows or exports these requests |
//! | `rollout` | begins a rollout, and shows, pauses, resumes or ends it |
//! | `check` | says whether a module can serve, and what is in it |
//! | `call` | sends one request to a module |
//! | `body` | request body, given with flags named as those of curl |
//! | `facts` | what a server would add to a request: time, id, address of the client |
//! | `test` | sends requests from files, and compares the answers |
//! | `new` | writes a new handler crate |
//! | `dev` | serves a crate, and builds it again when it changes |
//! | `dev_https` | keeps the authority and the certificate of `host dev --https` |
//! | `build` | builds a crate for WebAssembly |
//! | `build_remedy` | says what to change in a crate that does not build |
//! | `sources` | watches the sources of a crate |
//! | `replay` | sends recorded requests again |
//! | `completion` | prints completion scripts for shells |
//! | `manual` | writes the manual pages |
//! | `loader` | loads a module for `check`, `call`, `test`, `replay` and `dev` |
//! | `output` | prints texts of modules safely |

mod access;
pub mod args;
mod ask;
mod body;
mod build;
mod build_remedy;
mod call;
mod check;
mod client;
pub mod command;
mod completion;
pub mod config;
mod config_doubts;
pub mod configured;
pub mod dev;
pub mod dev_https;
mod events;
mod facts;
mod insight;
mod loader;
mod manual;
mod new;
mod output;
pub mod parse;
mod proof;
mod replay;
pub mod rollout;
pub mod serve;
mod sources;
mod status;
mod test;
pub mod tool;
mod upload;
