//! The socket of one connection, TCP or Unix. It has several owners: hyper reads
//! from it and writes to it by way of `stream`; whoever works on a request can
//! ask at the same time whether the client is gone, which hyper does not look at
//! while it waits for a response.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How much the kernel keeps of what cannot be sent yet, in bytes. Its own bound
/// is megabytes for each connection, so that some hundred clients which do not
/// read would use up what it has for all of TCP, and every connection of the
/// machine would wait (`cargo bench -p host-benches --bench slow -- read`).
pub(crate) const UNSENT_MAX: u32 = 128 << 10;

/// Most bytes that are copied to be written in one piece.
const SMALL: usize = 1024;

/// A socket that has several owners.
#[derive(Clone)]
pub struct Socket(Arc<Kind>);

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Does the same with either kind.
macro_rules! with {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &*$socket.0 {
            Kind::Tcp($stream) => $call,
            Kind::Unix($stream) => $call,
        }
    };
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Socket {
        // A response is written whole, so waiting for more of it gains nothing.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_MAX);
        Socket(Arc::new(Kind::Tcp(stream)))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Socket {
        Socket(Arc::new(Kind::Unix(stream)))
    }
}

impl Socket {
    /// Waits until the client has reset the connection. That it has ended its
    /// side is something else: it may still wait for the response.
    pub async fn reset(&self) {
        if with!(self, stream => stream.ready(Interest::ERROR).await).is_err() {
            // The runtime is ending, which ends the request too.
            std::future::pending().await
        }
    }

    /// Waits until there is something to read, or nothing more to come.
    pub async fn readable(&self) {
        // An error will be met again by whoever reads.
        let _ = with!(self, stream => stream.readable().await);
    }

    /// Whether there is something to read, or nothing more to come. Asks the
    /// kernel itself, which may know more than the runtime as yet.
    pub fn has_input(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = with!(self, stream => SockRef::from(stream).peek(&mut byte));
        !peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads what is there. Nothing is the end of what the client has to say.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut impl BufMut) -> Poll<io::Result<usize>> {
        let room = buffer.chunk_mut().len();
        loop {
            ready!(with!(self, stream => stream.poll_read_ready(cx)))?;
            let mut received = 0;
            let result = with!(self, stream => stream.try_io(Interest::READABLE, || {
                received = stream.try_read_buf(buffer)?;
                // With room to spare it was all that there is, so the next read would
                // be for nothing. To say so is what saves it.
                if (1..room).contains(&received) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            }));
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && received == 0 => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => return Poll::Ready(Ok(received)),
            }
        }
    }

    /// Writes what the client has room for.
    pub fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // One piece costs the kernel less than several.
        let mut room = [MaybeUninit::uninit(); SMALL];
        let mut room = ReadBuf::uninit(&mut room);
        let small = put_together(pieces, &mut room);
        loop {
            ready!(with!(self, stream => stream.poll_write_ready(cx)))?;
            let written = match small {
                Some(bytes) => with!(self, stream => stream.try_write(bytes)),
                None => with!(self, stream => stream.try_write_vectored(pieces)),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Writes what the client has room for now. Asks the kernel itself, which tells
    /// the runtime of room only when there is much.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn write_now(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match with!(self, stream => SockRef::from(stream).send_vectored(pieces)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Tells the client that nothing more will be sent.
    ///
    /// # Errors
    ///
    /// When the connection is gone already.
    pub fn finish(&self) -> io::Result<()> {
        with!(self, stream => SockRef::from(stream).shutdown(Shutdown::Write))
    }
}

/// The pieces one after the other, if there is room for all of them.
fn put_together<'a>(pieces: &[IoSlice<'_>], room: &'a mut ReadBuf<'_>) -> Option<&'a [u8]> {
    for piece in pieces {
        if piece.len() > room.remaining() {
            return None;
        }
        room.put_slice(piece);
    }
    Some(room.filled())
}
