//! Bound sockets that the process before this one has handed over, by the name under which they
//! were bound: the flag and its value.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::net::listener::{SocketFile, UNIX};

/// Sockets that were not taken yet.
static SOCKETS: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// Adds a socket.
pub fn put(name: String, socket: OwnedFd) {
    sockets().push((name, socket));
}

/// Takes the sockets of a name.
pub fn take(name: &str) -> Vec<OwnedFd> {
    sockets().extract_if(.., |(other, _)| other == name).map(|(_, socket)| socket).collect()
}

/// Closes the remaining sockets, and removes the paths of Unix sockets among them. Returns their
/// names.
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
