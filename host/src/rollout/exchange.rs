//! Request in the journal, and a summary of the response to it.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use host_http::message::Message;
use host_http::request_id::RequestId;

use crate::rollout::class::Class;
use crate::seed;

/// Estimated overhead of the allocator for each allocation, in bytes: header and rounding.
const ALLOCATION: usize = 16;

/// Memory of an [`Exchange`] without its texts and its message, in bytes.
const OVERHEAD: usize = size_of::<Exchange>()
    // The counts of an `Arc`, the piece of the body, and two places of a queue that is half
    // full.
    + 2 * size_of::<usize>()
    + size_of::<Bytes>()
    + 2 * size_of::<(u64, Arc<Exchange>)>()
    // The exchange, the method, the target, the head, the list of pieces and the piece.
    + 6 * ALLOCATION;

/// Request that was served, before the journal copies it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Method of the request.
    pub method: &'a str,
    /// Canonical target of the request.
    pub target: &'a str,
    /// Bytes that the handler has received.
    pub message: &'a Message,
    /// Time at which the request arrived.
    pub time: SystemTime,
    /// Id of the request.
    pub id: &'a RequestId,
}

/// Summary of the response of a version to a request.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Number of the version.
    pub version: u64,
    /// Status of the response.
    pub status: u16,
    /// Name of the fault, if the host answered instead of the handler.
    pub fault: Option<&'static str>,
}

/// Request in the journal, and a summary of the response to it.
#[derive(Debug)]
pub struct Exchange {
    /// Class of the request.
    pub class: Class,
    /// Full method of the request; the class may have it cut or replaced by `*`.
    pub method: Box<str>,
    /// Canonical target of the request.
    pub target: Box<str>,
    /// Id of the request, as in the log.
    pub id: RequestId,
    /// Copy of the bytes that the handler has received.
    pub message: Message,
    /// Time at which the request arrived.
    pub time: SystemTime,
    /// Response of the version that served the request.
    pub answered: Answered,
    pub(crate) bytes: usize,
}

impl Exchange {
    /// Copies a request, and adds how it was answered.
    pub fn new(received: Received<'_>, answered: Answered) -> Exchange {
        let class = Class::new(received.method, received.target, answered.status);
        let bytes = memory(&class, &received);
        let Received { method, target, message, time, id } = received;
        let (method, target, message) = (method.into(), target.into(), copied(message));
        Exchange { class, method, target, id: *id, message, time, answered, bytes }
    }

    /// Returns the memory that the exchange uses, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Class {
    /// Returns the memory that the texts of the class use, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.method.len().saturating_add(self.shape.len()).saturating_add(2 * ALLOCATION)
    }
}

/// Returns the memory that an exchange will take, in bytes.
fn memory(class: &Class, received: &Received<'_>) -> usize {
    [class.bytes(), received.method.len(), received.target.len(), received.message.length()]
        .into_iter()
        .fold(OVERHEAD, usize::saturating_add)
}

/// Copies a message into memory of exactly its size. A piece of a body may be a slice of a large
/// buffer, which would stay in memory as long as the slice. Adds a seed if the message has none:
/// the module that served the request drew no random bits, but a candidate may draw some.
fn copied(message: &Message) -> Message {
    let body = message.body.concat();
    let body = if body.is_empty() { Vec::new() } else { vec![body.into()] };
    Message { head: message.head.clone(), body, seed: message.seed.or_else(seed::draw) }
}

#[cfg(test)]
mod tests {
    use super::copied;
    use bytes::Bytes;
    use host_http::message::Message;

    #[test]
    fn a_kept_message_has_memory_of_its_own() {
        let buffer = Bytes::from(vec![b'x'; 10_000]);
        let mut head = Vec::with_capacity(5_000);
        head.extend_from_slice(b"head");
        let body = vec![buffer.slice(3..5), Bytes::new(), buffer.slice(7..8)];
        let message = Message { head, body, seed: Some([7; 32]) };
        let copy = copied(&message);
        assert_eq!((copy.head.as_slice(), copy.head.capacity(), copy.seed), (&b"head"[..], 4, Some([7; 32])));
        assert_eq!((copy.body.as_slice(), copy.body.capacity()), (&[Bytes::from("xxx")][..], 1));
        assert!(copy.body[0].is_unique());
        assert!(copied(&Message::default()).body.is_empty());
    }
}
