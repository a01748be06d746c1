//! Socket of an active connection. Records in the slot of the connection when it waits for its
//! client, and fails if the client reads too slowly.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::time::Instant;

use crate::net::socket::Socket;
use crate::serve::slots::Slot;
use crate::serve::write_pace::{WriteBounds, WritePace, too_slow};

/// Socket of an active connection.
pub struct Transport {
    socket: Socket,
    slot: Arc<Slot>,
    write: WriteBounds,
    /// Whether this transport has told the slot that the connection waits for its client in a
    /// transfer.
    waits: bool,
}

impl Transport {
    /// Creates the transport of an active connection that does not wait for its client.
    pub fn new(socket: Socket, slot: Arc<Slot>, write: WriteBounds) -> Transport {
        Transport { socket, slot, write, waits: false }
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the limits on how slowly the client may read.
    pub fn write_bounds(&self) -> WriteBounds {
        self.write
    }

    /// Reads the available bytes; 0 means the end of input.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut impl BufMut) -> Poll<io::Result<usize>> {
        let received = ready!(self.socket.poll_read(cx, into))?;
        self.moved(received);
        Poll::Ready(Ok(received))
    }

    /// Writes as many bytes as the socket accepts, and waits while it accepts none. Fails if the
    /// client reads too slowly, or if the connection has to give way. `pace` measures the client
    /// from the first write that blocked.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        pace: &mut Option<WritePace>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(bytes) = self.socket.poll_write(cx, pieces)? {
            if let Some(pace) = pace {
                pace.took_in(bytes, Instant::now())?;
                self.moved(bytes);
            }
            return Poll::Ready(Ok(bytes));
        }
        if self.poll_transfers(cx).is_ready() {
            let what = "was the slowest, and there were too few permits for all (--connections)";
            return Poll::Ready(Err(too_slow(what)));
        }
        let pace = pace.get_or_insert_with(|| WritePace::new(self.write, Instant::now()));
        loop {
            ready!(pace.poll_next_try(cx));
            let bytes = self.socket.write_now(pieces)?;
            pace.took_in(bytes, Instant::now())?;
            if bytes > 0 {
                self.moved(bytes);
                return Poll::Ready(Ok(bytes));
            }
        }
    }

    /// Tells the slot that the connection waits for its client. Is ready when the connection has to
    /// give way at once.
    pub fn poll_transfers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waits = true;
        self.slot.poll_transfers(cx)
    }

    /// Tells the slot that the connection no longer waits for its client.
    pub fn wait_no_more(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.slot.works();
        }
    }

    /// Records in the slot that HTTP/2 has moved bytes of a transfer. Does nothing if this
    /// transport has told the slot that the connection waits for its client, because then it has
    /// recorded the bytes already.
    pub fn moved_elsewhere(&self, bytes: usize) {
        if !self.waits {
            self.slot.moved(bytes);
        }
    }

    fn moved(&self, bytes: usize) {
        if self.waits {
            self.slot.moved(bytes);
        }
    }
}
