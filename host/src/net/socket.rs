//! Socket of one connection: TCP with or without TLS, or Unix. Two tasks share the socket: one reads
//! and writes, and the other waits for a reset by the client.

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

/// Maximum number of unsent bytes that the kernel queues for one connection (TCP_NOTSENT_LOWAT).
/// With the kernel's default of several megabytes, a few hundred clients that do not read would use
/// up the kernel's memory for TCP, and all connections of the machine would stall. `cargo bench -p
/// host-benches --bench slow -- read` measures this.
pub(crate) const UNSENT_MAX: u32 = 128 << 10;

/// Socket of one connection. All clones use the same connection.
#[derive(Clone)]
pub struct Socket(Arc<Kind>);

enum Kind {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Unix(UnixStream),
}

/// Evaluates an expression for the TCP or Unix stream of a [`Socket`], which `$stream` names in the
/// expression.
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

/// Sets the TCP options of an accepted connection.
pub(super) fn set_up(stream: &TcpStream) {
    // Turns off Nagle's algorithm: a response is written at once, so waiting for more
    // data would only delay it.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX);
}

impl Socket {
    /// Returns the TLS stream of the connection, if the connection uses TLS.
    pub fn tls(&self) -> Option<&TlsStream> {
        match &*self.0 {
            Kind::Tls(tls) => Some(tls),
            Kind::Tcp(_) | Kind::Unix(_) => None,
        }
    }

    /// Waits until the client resets the connection. Does not return if the client only closes its
    /// sending side, because it may still wait for the response.
    pub async fn reset(&self) {
        if with!(self, stream => stream.ready(Interest::ERROR).await).is_err() {
            // Fails only while tokio shuts down, which also cancels the request.
            std::future::pending().await
        }
    }

    /// Waits until there are bytes to read, or the client has closed its sending side.
    pub async fn readable(&self) {
        if self.tls().is_some_and(TlsStream::has_input) {
            return;
        }
        // Ignores an error: the next read returns it again.
        let _ = with!(self, stream => stream.readable().await);
    }

    /// Returns whether there are bytes to read, or the client has closed its sending side. Asks the
    /// kernel, because tokio may not have noticed it yet.
    pub fn has_input(&self) -> bool {
        if self.tls().is_some_and(TlsStream::has_input) {
            return true;
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = with!(self, stream => SockRef::from(stream).peek(&mut byte));
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits for bytes, reads them into `buffer`, and returns their number. 0 means that the client
    /// has closed its sending side.
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

    /// Writes as many bytes as the kernel accepts, and waits while it accepts none. Returns their
    /// number. After a pending or partial write, the next call must begin with the first byte that
    /// was not written.
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

    /// Writes as many bytes as the kernel accepts now, and returns their number, which may be 0.
    /// Does not wait for the socket to become writable, because the kernel reports this only when
    /// much of its buffer is free.
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
