//! Parser of HTTP/1.1 requests (RFC 9112), without I/O. It reads each head once, and determines the
//! framing of the body in the same pass. A parsed head refers to the buffer in which it arrived.
//!
//! The parser accepts only messages that follow the grammar exactly: if a proxy and the server
//! behind it read a message differently, the message can smuggle a request past the proxy.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `head` | parses a head, and determines how the body is framed |
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
