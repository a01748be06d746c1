//! Stores a body in pieces while it is being received.

use bytes::Bytes;

use crate::fault::Fault;
use crate::serve::buffers::{Buffers, Share};

/// Size of a piece of a body in bytes. The first piece may be smaller.
const PIECE: usize = 64 << 10;

/// A body that is being read, in pieces of at most [`PIECE`] bytes.
pub(super) struct Pieces<'a> {
    /// Piece that is being filled.
    last: Vec<u8>,
    /// Pieces that are full.
    pub(super) whole: &'a mut Vec<Bytes>,
    /// Capacity of all pieces, in bytes.
    capacity: usize,
    share: Share,
    buffers: &'a Buffers,
    uncounted: usize,
}

impl Pieces<'_> {
    /// Creates an empty body. Full pieces are appended to `whole`. The body counts towards the
    /// budget only if it takes more than `uncounted` bytes.
    pub(super) fn new<'a>(whole: &'a mut Vec<Bytes>, buffers: &'a Buffers, uncounted: usize) -> Pieces<'a> {
        Pieces { last: Vec::new(), whole, capacity: 0, share: Share::default(), buffers, uncounted }
    }

    /// Appends bytes to the body. `more` is the number of further bytes that are expected; 0 if it
    /// is unknown.
    pub(super) fn put(&mut self, mut bytes: &[u8], more: usize) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let last = self.room(bytes.len() + more)?;
            let room = last.capacity() - last.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            last.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Returns the piece to fill, with room for at least one byte. `missing` is the number of bytes
    /// that are expected; 0 if it is unknown.
    pub(super) fn room(&mut self, missing: usize) -> Result<&mut Vec<u8>, Fault> {
        if self.last.len() == self.last.capacity() {
            self.make_room(missing)?;
        }
        Ok(&mut self.last)
    }

    /// Ends the body, and returns the share of the budget that its memory takes.
    pub(super) fn end(mut self) -> Share {
        self.set_aside();
        self.share
    }

    /// Makes room in the first piece, or allocates a new piece. Trusts the stated length only up to
    /// [`PIECE`] bytes, because a client can state any length without sending the bytes.
    fn make_room(&mut self, missing: usize) -> Result<(), Fault> {
        let has = self.last.capacity();
        if has < PIECE && self.whole.is_empty() {
            let wanted = (missing + has).max(2 * has).min(PIECE);
            self.take(wanted - has)?;
            self.last.reserve_exact(wanted - has);
        } else {
            self.set_aside();
            self.take(PIECE)?;
            self.last = Vec::with_capacity(PIECE);
        }
        Ok(())
    }

    /// Counts memory towards the budget, before it is allocated.
    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.buffers.extend(&mut self.share, self.capacity + bytes, self.uncounted)?;
        self.capacity += bytes;
        Ok(())
    }

    /// Moves the last piece to the full pieces.
    fn set_aside(&mut self) {
        if !self.last.is_empty() {
            self.whole.push(std::mem::take(&mut self.last).into());
        }
    }
}
