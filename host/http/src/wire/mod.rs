//! Finds where each message of a client ends, and refuses ambiguous messages, before
//! hyper sees the bytes.
//!
//! hyper parses heads and chunks as leniently as most servers do. But a message that
//! a proxy and the server behind it read in two ways can smuggle a request past the
//! proxy. So this module accepts only messages that follow RFC 9112 exactly. It
//! neither changes nor stores bytes: it returns how many may pass, or why the message
//! is refused.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `head` | reads a head, and finds the length of the body behind it |
//! | `chunks` | reads a chunked body to its end |
//! | `bytes` | checks the bytes of a line, a token, a target |
//! | `rules` | limits, framing, and the reasons for a refusal |

mod bytes;
mod chunks;
mod head;
mod rules;

pub use chunks::{DIGITS_MAX, EXTRA_MAX};
pub use rules::{BadMessage, MessageLimits};

use crate::wire::chunks::Chunks;
use crate::wire::head::Head;
use crate::wire::rules::Framing;

/// The messages of one connection, checked one after the other.
#[derive(Debug)]
pub struct Messages {
    limits: MessageLimits,
    part: Part,
}

/// Part of a message to which the next byte belongs.
#[derive(Debug)]
enum Part {
    Head(Head),
    /// A body of known length, of which this many bytes have not passed yet.
    Plain(u64),
    Chunked(Chunks),
}

impl Messages {
    /// Starts before the first byte of a connection.
    pub fn new(limits: MessageLimits) -> Messages {
        Messages { limits, part: Part::Head(Head::default()) }
    }

    /// Returns whether the next byte belongs to a head.
    pub fn in_head(&self) -> bool {
        matches!(self.part, Part::Head(_))
    }

    /// Returns how many of these bytes may pass: 0 until a head or a line of trailers
    /// is complete, and never bytes of two messages. The caller passes the bytes that
    /// could not pass before, and what has arrived since.
    ///
    /// # Errors
    ///
    /// [`BadMessage`] says why the message is refused. Parts of it may have passed.
    pub fn admit(&mut self, bytes: &[u8]) -> Result<usize, BadMessage> {
        let passed = match &mut self.part {
            Part::Head(head) => match head.read(bytes, &self.limits)? {
                None => return Ok(0),
                Some((passed, framing)) => {
                    self.part = match framing {
                        Framing::None => Part::Plain(0),
                        Framing::Length(length) => Part::Plain(length),
                        Framing::Chunked => Part::Chunked(Chunks::default()),
                    };
                    passed
                }
            },
            Part::Plain(_) => 0,
            Part::Chunked(chunks) => {
                let passed = chunks.read(bytes, self.limits.body_max)?;
                if chunks.is_over() {
                    self.part = Part::Plain(0);
                }
                passed
            }
        };
        // Nothing can be wrong with a body of known length, so the part of it that
        // has arrived passes, together with the head if that was just completed.
        if let Part::Plain(left) = &mut self.part {
            let more = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - passed);
            *left -= more as u64;
            if *left == 0 {
                self.part = Part::Head(Head::default());
            }
            return Ok(passed + more);
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::{BadMessage, MessageLimits, Messages};

    const LIMITS: MessageLimits =
        MessageLimits { target_max: 16, head_max: 128, fields_max: 3, body_max: 32 };

    /// Feeds bytes in pieces of this size. Returns how many passed, and whether the
    /// next byte belongs to a head, or the refusal.
    fn fed(bytes: &[u8], piece: usize) -> (usize, Result<bool, BadMessage>) {
        let mut messages = Messages::new(LIMITS);
        let (mut passed, mut come) = (0, 0);
        loop {
            match messages.admit(&bytes[passed..come]) {
                Ok(0) if come == bytes.len() => return (passed, Ok(messages.in_head())),
                Ok(0) => come = bytes.len().min(come + piece),
                Ok(more) => passed += more,
                Err(error) => return (passed, Err(error)),
            }
        }
    }

    /// Checks that the size of the pieces makes no difference to `fed`, and returns
    /// its result.
    fn read(bytes: &[u8]) -> (usize, Result<bool, BadMessage>) {
        let whole = fed(bytes, bytes.len().max(1));
        for piece in [1, 2, 3, 7] {
            assert_eq!(fed(bytes, piece), whole, "{} in pieces of {piece}", bytes.escape_ascii());
        }
        whole
    }

    #[test]
    fn messages_follow_one_another() {
        let bytes = b"GET / HTTP/1.1\r\na: b\r\n\r\nPOST / HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi\
            POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nt: u\r\n\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n";
        assert_eq!(read(bytes), (bytes.len(), Ok(true)));
    }

    #[test]
    fn what_cannot_become_a_head_is_refused_before_it_ends() {
        assert_eq!(read(b"\x16\x03\x01"), (0, Err(BadMessage::Tls)));
        for bytes in
            [&b"\x17\x03\x01"[..], b"GET / HTTP/1.1\n", b"GET /\r\n", b" GET", b"GET / HTTP/1.1\r\na\0"]
        {
            assert!(matches!(read(bytes).1, Err(BadMessage::Malformed { .. })), "{}", bytes.escape_ascii());
        }
    }
}
