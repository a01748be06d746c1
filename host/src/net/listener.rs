//! Bound TCP or Unix listeners and the connections that they accept.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host_http::client_net::Peer;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::net::socket::Socket;

/// Prefix of a Unix socket's address.
pub const UNIX: &str = "unix:";

/// Bound listening socket, registered with the current tokio runtime.
pub enum Listener {
    /// TCP socket.
    Tcp(TcpListener),
    /// Unix socket, with its path if this process created it.
    Unix(UnixListener, Option<SocketFile>),
}

/// Path of a Unix socket that this process created, removed on drop.
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode of the socket when it was created.
    inode: (u64, u64),
}

impl SocketFile {
    /// Takes ownership of the socket at a path.
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
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Accepted connection and its peer.
pub type Accepted = (Socket, Peer);

impl Listener {
    /// Returns the port of a TCP listener.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Listener::Unix(..) => None,
        }
    }

    /// Waits for a connection and accepts it.
    ///
    /// # Errors
    ///
    /// The errors of accept(2).
    pub async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (stream.into(), Peer::Ip(peer.ip()))
            }
            Listener::Unix(listener, _) => (listener.accept().await?.0.into(), Peer::Unix),
        })
    }

    /// Accepts a connection only if one is waiting. Asks the kernel rather than tokio,
    /// which may not have noticed the connection yet.
    ///
    /// # Errors
    ///
    /// The errors of accept(2); `WouldBlock` when no connection is waiting.
    pub fn accept_now(&self) -> io::Result<Accepted> {
        let listener = match self {
            Listener::Tcp(listener) => SockRef::from(listener),
            Listener::Unix(listener, _) => SockRef::from(listener),
        };
        let (socket, address) = listener.accept()?;
        socket.set_nonblocking(true)?;
        Ok(match address.as_socket() {
            Some(address) => (TcpStream::from_std(socket.into())?.into(), Peer::Ip(address.ip())),
            None => (UnixStream::from_std(socket.into())?.into(), Peer::Unix),
        })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}"),
                Err(_) => f.write_str("http://unknown"),
            },
            Listener::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(f, "{UNIX}{}", path.unwrap_or(Path::new("unknown")).display())
            }
        }
    }
}
