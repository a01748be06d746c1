//! Who swaps: one thread that takes orders one after the other, whoever gave
//! them, and sees each through its stages. It serves nobody and runs at a lower
//! priority than those who do, so compiling costs them little.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::activate::{self, Rejection, Times};
use super::current::Current;
use super::history::{Entry, History};
use super::version::{Origin, Version, hash};
use crate::http::Probe;
use crate::wasm::Engine;

/// How much nicer the thread is than those that serve, as `nice` counts.
const NICE: i32 = 10;

/// How often it looks whether a version that is no longer kept has answered its
/// last request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// What a swapper works with.
pub struct Settings {
    /// Compiles.
    pub engine: Engine,
    /// What each candidate is called with.
    pub probes: Vec<Probe>,
    /// How many good versions are kept.
    pub keep: usize,
    /// The largest module file, in bytes.
    pub module_max: usize,
    /// The file that is read again, if the handler came from one.
    pub file: Option<PathBuf>,
}

/// Gives orders to the thread, and knows what came of them.
#[derive(Clone)]
pub struct Swapper {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

struct Shared {
    current: Current,
    history: Mutex<History>,
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
    /// Go back to the version of this number, or to the one before.
    RollBack(Option<u64>),
}

struct Order {
    task: Task,
    if_version: Option<u64>,
    reply: oneshot::Sender<Outcome>,
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
    pub fn start(settings: Settings, first: Version, history: History) -> io::Result<Swapper> {
        let first = Arc::new(first);
        let considered = first.label.sha256.clone();
        let mut history = history;
        history.accept(Arc::clone(&first));
        let shared = Arc::new(Shared { current: Current::new(first), history: Mutex::new(history) });
        let (orders, inbox) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let worker = Worker { settings, shared: Arc::clone(&shared), runtime, considered };
        thread::Builder::new().name("swap".into()).spawn(move || worker.run(&inbox))?;
        Ok(Swapper { orders, shared })
    }

    /// The version that serves now.
    pub fn current(&self) -> Arc<Version> {
        self.shared.current.version()
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
        let current = self.current().label.number;
        self.shared.history().entries(current)
    }
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    settings: Settings,
    shared: Arc<Shared>,
    runtime: Runtime,
    /// The SHA-256 of what the file held when it was last looked at.
    considered: String,
}

impl Worker {
    fn run(mut self, orders: &Receiver<Order>) {
        // On Linux this is the priority of the calling thread alone. Without
        // it, compiling competes with serving as an equal.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            debug!(%error, "cannot lower the priority of the thread that swaps");
        }
        loop {
            let draining = self.shared.history().release();
            let order = match draining {
                false => orders.recv().map_err(RecvTimeoutError::from),
                true => orders.recv_timeout(RELEASE_INTERVAL),
            };
            match order {
                Ok(order) => {
                    let outcome = self.carry_out(order.task, order.if_version);
                    // Nobody may be waiting for it any more.
                    let _ = order.reply.send(outcome);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn carry_out(&mut self, task: Task, if_version: Option<u64>) -> Outcome {
        let serving = self.shared.current.version().label.number;
        if let Some(expected) = if_version.filter(|expected| *expected != serving) {
            let cause =
                format!("version {serving} serves by now; expected version {expected} (--if-version)");
            return Outcome::Refused { cause, serving };
        }
        match task {
            Task::RollBack(number) => self.roll_back(number),
            Task::Swap(name, bytes) => self.swap(Origin::Upload(name), &bytes),
            Task::FileChanged => self.read_file(false),
            Task::ReadAgain => self.read_file(true),
        }
    }

    fn read_file(&mut self, again: bool) -> Outcome {
        let serving = self.shared.current.version();
        let number = serving.label.number;
        let Some(path) = self.settings.file.clone() else {
            let cause = "the handler did not come from a file, so there is none to read again".to_owned();
            warn!(%cause, "not swapped");
            return Outcome::Refused { cause, serving: number };
        };
        let origin = Origin::Path(path);
        match origin.read(self.settings.module_max) {
            Ok(bytes) => {
                let found = hash(&bytes);
                let seen = std::mem::replace(&mut self.considered, found.clone()) == found;
                if seen && !again {
                    return Outcome::Unchanged { version: number };
                }
                self.swap(origin, &bytes)
            }
            Err(error) => {
                let cause = format!("cannot read {origin}: {error}");
                match again {
                    true => warn!(%cause, serving = number, "not swapped"),
                    // It may be on its way: a file can be away for a moment.
                    false => debug!(%cause, serving = number, "not swapped"),
                }
                Outcome::Refused { cause, serving: number }
            }
        }
    }

    fn swap(&mut self, origin: Origin, bytes: &[u8]) -> Outcome {
        let serving = self.shared.current.version();
        if hash(bytes) == serving.label.sha256 {
            return Outcome::Unchanged { version: serving.label.number };
        }
        let label = self.shared.history().begin(origin, bytes);
        let number = label.number;
        let since = Instant::now();
        let mut times = Times::default();
        let prepared = self.runtime.block_on(async {
            let version = activate::prepare(&self.settings.engine, label.clone(), bytes, &mut times).await?;
            activate::probe(&version, &self.settings.probes, &mut times).await?;
            Ok(version)
        });
        match prepared {
            Ok(version) => {
                let version = Arc::new(version);
                self.shared.history().accept(Arc::clone(&version));
                self.shared.current.publish(version);
                let replaced = serving.label.number;
                let total = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                info!(replaced, %total, stages = %times, "serving {label}");
                Outcome::Serving { version: number, sha256: label.sha256, replaced }
            }
            Err(Rejection { stage, cause }) => {
                let serving = serving.label.number;
                warn!(%stage, %cause, serving, "rejected {label}");
                let rejection = Rejection { stage, cause: cause.clone() };
                self.shared.history().reject(number, rejection);
                Outcome::Rejected { version: number, stage: stage.to_string(), cause, serving }
            }
        }
    }

    fn roll_back(&mut self, number: Option<u64>) -> Outcome {
        let serving = self.shared.current.version().label.number;
        let found = match number {
            Some(number) => self.shared.history().find(number),
            None => self.shared.history().before(serving),
        };
        match found {
            Some(version) if version.label.number == serving => Outcome::Unchanged { version: serving },
            Some(version) => {
                let label = version.label.clone();
                self.shared.current.publish(version);
                info!(replaced = serving, "rolled back: serving {label}");
                Outcome::Serving { version: label.number, sha256: label.sha256, replaced: serving }
            }
            None => {
                let wanted = number.map_or("an earlier version".into(), |number| format!("version {number}"));
                let good = self.shared.history();
                let good: Vec<_> = good.good().map(|version| version.label.number.to_string()).collect();
                let cause =
                    format!("{wanted} is not kept (--keep); the versions that are: {}", good.join(", "));
                Outcome::Refused { cause, serving }
            }
        }
    }
}
