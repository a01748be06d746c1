//! Parser of HTTP/1.1 requests (RFC 9112), without I/O. Each head is read once, into
//! slices of the buffer that it arrived in, and the framing of the body behind it is found
//! in the same pass.
//!
//! A message that a proxy and the server behind it read in two ways can smuggle a request
//! past the proxy. So only messages that follow the grammar exactly are accepted.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `head` | parses a head, and finds how the body behind it is framed |
//! | `chunks` | finds the data in a chunked body, and its end |
//! | `grammar` | checks the bytes of a line, a token, a target |
//! | `refusal` | limits, and the reasons for a refusal |

mod chunks;
pub(crate) mod grammar;
mod head;
mod refusal;

pub use chunks::{Chunks, DIGITS_MAX, EXTRA_MAX, Part};
pub use head::{Framing, HeadParser, METHOD_MAX, TLS_HANDSHAKE};
pub use refusal::{BadMessage, MessageLimits};
