//! What HTTP/2 (RFC 9113) adds to the rules of HTTP/1.1, without I/O. The crate `h2` reads
//! frames and compressed fields; this folder makes of each request the head that HTTP/1.1 would
//! have, so that one set of rules holds for both.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `head` | writes the head of a request in the form of HTTP/1.1 |
//! | `response` | makes the head of a response from a checked one |
//! | `meter` | counts frames that cost the server work and bring no request |

mod head;
mod meter;
mod response;

pub use head::{agrees, write_head};
pub use meter::{Breach, Meter, MeterLimits};
pub use response::head as response_head;

/// Bytes with which a client begins a connection (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
