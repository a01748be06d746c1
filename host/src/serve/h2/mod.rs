//! Serves connections of HTTP/2 (RFC 9113). The crate `h2` reads and writes frames; requests are
//! answered as those of HTTP/1.1 are, many at once.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `connection` | serves one connection: accepts requests, waits, ends |
//! | `limits` | limits of the connection, as the crate takes them |
//! | `inbox` | requests that no worker has taken yet |
//! | `stream` | answers requests |
//! | `wire` | bytes of the connection, which are counted and timed |
//! | `nudge` | wakes the task of a connection |
//! | `shared` | what the connection and its streams know of each other |

pub(super) mod connection;
mod inbox;
pub(super) mod limits;
mod nudge;
mod shared;
mod stream;
mod wire;
