//! A bound socket that connections come in at, TCP or Unix, and the connections
//! that it gives.

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

/// What stands in front of the path of a Unix socket.
pub const UNIX: &str = "unix:";

/// A socket that connections come in at.
pub enum Listener {
    /// At an IP address.
    Tcp(TcpListener),
    /// At a path, which is taken away with this unless somebody else made it.
    Unix(UnixListener, Option<Made>),
}

/// A path that was made here, and what it led to then.
pub struct Made {
    path: PathBuf,
    inode: (u64, u64),
}

impl Made {
    /// Takes care of a path from now on.
    ///
    /// # Errors
    ///
    /// When nothing is there.
    pub fn new(path: &Path) -> io::Result<Made> {
        Ok(Made { path: path.to_owned(), inode: inode(path)? })
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for Made {
    fn drop(&mut self) {
        // Another server may have taken the path since.
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listener within a runtime.
pub enum Acceptor {
    /// At an IP address.
    Tcp(tokio::net::TcpListener),
    /// At a path.
    Unix(tokio::net::UnixListener, Option<Made>),
}

/// A connection, and who made it.
pub type Accepted = (Socket, Peer);

impl Listener {
    /// # Errors
    ///
    /// When it cannot be watched, or when there is no runtime.
    pub fn into_acceptor(self) -> io::Result<Acceptor> {
        Ok(match self {
            Listener::Tcp(listener) => Acceptor::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Listener::Unix(listener, made) => {
                Acceptor::Unix(tokio::net::UnixListener::from_std(listener)?, made)
            }
        })
    }

    /// The port, where there is one.
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
    /// Waits for a connection.
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

    /// A connection that waits already.
    ///
    /// # Errors
    ///
    /// Those of accept(2), which has one for when none waits.
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
