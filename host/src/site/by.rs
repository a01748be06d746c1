//! Who ordered a change, such as a swap or a rollback, for the log.

use std::fmt;
use std::net::SocketAddr;

/// Who ordered a change, such as a swap, a rollback, or a change of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A change of the module file.
    File,
    /// The signal SIGHUP.
    Hangup,
    /// The signal SIGUSR2.
    Upgrade,
    /// A client of the control socket.
    Client {
        /// User id of the client.
        user: u32,
        /// Process id of the client, if the kernel knows it.
        process: Option<i32>,
    },
    /// The judge, which has found that a version is worse.
    Verdict,
    /// The plan of a rollout, which says that the next change is due.
    Rollout,
    /// A restart of the server, which continues or ends a rollout.
    Restart,
    /// A client of the API over TCP, with this address.
    Remote(SocketAddr),
}

impl By {
    /// Returns whether the module file is tried even if its content is unchanged, for example after
    /// it was rejected.
    pub(super) fn tries_again(self) -> bool {
        self != By::File
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            By::File => f.write_str("file"),
            By::Hangup => f.write_str("SIGHUP"),
            By::Upgrade => f.write_str("SIGUSR2"),
            By::Verdict => f.write_str("verdict"),
            By::Rollout => f.write_str("rollout"),
            By::Restart => f.write_str("restart"),
            By::Client { user, process: Some(process) } => write!(f, "uid {user}, pid {process}"),
            By::Client { user, process: None } => write!(f, "uid {user}"),
            By::Remote(address) => write!(f, "{address}"),
        }
    }
}
