//! Request as a handler receives it: the bytes of one HTTP message.

use bytes::Bytes;

/// Bytes of one request, in pieces. The host copies the pieces one after another into the memory of
/// the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Encoded head, or the whole message if it was created from one vector.
    pub head: Vec<u8>,
    /// Pieces of the body.
    pub body: Vec<Bytes>,
    /// Seed of the random bits that the module can request; [`None`] if the module requests none.
    pub seed: Option<[u8; 32]>,
}

impl Message {
    /// Empties the message, and keeps the memory of `head` for the next message.
    pub fn clear(&mut self) {
        self.head.clear();
        self.body.clear();
        self.seed = None;
    }

    /// Returns the length of the message in bytes.
    pub fn length(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Returns the pieces of the message in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        [&*self.head].into_iter().chain(self.body.iter().map(|piece| &**piece))
    }
}

impl From<Vec<u8>> for Message {
    fn from(whole: Vec<u8>) -> Message {
        Message { head: whole, body: Vec::new(), seed: None }
    }
}
