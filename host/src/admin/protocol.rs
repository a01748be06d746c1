//! What is said over the control socket: one request and one reply for each
//! connection, a line of JSON each. The request `swap` is followed by as many
//! bytes as it says, which are the module.

use std::collections::BTreeMap;

use host_wasm::health::State;
use serde::{Deserialize, Serialize};

use crate::admin::resources::Resources;
use crate::site::history::Entry;

/// The longest line of a request, in bytes. The longest that a command sends
/// holds the path of a file, which Linux bounds by 4,096.
pub const LINE_MAX: usize = 16 << 10;

/// What a server can be asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Swap to the module that follows.
    Swap {
        /// The name of its file, for the log.
        name: String,
        /// Its length in bytes.
        size: usize,
        /// Only if this version serves.
        #[serde(default)]
        if_version: Option<u64>,
    },
    /// Go back to a version that is kept.
    Rollback {
        /// Which one; the one before, where nothing is said.
        #[serde(default)]
        version: Option<u64>,
        /// Only if this version serves.
        #[serde(default)]
        if_version: Option<u64>,
    },
    /// Tell which versions there are.
    Versions {},
    /// Tell what is going on.
    Status {},
}

/// What is going on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The server's process.
    pub pid: u32,
    /// Of the program.
    pub host_version: String,
    /// Since the server's start.
    pub uptime_seconds: u64,
    /// Where it listens.
    pub urls: Vec<String>,
    /// The version that serves.
    pub serving: Entry,
    /// How much of what is bounded is in use.
    pub resources: Resources,
    /// How often the host answered itself since its start, by kind of fault.
    pub faults: BTreeMap<String, u64>,
    /// Log lines that could not be written as fast as they came.
    #[serde(default)]
    pub lost_log_lines: u64,
    /// The threads beside those that serve, and how often each was restarted.
    #[serde(default)]
    pub threads: BTreeMap<String, State>,
}

/// Said instead of a reply when the request cannot be met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Complaint {
    /// What is wrong with it.
    pub error: String,
}
