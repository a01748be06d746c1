//! Socket of one connection, TCP with or without TLS, or Unix, with several owners. `serve::stream` reads and
//! writes. Meanwhile `serve::exchange` waits for a reset by the client.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::net::tls_stream::TlsStream;

/// Maximum number of bytes per connection that the kernel queues and has not sent yet
/// (TCP_NOTSENT_LOWAT). The kernel's own limit is megabytes, so a few hundred clients that do not
/// read would use up its memory for TCP, and all connections of the machine would stall
/// (`cargo bench -p host-benches --bench slow -- read`).
pub(crate) const UNSENT_MAX: u32 = 128 << 10;

/// Socket of one connection. Clones share the connection.
#[derive(Clone)]
pub struct Socket(Arc<Kind>);

enum Kind {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
}

/// Evaluates an expression with the stream of the connection, of any kind.
macro_rules! with {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &*$socket.0 {
            Kind::Tcp($stream) => $call,
            Kind::Tls(tls) => {
                let $stream = &tls.tcp;
                $call
            }
            Kind::Unix($stream) => $call,
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Socket {
        Socket(Arc::new(Kind::Tcp(stream)))
    }
}

impl From<TlsStream> for Socket {
    fn from(stream: TlsStream) -> Socket {
        Socket(Arc::new(Kind::Tls(Box::new(stream))))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Socket {
        Socket(Arc::new(Kind::Unix(stream)))
    }
}

/// Prepares a TCP connection that was accepted.
pub(super) fn set_up(stream: &TcpStream) {
    // Turns off Nagle's algorithm: a response is written at once, so waiting for more
    // data would only delay it.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX);
}

impl Socket {
    /// Returns the TLS of the connection, if it has any.
    pub fn tls(&self) -> Option<&TlsStream> {
        match &*self.0 {
            Kind::Tls(tls) => Some(tls),
            Kind::Tcp(_) | Kind::Unix(_) => None,
        }
    }

    /// Waits until the client resets the connection. A client that only closes its
    /// sending side may still wait for the response.
    pub async fn reset(&self) {
        if with!(self, stream => stream.ready(Interest::ERROR).await).is_err() {
            // Fails only while tokio shuts down, which also cancels the request.
            std::future::pending().await
        }
    }

    /// Waits until bytes or the end of input can be read.
    pub async fn readable(&self) {
        if self.tls().is_some_and(TlsStream::has_input) {
            return;
        }
        // Ignores an error: the next read returns it again.
        let _ = with!(self, stream => stream.readable().await);
    }

    /// Returns whether bytes or the end of input can be read now. Asks the kernel rather
    /// than tokio, which may not have noticed them yet.
    pub fn has_input(&self) -> bool {
        if self.tls().is_some_and(TlsStream::has_input) {
            return true;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = with!(self, stream => SockRef::from(stream).peek(&mut byte));
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads the available bytes into `buffer`; 0 means the end of input.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut impl BufMut) -> Poll<io::Result<usize>> {
        if let Some(tls) = self.tls() {
            return tls.poll_read(cx, buffer);
        }
        let room = buffer.chunk_mut().len();
        loop {
            ready!(with!(self, stream => stream.poll_read_ready(cx)))?;
            let mut received = 0;
            let result = with!(self, stream => stream.try_io(Interest::READABLE, || {
                received = stream.try_read_buf(buffer)?;
                // A read that does not fill the buffer has emptied the socket. Reporting
                // `WouldBlock` makes tokio wait for new input, which saves a read that
                // would return nothing.
                if (1..room).contains(&received) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            }));
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && received == 0 => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => return Poll::Ready(Ok(received)),
            }
        }
    }

    /// Writes as many bytes as the kernel accepts, and waits while it accepts none. After a pending
    /// or partial write, the next call has to pass the bytes that were not written yet.
    pub fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(tls) = self.tls() {
            return tls.poll_write(cx, pieces);
        }
        loop {
            // Nearly always the socket is writable, so that is not asked first.
            let written = match pieces {
                // Costs the kernel less than a list of one piece.
                [bytes] => with!(self, stream => stream.try_write(bytes)),
                pieces => with!(self, stream => stream.try_write_vectored(pieces)),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(with!(self, stream => stream.poll_write_ready(cx)))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes as many bytes as the kernel accepts now, which may be 0. Does not wait until
    /// the socket counts as writable, which needs much of the kernel's buffer to be free.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn write_now(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match self.tls() {
            Some(tls) => tls.write_now(pieces),
            None => with!(self, stream => SockRef::from(stream).send_vectored(pieces)),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Closes the sending side of the connection.
    ///
    /// # Errors
    ///
    /// When the connection is gone already.
    pub fn finish(&self) -> io::Result<()> {
        if let Some(tls) = self.tls() {
            return tls.finish();
        }
        with!(self, stream => SockRef::from(stream).shutdown(Shutdown::Write))
    }
}
