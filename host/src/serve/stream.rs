//! Stream between a socket and hyper. It passes only whole heads and strictly framed
//! messages to hyper, and it ends between two messages when the connection is idle or
//! has to close.
//!
//! hyper never sees a refused message. It gets a bodiless request instead, which the
//! service answers with the fault. So every fault is answered, logged and counted like
//! any request, and after the responses to earlier requests.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use host_http::wire::{BadMessage, MessageLimits, Messages};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::config::connection::ConnectionLimits;
use crate::net::socket::Socket;
use crate::serve::look::Look;
use crate::serve::read_into::{ReadInto, Seen};
use crate::serve::slots::Slot;
use crate::serve::write_pace::{WriteBounds, WritePace, too_slow};

/// Bytes to read at once while a message waits for more of its bytes.
const READ: usize = 4096;

/// Limits that a stream enforces.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Limits of messages.
    pub messages: MessageLimits,
    /// Longest time from the first to the last byte of a head.
    pub head_timeout: Duration,
    /// Limits on how slowly a client may read its responses.
    pub write: WriteBounds,
}

impl From<&ConnectionLimits> for Bounds {
    fn from(limits: &ConnectionLimits) -> Bounds {
        let ConnectionLimits { target_max, head_max, fields_max, head_timeout, .. } = *limits;
        let messages = MessageLimits { target_max, head_max, fields_max, body_max: limits.body_max as u64 };
        let (timeout, rate_min, window) = (limits.write_timeout, limits.write_rate_min, limits.rate_window);
        Bounds { messages, head_timeout, write: WriteBounds { timeout, rate_min, window } }
    }
}

/// Facts that the streams of a connection report to the service, which hyper does not
/// pass on. A connection gets a new stream each time it is resumed.
pub struct Notes {
    refused: OnceLock<BadMessage>,
    idle_since: Mutex<Option<Instant>>,
    /// Slot of the connection.
    pub slot: Arc<Slot>,
    /// Buffer that hyper last read into.
    pub read_into: ReadInto,
}

impl Notes {
    /// Creates the notes of a new connection.
    pub fn new(slot: Arc<Slot>) -> Notes {
        Notes { refused: OnceLock::new(), idle_since: Mutex::default(), slot, read_into: ReadInto::default() }
    }

    /// Returns why a message was refused, if hyper has got a bodiless request instead.
    pub fn refused(&self) -> Option<&BadMessage> {
        self.refused.get()
    }

    /// Returns since when the connection is idle, if the stream has ended for this reason.
    pub fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// Stream from which hyper reads requests and to which it writes responses.
pub struct Stream {
    socket: Socket,
    bounds: Bounds,
    notes: Arc<Notes>,
    messages: Messages,
    /// Bytes that were read and are not passed to hyper yet.
    held: BytesMut,
    /// Number of held bytes that may pass to hyper.
    passing: usize,
    /// Unread rest of the request that replaces a refused message.
    instead: &'static [u8],
    /// Whether the stream has ended: nothing more is read from the client.
    over: bool,
    /// Timeout of an incomplete head.
    head_timer: Option<Pin<Box<Sleep>>>,
    look: Look,
    /// Pace of the client, measured since a write blocked until the next flush.
    write_pace: Option<WritePace>,
    read_into: Seen,
    /// Whether the slot says that the connection waits for its client in a transfer.
    waits: bool,
}

impl Stream {
    /// Creates a stream that begins between two messages. It ends when nothing arrives for
    /// `idle` to twice `idle`, depending on when the timer checks.
    pub fn new(socket: Socket, bounds: Bounds, idle: Duration, notes: Arc<Notes>) -> Stream {
        notes.set_idle_since(None);
        Stream {
            socket,
            bounds,
            notes,
            messages: Messages::new(bounds.messages),
            held: BytesMut::new(),
            passing: 0,
            instead: &[],
            over: false,
            head_timer: None,
            look: Look::new(idle),
            write_pace: None,
            read_into: Seen::default(),
            waits: false,
        }
    }

    /// Returns how many of these bytes may pass to hyper. `bytes` are all that have not
    /// passed yet. Refuses a malformed head, but fails on a malformed body, because hyper
    /// has its beginning already.
    fn admit(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let was_in_head = self.messages.in_head();
        match self.messages.admit(bytes) {
            Ok(0) => Ok(0),
            Ok(passing) => {
                self.look.busy = true;
                self.head_timer = None;
                if was_in_head || self.messages.in_head() {
                    self.wait_no_more();
                }
                Ok(passing)
            }
            Err(why) => {
                self.over = true;
                if !self.messages.in_head() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                self.refuse(bytes, why);
                Ok(0)
            }
        }
    }

    /// Replaces the message that begins with these bytes by a bodiless request, and ends
    /// the stream after it. HEAD stays HEAD, so that its response has no body.
    fn refuse(&mut self, mut bytes: &[u8], why: BadMessage) {
        while let Some(behind) = bytes.strip_prefix(b"\r\n") {
            bytes = behind;
        }
        let head = bytes.starts_with(b"HEAD ");
        self.instead = if head { b"HEAD / HTTP/1.1\r\n\r\n" } else { b"GET / HTTP/1.1\r\n\r\n" };
        self.over = true;
        let _ = self.notes.refused.set(why);
    }

    /// Checks the held bytes. Returns whether hyper can go on without more bytes of the
    /// client.
    fn admit_held(&mut self) -> io::Result<bool> {
        let held = std::mem::take(&mut self.held);
        let passing = self.admit(&held);
        self.held = held;
        self.passing = passing?;
        Ok(self.passing > 0 || self.over)
    }

    /// Reads directly into hyper's buffer, while no bytes are held. Moves bytes that may
    /// not pass yet into `held`.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match self.socket.poll_read(cx, buffer)? {
            Poll::Ready(0) => self.over = true,
            Poll::Ready(received) => {
                self.moved(received);
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                let admitted = self.admit(bytes);
                let passing = *admitted.as_ref().unwrap_or(&0);
                self.held.extend_from_slice(bytes.get(passing..).unwrap_or_default());
                buffer.set_filled(before + passing);
                admitted?;
            }
            Poll::Pending => ready!(self.poll_waiting(cx))?,
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more bytes of an incomplete head or chunk line into `held`.
    fn poll_receive_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.held.reserve(READ);
        match self.socket.poll_read(cx, &mut self.held)? {
            // A head that breaks off gets no response.
            Poll::Ready(0) => self.over = true,
            Poll::Ready(received) => self.moved(received),
            Poll::Pending => ready!(self.poll_waiting(cx))?,
        }
        Poll::Ready(Ok(()))
    }

    /// Waits while nothing arrives. Ready when there is no use in waiting for more bytes:
    /// the connection is idle and ends, or its message is refused, because it is too slow
    /// or gives way to a new connection.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let in_head = self.messages.in_head();
        // Empty lines before a request line do not begin a head (RFC 9112, section 2.2),
        // so the connection is idle.
        if in_head && self.held.chunks(2).all(|line| line == b"\r\n") {
            let since = ready!(self.look.poll(cx));
            self.over = true;
            self.notes.set_idle_since(Some(since));
            return Poll::Ready(Ok(()));
        }
        let gives_way = self.poll_transfers(cx).is_ready();
        if !in_head {
            // No timeout here: `serve::body` limits the time of a body.
            let error = || io::Error::new(io::ErrorKind::TimedOut, BadMessage::GaveWay);
            return if gives_way { Poll::Ready(Err(error())) } else { Poll::Pending };
        }
        if !gives_way {
            let timeout = self.bounds.head_timeout;
            let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
            ready!(timer.as_mut().poll(cx));
        }
        let held = std::mem::take(&mut self.held);
        self.refuse(&held, if gives_way { BadMessage::GaveWay } else { BadMessage::HeadTooSlow });
        Poll::Ready(Ok(()))
    }

    /// Tells the slot that the connection waits for its client. Ready when the connection
    /// has to give way at once.
    fn poll_transfers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waits = true;
        self.notes.slot.poll_transfers(cx)
    }

    fn moved(&self, bytes: usize) {
        if self.waits {
            self.notes.slot.moved(bytes);
        }
    }

    fn wait_no_more(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.notes.slot.works();
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let room = (buffer.filled().as_ptr().addr() + before, buffer.remaining());
        this.read_into.look(room.0, room.1, &this.notes.read_into);
        while buffer.filled().len() == before {
            if !this.instead.is_empty() {
                let (now, later) = this.instead.split_at(this.instead.len().min(buffer.remaining()));
                buffer.put_slice(now);
                this.instead = later;
            } else if this.over {
                break;
            } else if this.passing > 0 {
                let passing = this.passing.min(buffer.remaining());
                buffer.put_slice(&this.held.split_to(passing));
                this.passing -= passing;
            } else if this.held.is_empty() {
                ready!(this.poll_receive(cx, buffer))?;
            } else if !this.admit_held()? {
                ready!(this.poll_receive_more(cx))?;
            }
        }
        this.read_into.filled(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = this.socket.poll_write(cx, pieces)?;
        if let Poll::Ready(bytes) = written {
            if let Some(pace) = &mut this.write_pace {
                pace.took_in(bytes, Instant::now())?;
                this.moved(bytes);
            }
            return Poll::Ready(Ok(bytes));
        }
        if this.poll_transfers(cx).is_ready() {
            let what = "was the slowest, and there were too few permits for all (--connections)";
            return Poll::Ready(Err(too_slow(what)));
        }
        let bounds = this.bounds.write;
        let pace = this.write_pace.get_or_insert_with(|| WritePace::new(bounds, Instant::now()));
        loop {
            ready!(pace.poll_next_try(cx));
            let bytes = this.socket.write_now(pieces)?;
            pace.took_in(bytes, Instant::now())?;
            if bytes > 0 {
                this.moved(bytes);
                return Poll::Ready(Ok(bytes));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has all bytes already. A flush means that hyper has nothing more to
        // write, so the connection no longer waits for its client to read.
        if self.write_pace.take().is_some() {
            self.wait_no_more();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A parked connection stays open.
        let rests = self.notes.idle_since().is_some();
        Poll::Ready(if rests { Ok(()) } else { self.socket.finish() })
    }
}
