//! Bound TCP or Unix listeners and the connections that they accept.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use host_http::client_net::Peer;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::net::socket;

/// Prefix of the address of a Unix socket, before the path.
pub const UNIX: &str = "unix:";

/// Option of an address that says that connections begin with a PROXY protocol header.
pub(super) const PROXY: &str = "proxy";

/// Whether the socket files belong to the other of the two processes in an upgrade, so that this
/// process does not remove them.
static LEFT: AtomicBool = AtomicBool::new(false);

/// Bound listening socket, registered with the current tokio runtime.
pub struct Listener {
    /// Name under which an upgrade hands the socket over: the flag and the address, or
    /// `LISTEN_FDS`.
    pub name: String,
    socket: Listening,
    /// Whether connections begin with a PROXY protocol header.
    has_header: bool,
}

/// Protocol on the connections of a TCP listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP without TLS.
    Plain,
    /// HTTP over TLS.
    Tls,
    /// HTTP without TLS, to redirect clients to https.
    Redirect,
}

enum Listening {
    Tcp(TcpListener, Speaks),
    Unix {
        listener: UnixListener,
        /// Socket file to remove, unless the parent process has created it.
        _file: Option<SocketFile>,
    },
}

/// Sets whether the files of all Unix sockets belong to the other of the two processes in an
/// upgrade. If so, this process does not remove them.
pub fn leave_paths(are_left: bool) {
    LEFT.store(are_left, Relaxed);
}

/// Returns whether the files of all Unix sockets belong to the other of the two processes in an
/// upgrade, as [`leave_paths`] has set it.
pub fn are_paths_left() -> bool {
    LEFT.load(Relaxed)
}

/// File of a Unix socket that this process owns. Dropping the value removes the file.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode of the socket when it was created.
    inode: (u64, u64),
}

impl SocketFile {
    /// Takes ownership of the socket file at a path. Dropping the returned value removes the file,
    /// unless it was replaced.
    ///
    /// # Errors
    ///
    /// When nothing is at the path.
    pub fn new(path: &Path) -> io::Result<SocketFile> {
        Ok(SocketFile { path: path.to_owned(), inode: inode(path)? })
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have replaced the socket since.
        if !are_paths_left() && inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Accepted connection.
pub enum Connection {
    /// TCP connection, and the protocol on it.
    Tcp(TcpStream, Speaks),
    /// Connection of a Unix socket.
    Unix(UnixStream),
}

/// Accepted connection with its peer.
pub struct Accepted {
    /// Connection, before any byte of it was read.
    pub connection: Connection,
    /// Other end of the connection.
    pub peer: Peer,
    /// Whether the connection begins with a PROXY protocol header, which names the client of the
    /// proxy.
    pub has_header: bool,
}

impl Listener {
    /// Creates a listener from a bound TCP socket, and registers it with the tokio runtime.
    ///
    /// # Errors
    ///
    /// When the runtime cannot register the socket.
    pub fn tcp(name: String, socket: std::net::TcpListener, speaks: Speaks) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        Ok(Listener { name, socket: Listening::Tcp(socket.try_into()?, speaks), has_header: false })
    }

    /// Creates a listener from a bound Unix socket, and registers it with the tokio runtime. If
    /// `path` is given, dropping the listener removes the socket file there.
    ///
    /// # Errors
    ///
    /// When the runtime cannot register the socket, or nothing is at the path.
    pub fn unix(
        name: String,
        socket: std::os::unix::net::UnixListener,
        path: Option<&Path>,
    ) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let file = path.map(SocketFile::new).transpose()?;
        let socket = Listening::Unix { listener: socket.try_into()?, _file: file };
        Ok(Listener { name, socket, has_header: false })
    }

    /// Sets whether connections begin with a PROXY protocol header.
    pub(super) fn with_header(mut self, has_header: bool) -> Listener {
        self.has_header = has_header;
        self
    }

    /// Returns a duplicate of the socket's file descriptor.
    ///
    /// # Errors
    ///
    /// When the process has too many open file descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Listening::Tcp(listener, _) => listener.as_fd().try_clone_to_owned(),
            Listening::Unix { listener, .. } => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Returns the port of a TCP listener; [`None`] for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match &self.socket {
            Listening::Tcp(listener, _) => listener.local_addr().ok().map(|address| address.port()),
            Listening::Unix { .. } => None,
        }
    }

    /// Returns whether the connections of the listener use TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.socket, Listening::Tcp(_, Speaks::Tls))
    }

    /// Waits for a connection and accepts it.
    ///
    /// # Errors
    ///
    /// The errors of accept(2).
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (connection, peer) = match &self.socket {
            Listening::Tcp(listener, speaks) => {
                let (stream, peer) = listener.accept().await?;
                (Connection::tcp(stream, *speaks), Peer::Ip(peer.ip()))
            }
            Listening::Unix { listener, .. } => (Connection::Unix(listener.accept().await?.0), Peer::Unix),
        };
        Ok(Accepted { connection, peer, has_header: self.has_header })
    }

    /// Accepts a connection only if one is waiting. Asks the kernel rather than tokio,
    /// which may not have noticed the connection yet.
    ///
    /// # Errors
    ///
    /// The errors of accept(2); `WouldBlock` when no connection is waiting.
    pub fn accept_now(&self) -> io::Result<Accepted> {
        let (listener, speaks) = match &self.socket {
            Listening::Tcp(listener, speaks) => (SockRef::from(listener), *speaks),
            Listening::Unix { listener, .. } => (SockRef::from(listener), Speaks::Plain),
        };
        let (socket, address) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let (connection, peer) = match address.as_socket() {
            Some(address) => {
                (Connection::tcp(TcpStream::from_std(socket.into())?, speaks), Peer::Ip(address.ip()))
            }
            None => (Connection::Unix(UnixStream::from_std(socket.into())?), Peer::Unix),
        };
        Ok(Accepted { connection, peer, has_header: self.has_header })
    }
}

impl Connection {
    fn tcp(stream: TcpStream, speaks: Speaks) -> Connection {
        socket::set_up(&stream);
        Connection::Tcp(stream, speaks)
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Listening::Tcp(listener, speaks) => {
                let scheme = if *speaks == Speaks::Tls { "https" } else { "http" };
                match listener.local_addr() {
                    Ok(address) => write!(f, "{scheme}://{address}")?,
                    Err(_) => write!(f, "{scheme}://unknown")?,
                }
            }
            Listening::Unix { listener, .. } => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(f, "{UNIX}{}", path.unwrap_or(Path::new("unknown")).display())?;
            }
        }
        if self.has_header { write!(f, ",{PROXY}") } else { Ok(()) }
    }
}
