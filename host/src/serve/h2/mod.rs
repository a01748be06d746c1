//! Serves HTTP/2 connections (RFC 9113). The crate `h2` reads and writes the frames. Requests are
//! answered by the same code as those of HTTP/1.1, but concurrently.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `connection` | serves one connection, from the handshake to its end |
//! | `limits` | converts the limits of a connection to settings of the crate `h2` |
//! | `inbox` | queues the requests that no worker has taken yet |
//! | `stream` | answers requests |
//! | `wire` | byte stream of a connection; counts the traffic and limits slow reading |
//! | `nudge` | wakes the task of a connection |
//! | `shared` | state that a connection and its streams share |

pub(super) mod connection;
mod inbox;
pub(super) mod limits;
mod nudge;
mod shared;
mod stream;
mod wire;
