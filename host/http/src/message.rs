//! A request as a handler gets it: the bytes of one HTTP message.

use bytes::Bytes;

/// The bytes of one request, in pieces that are put together in the module's
/// memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its head, which was written here; or all of it, where it came as a whole.
    pub head: Vec<u8>,
    /// Its body, as it came.
    pub body: Vec<Bytes>,
}

impl Message {
    /// In bytes.
    pub fn length(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// Its bytes, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        [&*self.head].into_iter().chain(self.body.iter().map(|piece| &**piece))
    }
}

impl From<Vec<u8>> for Message {
    fn from(whole: Vec<u8>) -> Message {
        Message { head: whole, body: Vec::new() }
    }
}
