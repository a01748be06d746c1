//! Applies the rules of HTTP/1.1 to HTTP/2 (RFC 9113), without I/O. The crate `h2` reads frames and
//! compressed fields. This folder writes the head of each request in the form of HTTP/1.1, so that
//! the same code checks requests of both versions.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `head` | writes the head of a request in the form of HTTP/1.1 |
//! | `response` | creates the head of an HTTP/2 response from a checked response |
//! | `meter` | limits frames that cost the server work and carry no part of a request |

mod head;
mod meter;
mod response;

pub use head::{agrees, write_head};
pub use meter::{Breach, Meter, MeterLimits};
pub use response::head as response_head;

/// Preface: the bytes with which an HTTP/2 client begins a connection (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
