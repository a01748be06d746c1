//! Identifies the client of a connection to the API, and checks whether it has disconnected.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::unix::UCred;

use crate::site::by::By;

/// Returns the user and the process of a client of the control socket.
///
/// # Errors
///
/// Why the client may not send commands. With `has_group`, every client may send them, because the
/// mode of the socket decides who can connect.
pub(super) fn check(peer: &UCred, has_group: bool) -> Result<By, String> {
    let (user, own) = (peer.uid(), rustix::process::geteuid().as_raw());
    if user == own || user == 0 || has_group {
        return Ok(By::Client { user, process: peer.pid() });
    }
    Err(format!(
        "this server belongs to the user id {own}, and the command came from {user}; expected that user or root, \
         or a server with --control-group"
    ))
}

/// Returns whether the client has closed its end of a socket. A client of a Unix socket that has
/// only shut down its sending side may still wait for the reply, and counts as connected. Over TCP
/// (`is_tcp`), such a client looks like one that has disconnected, and counts as that.
pub(super) fn is_closed(socket: &OwnedFd, is_tcp: bool) -> bool {
    let also = if is_tcp { PollFlags::RDHUP } else { PollFlags::empty() };
    let mut polled = [PollFd::new(socket, also)];
    // Does not wait. A hang-up is reported without being requested.
    let has_polled = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok();
    let gone = PollFlags::HUP | PollFlags::ERR | also;
    has_polled && polled.iter().any(|one| one.revents().intersects(gone))
}
