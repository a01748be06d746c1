//! Byte stream of one HTTP/2 connection, from which the crate `h2` reads and to which it writes.
//! Counts the traffic, and fails if the client reads too slowly.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::serve::h2::shared::Shared;
use crate::serve::transport::Transport;
use crate::serve::write_pace::WritePace;

/// Byte stream of one HTTP/2 connection.
pub(super) struct Wire {
    transport: Transport,
    shared: Arc<Shared>,
    /// Bytes that were read from the socket before HTTP/2 began, and that `h2` has not read yet.
    read: BytesMut,
    /// Measures how fast the client reads, since a write blocked.
    pace: Option<WritePace>,
}

impl Wire {
    pub(super) fn new(transport: Transport, shared: Arc<Shared>, read: BytesMut) -> Wire {
        Wire { transport, shared, read, pace: None }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Wire { transport, shared, read, .. } = self.get_mut();
        // The connection is about to end, so nothing more is read.
        if shared.meter().breach().is_some() {
            return Poll::Pending;
        }
        let before = into.filled().len();
        if read.is_empty() {
            ready!(transport.poll_read(cx, into))?;
        } else {
            let length = read.len().min(into.remaining());
            into.put_slice(read.get(..length).unwrap_or_default());
            read.advance(length);
        }
        let received = into.filled().get(before..).unwrap_or_default();
        shared.meter().received(received, Instant::now);
        if shared.is_transfer() {
            transport.moved_elsewhere(received.len());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Wire { transport, shared, pace, .. } = self.get_mut();
        let written = transport.poll_write(cx, pieces, pace);
        match &written {
            Poll::Ready(Ok(bytes)) => {
                shared.meter().sent(*bytes);
                if shared.is_transfer() {
                    transport.moved_elsewhere(*bytes);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => shared.set_blocked(true),
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Everything is written.
        let Wire { transport, shared, pace, .. } = self.get_mut();
        if pace.take().is_some() {
            transport.wait_no_more();
            shared.set_blocked(false);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.transport.socket().finish())
    }
}
