//! How a running server is told what to do: a Unix socket that only its owner
//! may use, and the commands that talk to it.
//!
//! | file | question |
//! | --- | --- |
//! | `protocol` | what is said over the socket? |
//! | `place` | where is the socket, and whose is it? |
//! | `listener` | how does the server answer? |
//! | `command` | what do the commands print, and with which exit code? |

pub mod command;
pub mod listener;
pub mod place;
pub mod protocol;
