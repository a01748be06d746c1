//! TLS over one TCP connection. Callers read and write plaintext; rustls decrypts and encrypts it.

use std::future::poll_fn;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use rustls::server::{Accepted, AcceptedAlert, Acceptor, ClientHello};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Maximum number of bytes that rustls buffers while the client does not read.
const UNSENT_MAX: usize = 32 << 10;

/// Maximum memory of TLS for one connection, in bytes: the unsent bytes, one received record, its
/// plaintext, and the keys. The record and the plaintext have at most 16 KiB each, plus the
/// overhead of TLS.
pub const MEMORY_MAX: u64 = (UNSENT_MAX + 2 * (18 << 10) + (8 << 10)) as u64;

/// TLS over one TCP connection.
pub struct TlsStream {
    pub(super) tcp: TcpStream,
    session: Mutex<Session>,
}

struct Session {
    tls: ServerConnection,
    /// Number of plaintext bytes that rustls has accepted, but that [`TlsStream::poll_write`] has
    /// not reported as written yet.
    taken: usize,
}

/// Reads and writes encrypted bytes through tokio, without waiting.
struct Raw<'a>(&'a TcpStream);

/// Writes encrypted bytes without waiting, and without asking tokio whether the socket is writable.
struct Now<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (room, mut received) = (buffer.len(), 0);
        let result = self.0.try_io(Interest::READABLE, || {
            received = self.0.try_read(buffer)?;
            // As in `Socket::poll_read`: this read has emptied the socket.
            if (1..room).contains(&received) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match result {
            Err(error) if received == 0 => Err(error),
            _ => Ok(received),
        }
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            // Costs the kernel less than a list of one piece.
            [bytes] => self.0.try_write(bytes),
            pieces => self.0.try_write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SockRef::from(self.0).send(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        SockRef::from(self.0).send_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TlsStream {
    /// Performs the TLS handshake with a client. `choose` selects the configuration from the
    /// ClientHello.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or the handshake fails. If it fails, an alert has been sent, and
    /// the kind of the error is `InvalidData`. Also returns the connection, so that the caller can
    /// close it.
    pub async fn accept(
        tcp: TcpStream,
        choose: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
    ) -> Result<TlsStream, (TcpStream, io::Error)> {
        match shake(&tcp, choose).await {
            Ok(tls) => Ok(TlsStream { tcp, session: Mutex::new(Session { tls, taken: 0 }) }),
            Err(error) => Err((tcp, error)),
        }
    }

    /// Calls `look` with the rustls connection, and returns the result.
    pub fn session<T>(&self, look: impl FnOnce(&ServerConnection) -> T) -> T {
        look(&self.lock().tls)
    }

    /// Returns whether rustls has plaintext to read, or the client has ended its input. There may
    /// be plaintext before the first read, if the client has sent a request with the end of the
    /// handshake.
    pub(super) fn has_input(&self) -> bool {
        let mut session = self.lock();
        let mut reader = session.tls.reader();
        !reader.fill_buf().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits for plaintext, reads it into `buffer`, and returns the number of bytes. 0 means that
    /// the client has ended its input.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        let mut session = self.lock();
        let tls = &mut session.tls;
        loop {
            let mut reader = tls.reader();
            match reader.fill_buf() {
                Ok(bytes) => {
                    let read = bytes.len().min(buffer.chunk_mut().len());
                    buffer.put_slice(bytes.get(..read).unwrap_or_default());
                    reader.consume(read);
                    return Poll::Ready(Ok(read));
                }
                // The client has closed the connection without an end of TLS. Every message has an
                // end of its own, so one that is cut off is noticed.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
            ready!(poll_receive(&self.tcp, tls, cx))?;
            process(&self.tcp, tls)?;
        }
    }

    /// Encrypts plaintext, writes as many encrypted bytes as the kernel accepts, and waits while it
    /// accepts none. Returns how many plaintext bytes count as written. After a pending or partial
    /// write, the next call must begin with the first byte that was not written.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut session = self.lock();
        loop {
            match session.write(&mut Raw(&self.tcp), pieces) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(self.tcp.poll_write_ready(cx))?,
                result => return Poll::Ready(result),
            }
        }
    }

    /// Encrypts plaintext, and writes as many encrypted bytes as the kernel accepts now. Returns
    /// how many plaintext bytes count as written.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or the kernel accepts no byte (`WouldBlock`).
    pub(super) fn write_now(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.lock().write(&mut Now(&self.tcp), pieces)
    }

    /// Sends the TLS alert `close_notify`, and closes the sending side of the connection.
    ///
    /// # Errors
    ///
    /// When the connection is gone already.
    pub(super) fn finish(&self) -> io::Result<()> {
        let mut session = self.lock();
        session.tls.send_close_notify();
        // A client that does not read gets no end.
        while session.tls.wants_write()
            && session.tls.write_tls(&mut Now(&self.tcp)).is_ok_and(|sent| sent > 0)
        {}
        SockRef::from(&self.tcp).shutdown(Shutdown::Write)
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Passes the plaintext to rustls, unless an earlier call has done so, and writes the encrypted
    /// bytes to `to`. Returns how many plaintext bytes now count as written.
    fn write(&mut self, to: &mut impl Write, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.taken == 0 {
            self.taken = self.tls.writer().write_vectored(pieces)?;
        }
        let mut written = 0;
        while self.tls.wants_write() {
            match self.tls.write_tls(to) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What rustls writes is longer than what it was given. The last byte is done
                    // when all is written.
                    let done = written.min(self.taken.saturating_sub(1));
                    self.taken -= done;
                    return if done > 0 { Ok(done) } else { Err(error) };
                }
                Err(error) => return Err(error),
            }
        }
        Ok(std::mem::take(&mut self.taken))
    }
}

/// Performs the TLS handshake with a client. `choose` selects the configuration from the ClientHello.
async fn shake(
    tcp: &TcpStream,
    choose: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
) -> io::Result<ServerConnection> {
    let mut acceptor = Acceptor::default();
    let accepted = poll_fn(|cx| poll_first(tcp, &mut acceptor, cx)).await?;
    let config = choose(&accepted.client_hello());
    let begun = accepted.into_connection(config);
    let mut tls = begun.map_err(|(error, alert)| refused(tcp, error, alert))?;
    tls.set_buffer_limit(Some(UNSENT_MAX));
    poll_fn(|cx| {
        while tls.is_handshaking() {
            ready!(poll_flush(tcp, &mut tls, cx))?;
            match ready!(poll_receive(tcp, &mut tls, cx))? {
                0 => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                _ => process(tcp, &mut tls)?,
            }
        }
        // What TLS 1.3 has left are tickets, which go out with the first response.
        match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Poll::Ready(Ok(())),
            _ => poll_flush(tcp, &mut tls, cx),
        }
    })
    .await?;
    Ok(tls)
}

/// Waits for the first message of the client, the ClientHello.
fn poll_first(tcp: &TcpStream, acceptor: &mut Acceptor, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        match acceptor.read_tls(&mut Raw(tcp)) {
            Ok(0) => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Poll::Ready(Err(error)),
            Ok(_) => {}
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
            Ok(None) => {}
            Err((error, alert)) => return Poll::Ready(Err(refused(tcp, error, alert))),
        }
    }
}

/// Sends the client the alert about its invalid ClientHello, and returns `error` as an I/O error.
fn refused(tcp: &TcpStream, error: rustls::Error, mut alert: AcceptedAlert) -> io::Error {
    let _ = alert.write(&mut Now(tcp));
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Waits for encrypted bytes, and passes them to rustls. Returns their number; 0 means that the
/// client has closed its sending side.
fn poll_receive(
    tcp: &TcpStream,
    tls: &mut ServerConnection,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_read_ready(cx))?;
        match tls.read_tls(&mut Raw(tcp)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

/// Lets rustls process the received bytes. If they are invalid, sends the client an alert.
fn process(tcp: &TcpStream, tls: &mut ServerConnection) -> io::Result<()> {
    tls.process_new_packets().map(drop).map_err(|error| {
        let _ = tls.write_tls(&mut Now(tcp));
        io::Error::new(ErrorKind::InvalidData, error)
    })
}

/// Writes all bytes that rustls has ready for the client.
fn poll_flush(tcp: &TcpStream, tls: &mut ServerConnection, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    while tls.wants_write() {
        match tls.write_tls(&mut Raw(tcp)) {
            Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => ready!(tcp.poll_write_ready(cx))?,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
