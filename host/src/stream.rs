//! The stream that hyper reads requests from and writes responses to: a socket
//! on which every head is whole and every message is one, and which ends between
//! two messages when the connection is to rest or to end.
//!
//! A message that is refused is not given to hyper. In its place hyper gets an
//! empty request, which the service answers with the fault; so a fault of the
//! first byte looks like any other response, and comes behind those to earlier
//! requests.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep};

use crate::http::{BadMessage, MessageLimits, Messages};
use crate::limits::Limits;
use crate::socket::Socket;

/// How much is read at once while a head is not whole, in bytes.
const READ: usize = 4096;

/// What a stream needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of messages.
    pub messages: MessageLimits,
    /// For a head to be whole, from its first byte on.
    pub head_timeout: Duration,
    /// For the client to take in a piece of a response.
    pub write_timeout: Duration,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Bounds {
        let Limits { target_max, head_max, fields_max, head_timeout, write_timeout, .. } = *limits;
        let messages = MessageLimits { target_max, head_max, fields_max, body_max: limits.body_max as u64 };
        Bounds { messages, head_timeout, write_timeout }
    }
}

/// What the streams of a connection tell past hyper.
#[derive(Default)]
pub struct Notes {
    refused: OnceLock<BadMessage>,
    idle_since: Mutex<Option<Instant>>,
}

impl Notes {
    /// Why the request that hyper has now is an empty one, if it is.
    pub fn refused(&self) -> Option<&BadMessage> {
        self.refused.get()
    }

    /// Since when the connection is idle, if that is why the stream has ended.
    pub fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// The stream.
pub struct Stream {
    socket: Socket,
    bounds: Bounds,
    notes: Arc<Notes>,
    messages: Messages,
    /// What was read and has not passed yet.
    held: BytesMut,
    /// How many of the held bytes may pass.
    passing: usize,
    /// What is left of the request that stands for one that was refused.
    instead: &'static [u8],
    /// No more is read from the client.
    over: bool,
    /// Runs while a head is not whole.
    head_timer: Option<Pin<Box<Sleep>>>,
    look: Look,
    /// Runs while the client takes in nothing.
    write_timer: Option<Pin<Box<Sleep>>>,
}

/// Notices that a connection is idle. That the clock is not asked for each
/// request is why this looks at intervals.
struct Look {
    /// From one look to the next.
    interval: Duration,
    /// Runs from one look to the next.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether anything came since the last look.
    busy: bool,
}

impl Stream {
    /// Between two messages, or before the first. It ends when nothing has come
    /// for as long as `idle`, or twice that.
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
            look: Look { interval: idle, timer: None, busy: false },
            write_timer: None,
        }
    }

    /// How many of these bytes may pass, which are all that did not pass yet. An
    /// error is one within a body, of which hyper has the beginning.
    fn admit(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.messages.admit(bytes) {
            Ok(0) => Ok(0),
            Ok(passing) => {
                self.look.busy = true;
                self.head_timer = None;
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

    /// Gives hyper an empty request in the place of the one that these bytes
    /// begin.
    fn refuse(&mut self, mut bytes: &[u8], why: BadMessage) {
        while let Some(behind) = bytes.strip_prefix(b"\r\n") {
            bytes = behind;
        }
        let head = bytes.starts_with(b"HEAD ");
        self.instead = if head { b"HEAD / HTTP/1.1\r\n\r\n" } else { b"GET / HTTP/1.1\r\n\r\n" };
        self.over = true;
        let _ = self.notes.refused.set(why);
    }

    /// Looks at what is held. Whether anything can be done without more.
    fn admit_held(&mut self) -> io::Result<bool> {
        let held = std::mem::take(&mut self.held);
        let passing = self.admit(&held);
        self.held = held;
        self.passing = passing?;
        Ok(self.passing > 0 || self.over)
    }

    /// Reads into hyper's own buffer, where nothing has to be put together.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match self.socket.poll_read(cx, buffer)? {
            Poll::Ready(0) => self.over = true,
            Poll::Ready(_) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                let admitted = self.admit(bytes);
                let passing = *admitted.as_ref().unwrap_or(&0);
                self.held.extend_from_slice(bytes.get(passing..).unwrap_or_default());
                buffer.set_filled(before + passing);
                admitted?;
            }
            Poll::Pending => ready!(self.poll_waiting(cx)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more of what is not whole.
    fn poll_receive_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.held.reserve(READ);
        match self.socket.poll_read(cx, &mut self.held)? {
            // A head that breaks off is nothing that could be answered.
            Poll::Ready(0) => self.over = true,
            Poll::Ready(_) => {}
            Poll::Pending => ready!(self.poll_waiting(cx)),
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing came. Whether the stream goes on without.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The service sees to it that a body comes in time.
        if !self.messages.in_head() {
            return Poll::Pending;
        }
        // Empty lines are nothing (RFC 9112, section 2.2).
        if !self.held.chunks(2).all(|line| line == b"\r\n") {
            let timeout = self.bounds.head_timeout;
            let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
            ready!(timer.as_mut().poll(cx));
            let held = std::mem::take(&mut self.held);
            self.refuse(&held, BadMessage::HeadTooSlow);
        } else {
            let since = ready!(self.look.poll(cx));
            self.over = true;
            self.notes.set_idle_since(Some(since));
        }
        Poll::Ready(())
    }
}

impl Look {
    /// Waits until nothing has come for some time. Tells since when at least.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        loop {
            // It was asked before, and will wake this task.
            if self.busy && self.timer.as_ref().is_some_and(|timer| !timer.is_elapsed()) {
                return Poll::Pending;
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.interval)));
            // Whatever the task has done before: a timer that was not asked is not armed.
            ready!(pin!(unconstrained(timer.as_mut())).poll(cx));
            if !std::mem::take(&mut self.busy) {
                return Poll::Ready(timer.deadline() - self.interval);
            }
            timer.as_mut().reset(Instant::now() + self.interval);
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
        if let Poll::Ready(result) = self.socket.poll_write(cx, pieces) {
            self.write_timer = None;
            return Poll::Ready(result);
        }
        let timeout = self.bounds.write_timeout;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        let what = "the client took in nothing for too long (--write-timeout)";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A connection that rests goes on.
        let rests = self.notes.idle_since().is_some();
        Poll::Ready(if rests { Ok(()) } else { self.socket.finish() })
    }
}
