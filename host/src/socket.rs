//! The socket of one connection. hyper reads from it and writes to it; whoever
//! works on a request can ask at the same time whether the client is gone, which
//! hyper does not look at while it waits for a response. Nor does it mind a
//! client that never reads.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// A socket that has several owners.
#[derive(Clone)]
pub struct Socket(Arc<TcpStream>);

impl Socket {
    /// Takes the socket of a connection that was just accepted.
    pub fn new(stream: TcpStream) -> Socket {
        // A response is written whole, so waiting for more of it gains nothing.
        let _ = stream.set_nodelay(true);
        Socket(Arc::new(stream))
    }

    /// Waits until the client has reset the connection. That it has ended its
    /// side is something else: it may still wait for the response.
    pub async fn reset(&self) {
        if self.0.ready(Interest::ERROR).await.is_err() {
            // The runtime is ending, which ends the request too.
            std::future::pending().await
        }
    }
}

/// The same socket as hyper uses it. A client that does not take in what it
/// asked for is given up after a while.
pub struct Stream {
    socket: Socket,
    write_timeout: Duration,
    /// Runs while the client takes in nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    /// Waits for a client that takes in nothing no longer than this.
    pub fn new(socket: Socket, write_timeout: Duration) -> Stream {
        Stream { socket, write_timeout, stalled: None }
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = &*self.socket.0;
        while let Poll::Ready(ready) = stream.poll_write_ready(cx) {
            ready?;
            match write(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.stalled = None;
                    return Poll::Ready(result);
                }
            }
        }
        let timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(stalled.as_mut().poll(cx));
        let what = "the client took in nothing for too long (--write-timeout)";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &*self.socket.0;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The kernel has what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.socket.0).shutdown(Shutdown::Write))
    }
}
