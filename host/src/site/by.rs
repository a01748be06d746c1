//! Who ordered a swap or a rollback, for the log.

use std::fmt;
use std::net::SocketAddr;

/// Who ordered a swap or a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A change of the module file.
    File,
    /// SIGHUP.
    Hangup,
    /// SIGUSR2.
    Upgrade,
    /// A client of the control socket.
    Client {
        /// User id of the client.
        user: u32,
        /// Process id of the client, if the kernel knows it.
        process: Option<i32>,
    },
    /// Judge of a version.
    Verdict,
    /// Plan of a rollout.
    Rollout,
    /// Restart of the server.
    Restart,
    /// Client of the API at this address.
    Remote(SocketAddr),
}

impl By {
    /// Returns whether the module file is tried even if its content is unchanged, such as after a
    /// rejection.
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
