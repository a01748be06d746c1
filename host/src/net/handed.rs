//! Bound sockets that the previous process has handed over, by the name under which they were
//! bound: the flag and its value.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::net::listener::{SocketFile, UNIX};

/// Sockets that the previous process has handed over and that were not taken yet, with their names.
static SOCKETS: Mutex<Vec<(String, OwnedFd)>> = Mutex::new(Vec::new());

/// Adds a socket that the previous process has handed over.
pub fn put(name: String, socket: OwnedFd) {
    sockets().push((name, socket));
}

/// Removes the sockets with this name, and returns them.
pub fn take(name: &str) -> Vec<OwnedFd> {
    sockets().extract_if(.., |(other, _)| other == name).map(|(_, socket)| socket).collect()
}

/// Closes the sockets that were not taken, and removes the paths of Unix sockets among them.
/// Returns the names of the sockets.
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
