//! Protocol of the control socket: one request and one reply per connection, each one line
//! of JSON. After the line of a `swap` request comes the module, whose size the request
//! states.

use std::collections::BTreeMap;

use host_wasm::health::State;
use serde::{Deserialize, Serialize};

use crate::admin::resources::Resources;
use crate::site::history::Entry;
use crate::site::outcome::Outcome;

/// Longest line of a request in bytes. The longest line that a command sends holds a path,
/// and Linux limits paths to 4,096 bytes.
pub const LINE_MAX: usize = 16 << 10;

/// Longest reply that a command reads, in bytes: 100,000 versions with long names.
pub const REPLY_MAX: u64 = 64 << 20;

/// Request to a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Swaps to the module that follows the line.
    Swap {
        /// Name of the module's file, for the log.
        name: String,
        /// Length of the module in bytes.
        size: usize,
        /// Number that the current version must have.
        #[serde(default)]
        if_version: Option<u64>,
    },
    /// Rolls back to a kept version.
    Rollback {
        /// Number of the version; by default the one that the current version
        /// replaced.
        #[serde(default)]
        version: Option<u64>,
        /// Number that the current version must have.
        #[serde(default)]
        if_version: Option<u64>,
    },
    /// Lists the versions.
    Versions {},
    /// Returns the state of the server.
    Status {},
    /// Reads the configuration and the module file again.
    Reload {},
}

/// Outcome of a reload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys that were changed.
    pub applied: Vec<String>,
    /// Keys that differ from those with which the server runs, and need a restart.
    pub needs_restart: Vec<String>,
    /// What came of the module file, if there is one.
    pub handler: Option<Outcome>,
}

/// State of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub host_version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// URLs of the listeners.
    pub urls: Vec<String>,
    /// Path of the control socket.
    pub control: String,
    /// Largest module file in bytes.
    pub module_max: usize,
    /// Longest time that a swap may take, in seconds.
    pub swap_seconds: u64,
    /// Current version.
    pub serving: Entry,
    /// Use of bounded resources.
    pub resources: Resources,
    /// Number of responses that the host made itself since the start, by fault.
    pub faults: BTreeMap<String, u64>,
    /// Number of log lines that were dropped or could not be written.
    #[serde(default)]
    pub lost_log_lines: u64,
    /// Threads that do not serve requests, with their restarts.
    #[serde(default)]
    pub threads: BTreeMap<String, State>,
}

/// Reply to a request that cannot be met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorReply {
    /// Cause.
    pub error: String,
}
