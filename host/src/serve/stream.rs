//! Input and output of an active connection, within the limits on time. Detects that the
//! connection is idle, too slow, or has to give way to another one.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use crate::serve::look::Look;
use crate::serve::transport::Transport;

/// Maximum size of the buffer for one read, in bytes.
pub(crate) const READ: usize = 8 << 10;

/// Size of the buffer for the first read, and initial capacity of the output, in bytes. Most
/// requests fit into it, and the allocator has free blocks of this size for new connections.
pub(crate) const READ_FIRST: usize = 1 << 10;

/// Maximum length of a response body that is copied to the output after its head, in bytes. A
/// longer body is written without a copy.
const COPIED_MAX: usize = 4 << 10;

/// Length of the output above which responses to pipelined requests are sent immediately, in bytes.
/// Shorter responses are collected, and sent together.
pub(crate) const TOGETHER: usize = 32 << 10;

/// Maximum time for which a response waits to be sent together with the responses to requests that
/// arrived at the same time.
const TOGETHER_TIME: Duration = Duration::from_millis(1);

/// Result of a wait for input from the client.
#[derive(Debug)]
pub enum Arrived {
    /// This many bytes arrived.
    Bytes(usize),
    /// The client has closed its sending side.
    End,
    /// The connection is idle: no part of a head has arrived since this time.
    Idle(Instant),
    /// The whole head, or more bytes of a body, did not arrive in time.
    TooSlow,
    /// The connection has to give way to another one.
    GaveWay,
}

/// Buffered stream of one connection.
pub struct Stream {
    transport: Transport,
    head_timeout: Duration,
    /// Bytes that were received and are not processed yet.
    pub input: BytesMut,
    /// Size of the buffer for the next read of a head, in bytes. It grows when a read fills it.
    room: usize,
    /// Responses that are not sent yet.
    pub output: Vec<u8>,
    look: Look,
    /// Timeout of an incomplete head.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Time at which the oldest request without a sent response was read.
    unsent_since: Option<Instant>,
    /// Why a write failed. No other response may follow, because a part of the failed one may have
    /// been sent.
    broken: Option<io::Error>,
}

impl Stream {
    /// Creates a stream at the start of a message. The stream is idle if nothing has arrived for
    /// `idle` to twice `idle`, depending on when the timer checks.
    pub fn new(transport: Transport, head_timeout: Duration, idle: Duration) -> Stream {
        Stream {
            transport,
            head_timeout,
            input: BytesMut::new(),
            room: READ_FIRST,
            output: Vec::with_capacity(READ_FIRST),
            look: Look::new(idle),
            head_timer: None,
            unsent_since: None,
            broken: None,
        }
    }

    /// Waits until the client resets the connection.
    pub async fn reset(&self) {
        self.transport.socket().reset().await;
    }

    /// Records that a head or a whole message has arrived. Stops the timeout of the head, and
    /// counts as activity of the connection.
    pub fn is_complete(&mut self) {
        self.look.busy = true;
        self.head_timer = None;
        self.transport.wait_no_more();
    }

    /// Waits for more bytes of a head. `has_begun` says whether a part of the head has arrived
    /// already: if so, the head timeout runs, otherwise the connection may turn out to be idle.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn more_of_head(&mut self, has_begun: bool) -> io::Result<Arrived> {
        self.input.reserve(self.room);
        poll_fn(|cx| match self.transport.poll_read(cx, &mut self.input)? {
            Poll::Ready(0) => Poll::Ready(Ok(Arrived::End)),
            Poll::Ready(received) => {
                if received >= self.room {
                    self.room = READ;
                }
                Poll::Ready(Ok(Arrived::Bytes(received)))
            }
            // Empty lines before a request line do not begin a head (RFC 9112, section
            // 2.2), so the connection is idle.
            Poll::Pending if !has_begun => self.look.poll(cx).map(|since| Ok(Arrived::Idle(since))),
            Poll::Pending if self.transport.poll_transfers(cx).is_ready() => {
                Poll::Ready(Ok(Arrived::GaveWay))
            }
            Poll::Pending => {
                let timeout = self.head_timeout;
                let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
                timer.as_mut().poll(cx).map(|()| Ok(Arrived::TooSlow))
            }
        })
        .await
    }

    /// Sends the output, and waits for more bytes of a body, but at most until `until`. Appends the
    /// bytes to the input.
    pub async fn more_of_body(&mut self, until: Instant) -> io::Result<Arrived> {
        let mut input = std::mem::take(&mut self.input);
        input.reserve(READ);
        let arrived = self.read_body(&mut input, until).await;
        self.input = input;
        arrived
    }

    /// Sends the output, and waits for more bytes of a body, but at most until `until`. Appends the
    /// bytes to `into`.
    pub async fn read_body(&mut self, into: &mut impl BufMut, until: Instant) -> io::Result<Arrived> {
        self.flush().await?;
        let read = poll_fn(|cx| match self.transport.poll_read(cx, into)? {
            Poll::Ready(0) => Poll::Ready(Ok(Arrived::End)),
            Poll::Ready(received) => Poll::Ready(Ok(Arrived::Bytes(received))),
            Poll::Pending => self.transport.poll_transfers(cx).map(|()| Ok(Arrived::GaveWay)),
        });
        timeout_at(until, read).await.unwrap_or(Ok(Arrived::TooSlow))
    }

    /// Sends the output and then `body`. A short body may stay in the output until
    /// [`Stream::flush`]. `since` is the time at which the request was read.
    pub async fn send(&mut self, body: &[u8], since: Instant) -> io::Result<()> {
        if body.len() > COPIED_MAX {
            return self.write_all(body).await;
        }
        self.output.extend_from_slice(body);
        let since = *self.unsent_since.get_or_insert(since);
        // Without further input, the output is sent before the next wait.
        let is_late = !self.input.is_empty() && since.elapsed() > TOGETHER_TIME;
        if is_late || self.output.len() > TOGETHER { self.flush().await } else { Ok(()) }
    }

    /// Fails if an earlier write has failed.
    ///
    /// # Errors
    ///
    /// The error of the earlier write.
    pub fn check(&mut self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Sends the output.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the client reads too slowly.
    pub async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() { Ok(()) } else { self.write_all(&[]).await }
    }

    async fn write_all(&mut self, body: &[u8]) -> io::Result<()> {
        self.unsent_since = None;
        let written = self.write_output_and(body).await;
        if let Err(error) = &written {
            self.broken = Some(io::Error::new(error.kind(), error.to_string()));
        }
        written
    }

    async fn write_output_and(&mut self, body: &[u8]) -> io::Result<()> {
        let mut output = std::mem::take(&mut self.output);
        let mut pieces = [IoSlice::new(&output), IoSlice::new(body)];
        let count = if body.is_empty() { 1 } else { 2 };
        let mut left = pieces.get_mut(..count).unwrap_or_default();
        // Pace of the client, measured since a write blocked.
        let mut pace = None;
        let mut missing = output.len() + body.len();
        while missing > 0 {
            let written = poll_fn(|cx| self.transport.poll_write(cx, left, &mut pace)).await?;
            missing -= written;
            IoSlice::advance_slices(&mut left, written);
        }
        if pace.is_some() {
            self.transport.wait_no_more();
        }
        output.clear();
        self.output = output;
        Ok(())
    }
}
