//! Stores the listening sockets that the previous process has handed over during an upgrade. The
//! name of a socket consists of the flag and the address, such as `--listen localhost:4444`, or is
//! `LISTEN_FDS`.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::net::listener::{SocketFile, UNIX};

/// Names and sockets that the previous process has handed over and that [`take`] has not returned
/// yet.
static SOCKETS: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// Stores a socket that the previous process has handed over.
pub fn put(name: String, socket: OwnedFd) {
    sockets().push((name, socket));
}

/// Returns whether a socket with this name is stored.
pub fn has(name: &str) -> bool {
    sockets().iter().any(|(other, _)| other == name)
}

/// Returns the stored sockets with this name, and removes them from the store.
pub fn take(name: &str) -> Vec<OwnedFd> {
    sockets().extract_if(.., |(other, _)| other == name).map(|(_, socket)| socket).collect()
}

/// Closes the sockets that [`take`] has not returned, and removes the socket files of the Unix
/// sockets among them. Returns the names of the closed sockets.
pub fn close_rest() -> Vec<String> {
    let rest: Vec<_> = sockets().drain(..).map(|(name, _)| name).collect();
    for name in &rest {
        let path = name.split_once(' ').and_then(|(_, address)| address.strip_prefix(UNIX));
        let path = path.and_then(|address| crate::net::unix_socket::parse(address).ok());
        drop(path.map(|(path, ..)| SocketFile::new(&path)));
    }
    rest
}

fn sockets() -> MutexGuard<'static, Vec<(String, OwnedFd)>> {
    SOCKETS.lock().unwrap_or_else(PoisonError::into_inner)
}
