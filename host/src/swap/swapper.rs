//! Orders to swap, from whoever gives them, and what came of each. They are
//! carried out one after the other by the thread in `worker`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::current::Serving;
use super::history::{Entry, History};
use super::state_dir::{State, StateDir};
use super::version::Version;
use super::versions::Versions;
use super::worker;
use crate::http::Probe;
use crate::wasm::Engine;

/// What a swapper works with.
pub struct Settings {
    /// Compiles.
    pub engine: Engine,
    /// What each candidate is called with.
    pub probes: Vec<Probe>,
    /// The largest module file, in bytes.
    pub module_max: usize,
    /// The file that is read again, if the handler came from one.
    pub file: Option<PathBuf>,
    /// Where good versions survive a restart, if they are to.
    pub state: Option<StateDir>,
}

/// What a swapper begins with.
pub struct Beginning {
    /// The version that serves first. It is good already.
    pub version: Version,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Counts versions; it has given this one its number.
    pub history: History,
    /// What an earlier process has left, whether this version is one of those
    /// or not.
    pub left: Option<State>,
}

/// Gives orders to the thread, and knows what came of them.
#[derive(Clone)]
pub struct Swapper {
    orders: Sender<Order>,
    versions: Arc<Versions>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Look whether the file has changed.
    FileChanged,
    /// Read the file again, also when it was rejected before.
    ReadAgain,
    /// Swap to these bytes, which have this name where they come from.
    Swap(String, Vec<u8>),
    /// Go back to the version of this number, or to the one that the current
    /// version replaced.
    RollBack(Option<u64>),
}

pub(super) struct Order {
    pub(super) task: Task,
    pub(super) if_version: Option<u64>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Another version serves now.
    Serving {
        /// Its number.
        version: u64,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
        /// The number of the one before.
        replaced: u64,
    },
    /// The version that serves has these bytes already, or is the one asked for.
    Unchanged {
        /// Its number.
        version: u64,
    },
    /// The candidate is no good; the version that served still does.
    Rejected {
        /// The candidate's number.
        version: u64,
        /// The stage that it failed in.
        stage: String,
        /// What happened there.
        cause: String,
        /// The number of the version that serves.
        serving: u64,
    },
    /// Nothing was tried.
    Refused {
        /// Why not.
        cause: String,
        /// The number of the version that serves.
        serving: u64,
    },
}

impl Swapper {
    /// Begins with a version that is good already, and starts the thread.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub fn start(settings: Settings, beginning: Beginning) -> io::Result<Swapper> {
        let (orders, inbox) = channel();
        let versions = worker::start(settings, beginning, inbox)?;
        Ok(Swapper { orders, versions })
    }

    /// The version that serves now.
    pub fn current(&self) -> Serving {
        self.versions.current()
    }

    /// Gives an order, and waits until it is done. Where `if_version` is given
    /// and another version serves by then, nothing is done.
    pub async fn order(&self, task: Task, if_version: Option<u64>) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let _ = self.orders.send(Order { task, if_version, reply });
        answer.await.unwrap_or_else(|_| Outcome::Refused {
            cause: "the server is ending".into(),
            serving: self.current().label.number,
        })
    }

    /// Gives an order whose outcome is for the log alone.
    pub fn order_and_go_on(&self, task: Task) {
        let (reply, _) = oneshot::channel();
        let _ = self.orders.send(Order { task, if_version: None, reply });
    }

    /// All versions that are remembered, oldest first.
    pub fn versions(&self) -> Vec<Entry> {
        let history = self.versions.history();
        history.entries(self.current().label.number)
    }
}
