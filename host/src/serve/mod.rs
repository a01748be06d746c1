//! The way of a request: from an accepted connection to its response.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `server` | accepts connections, and drains them at the end |
//! | `slots` | chooses the connection that is closed when there are too many |
//! | `connection` | serves one connection |
//! | `stream` | checks the framing of what hyper reads and writes |
//! | `write_pace` | bounds how slowly a client may read |
//! | `look` | checks whether a connection is idle |
//! | `read_into` | hands hyper's reads a buffer of the body |
//! | `service` | one exchange: request, call, response |
//! | `body` | reads a request body within its limits |
//! | `buffers` | counts the memory of bodies |
//! | `access_log` | writes one log line for each request |
//! | `ending` | tells connections that the server is ending |

pub mod access_log;
pub mod body;
pub mod buffers;
pub mod connection;
pub mod ending;
pub mod look;
pub mod read_into;
pub mod server;
pub mod service;
pub mod slots;
pub mod stream;
pub mod write_pace;
