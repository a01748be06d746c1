//! Bound TCP or Unix listeners and the connections that they accept.

use std::fmt;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use host_http::client_net::Peer;
use socket2::SockRef;

use crate::net::socket::Socket;

/// Prefix of a Unix socket's address.
pub const UNIX: &str = "unix:";

/// Bound listening socket.
pub enum Listener {
    /// TCP socket.
    Tcp(TcpListener),
    /// Unix socket; its path is removed on drop if this process created it.
    Unix(UnixListener, Option<Made>),
}

/// Path of a Unix socket that this process created, with the inode that it had
/// then.
pub struct Made {
    path: PathBuf,
    inode: (u64, u64),
}

impl Made {
    /// Takes ownership of a path: it is removed on drop.
    ///
    /// # Errors
    ///
    /// When nothing is at the path.
    pub fn new(path: &Path) -> io::Result<Made> {
        Ok(Made { path: path.to_owned(), inode: inode(path)? })
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for Made {
    fn drop(&mut self) {
        // Another server may have replaced the socket since.
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listener that is registered with a tokio runtime.
pub enum Acceptor {
    /// TCP socket.
    Tcp(tokio::net::TcpListener),
    /// Unix socket, and the path to remove on drop.
    Unix(tokio::net::UnixListener, Option<Made>),
}

/// Accepted connection and its peer.
pub type Accepted = (Socket, Peer);

impl Listener {
    /// # Errors
    ///
    /// When the socket cannot be registered, or there is no runtime.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        Ok(match self {
            Listener::Tcp(listener) => Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Listener::Unix(listener, made) => {
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?, made)
            }
        })
    }

    /// Returns the port of a TCP listener.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Listener::Unix(..) => None,
        }
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

impl Acceptor {
    /// Accepts a connection, waiting for one.
    ///
    /// # Errors
    ///
    /// Those of accept(2).
    pub async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Acceptor::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (stream.into(), Peer::Ip(peer.ip()))
            }
            Acceptor::Unix(listener, _) => (listener.accept().await?.0.into(), Peer::Unix),
        })
    }

    /// Accepts a connection only if one is waiting.
    ///
    /// # Errors
    ///
    /// Those of accept(2); `WouldBlock` when no connection is waiting.
    pub fn accept_now(&self) -> io::Result<Accepted> {
        let accept = |listener: SockRef<'_>| {
            let (socket, address) = listener.accept()?;
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>((socket, address.as_socket()))
        };
        Ok(match self {
            Acceptor::Tcp(listener) => {
                let (socket, address) = accept(listener.into())?;
                let peer = address.map_or(Peer::Unix, |address| Peer::Ip(address.ip()));
                (tokio::net::TcpStream::from_std(socket.into())?.into(), peer)
            }
            Acceptor::Unix(listener, _) => {
                let (socket, _) = accept(listener.into())?;
                (tokio::net::UnixStream::from_std(socket.into())?.into(), Peer::Unix)
            }
        })
    }
}
