//! Control of a running server: a Unix socket that only its owner may use, and the
//! commands that talk to it.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `protocol` | requests and replies of the control socket |
//! | `place` | path, lock and owner of the socket |
//! | `listener` | the server side |
//! | `command` | the client side: output and exit codes |

pub mod command;
pub mod listener;
pub mod place;
pub mod protocol;
