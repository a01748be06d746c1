//! Orders to swap, and what came of each.
//!
//! Candidates are prepared on a thread of their own, with a runtime of its own:
//! an order that fails or panics is rejected, and the next is carried out. Going
//! back to a version that is kept needs nothing prepared, and is done at once on
//! the thread of the caller.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use host_wasm::health;
use serde::{Deserialize, Serialize};
use tokio::runtime::{self, Handle};
use tokio::sync::{Notify, oneshot};
use tracing::{error, info, warn};

use crate::site::activate::Workshop;
use crate::site::current::Serving;
use crate::site::history::{Entry, History};
use crate::site::notice::Notice;
use crate::site::optimise::Optimiser;
use crate::site::orders::Orders;
use crate::site::restore;
use crate::site::state_dir::{State, StateDir};
use crate::site::store::Store;
use crate::site::version::Version;
use crate::site::versions::Versions;

/// What a swapper works with.
pub struct Settings {
    /// Prepares candidates.
    pub workshop: Workshop,
    /// The largest module file, in bytes.
    pub module_max: usize,
    /// The file that is read again, if the handler came from one.
    pub file: Option<PathBuf>,
    /// Where good versions survive a restart, if they are to.
    pub state: Option<StateDir>,
    /// Whether only a version that survives a restart may serve.
    pub require_durable: bool,
    /// Shows a rejection to the author of the handler, during development.
    pub notice: Notice,
}

/// What a swapper begins with.
pub struct Beginning {
    /// The version that serves first. It is good already.
    pub version: Version,
    /// Its bytes.
    pub file: Arc<[u8]>,
    /// Counts versions; it has given this one its number.
    pub history: History,
    /// What an earlier process has left, whether this version is one of those
    /// or not.
    pub left: Option<State>,
}

/// Carries orders out, and knows what came of them.
#[derive(Clone)]
pub struct Swapper(Arc<Shared>);

pub(super) struct Shared {
    pub(super) workshop: Workshop,
    pub(super) module_max: usize,
    pub(super) file: Option<PathBuf>,
    pub(super) require_durable: bool,
    pub(super) notice: Notice,
    pub(super) versions: Versions,
    pub(super) orders: Orders,
    pub(super) store: Store,
    pub(super) optimiser: Optimiser,
    /// Notified when a version is no longer kept.
    pub(super) left: Notify,
    /// Of the thread that prepares candidates.
    runtime: Handle,
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Look whether the file has changed.
    FileChanged,
    /// Read the file again, also when it was rejected before.
    ReadAgain,
    /// Swap to these bytes, which have this name where they come from.
    Swap(String, Arc<[u8]>),
}

/// Tells whether the client that gave an order has gone away.
pub type IsGone = Box<dyn Fn() -> bool + Send + Sync>;

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
        /// Why it would not come back after a restart, if it should.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        not_durable: Option<String>,
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
        let Settings { workshop, module_max, file, state, require_durable, notice } = settings;
        let Beginning { version, file: bytes, mut history, left } = beginning;
        let first = Arc::new(version);
        let label = first.label.clone();
        let restored = left.as_ref().and_then(|left| left.versions.iter().find(|kept| kept.label == label));
        let considered = match (&left, restored) {
            (Some(left), Some(_)) => left.considered.clone(),
            _ => label.sha256.clone(),
        };
        let others = left.iter().flat_map(|left| &left.versions).filter(|kept| kept.label != label);
        let store = Store::new(state, considered, others.cloned().collect());
        match restored {
            Some(kept) => history.restore(Arc::clone(&first), kept),
            None => {
                store.add(&label, &bytes, || history.accept(Arc::clone(&first), None));
            }
        }
        // On a thread of its own, so that nothing which is done for a candidate
        // takes time from those who serve.
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let shared = Arc::new(Shared {
            workshop,
            module_max,
            file,
            require_durable,
            notice,
            versions: Versions::new(first, history),
            orders: Orders::default(),
            store,
            optimiser: Optimiser::default(),
            left: Notify::new(),
            runtime: runtime.handle().clone(),
        });
        if shared.require_durable {
            shared.store.save(&shared.versions).map_err(|error| {
                io::Error::other(format!(
                    "the first version would not survive a restart (--require-durable): {error:#}"
                ))
            })?;
        }
        shared.optimiser.serves(&shared, &shared.versions.current());
        shared.spawn(restore::restore(Arc::clone(&shared)));
        shared.spawn(restore::release(Arc::clone(&shared)));
        // Tasks that panic are caught by the runtime.
        health::keep_running("swap", move || runtime.block_on(std::future::pending()))?;
        Ok(Swapper(shared))
    }

    /// The version that serves now.
    pub fn current(&self) -> Serving {
        self.0.versions.current()
    }

    /// Gives an order, and waits until it is done. Where `if_version` is given
    /// and another version serves by then, nothing is done; nor when the client
    /// goes away before.
    pub async fn order(&self, task: Task, if_version: Option<u64>, is_gone: IsGone) -> Outcome {
        let work = Arc::clone(&self.0).carry_out(task, if_version, is_gone);
        match self.0.runtime.spawn(work).await {
            Ok(outcome) => outcome,
            Err(failed) => {
                let cause = match failed.try_into_panic() {
                    Ok(panic) => format!("the server failed at it: {}", health::message(&*panic)),
                    Err(_) => "the server is ending".into(),
                };
                error!(%cause, "an order was not carried out");
                self.0.refused(cause)
            }
        }
    }

    /// Gives an order whose outcome is for the log alone.
    pub fn order_and_go_on(&self, task: Task) {
        let swapper = self.clone();
        self.0.spawn(async move {
            let _ = swapper.order(task, None, Box::new(|| false)).await;
        });
    }

    /// Goes back to the version of this number, or to the one that the version
    /// which serves has replaced. That happens at once, whatever is being
    /// prepared, and ends it.
    pub async fn roll_back(&self, number: Option<u64>, if_version: Option<u64>) -> Outcome {
        let shared = &self.0;
        let mut other = None;
        let gone_back = shared.orders.overrule(|| {
            let serving = shared.versions.current().label.number;
            if let Some(expected) = if_version.filter(|expected| *expected != serving) {
                other = Some(serves_by_now(serving, expected));
                return None;
            }
            let (version, replaced) = shared.versions.go_back(number)?;
            if version.label.number != replaced {
                shared.optimiser.serves(shared, &version);
            }
            Some((version, replaced))
        });
        let Some((version, replaced)) = gone_back else {
            return shared.refused(other.unwrap_or_else(|| shared.not_kept(number)));
        };
        let label = version.label.clone();
        if label.number == replaced {
            return Outcome::Unchanged { version: replaced };
        }
        shared.notice.serves();
        info!(replaced, "rolled back: serving {label}");
        let not_durable = shared.save_apart().await;
        Outcome::Serving { version: label.number, sha256: label.sha256, replaced, not_durable }
    }

    /// All versions that are remembered, oldest first.
    pub fn versions(&self) -> Vec<Entry> {
        self.0.versions.entries()
    }

    /// Returns the memory of the good versions that are kept, in bytes.
    pub fn kept_memory(&self) -> usize {
        self.0.versions.history().memory()
    }
}

impl Shared {
    /// Runs something on the thread that prepares candidates.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.runtime.spawn(work).abort_handle()
    }

    /// Saves, and says why that failed, if it did.
    pub(super) fn save(&self, save: impl FnOnce(&Store) -> anyhow::Result<()>) -> Option<String> {
        let error = save(&self.store).err()?;
        let cause = format!("{error:#}");
        warn!(%cause, "the versions would not all survive a restart now");
        Some(cause)
    }

    /// Saves the record on a thread of its own: a disk may be slow, and the caller
    /// has others to answer meanwhile.
    async fn save_apart(self: &Arc<Self>) -> Option<String> {
        self.store.dir()?;
        let (done, saved) = oneshot::channel();
        let shared = Arc::clone(self);
        let save = move || {
            let _ = done.send(shared.save(|store| store.save_record(&shared.versions)));
        };
        match thread::Builder::new().name("save".into()).stack_size(health::STACK).spawn(save) {
            Ok(_) => saved.await.unwrap_or_else(|_| Some("the thread that writes has failed".into())),
            Err(_) => self.save(|store| store.save_record(&self.versions)),
        }
    }

    /// Says why a version cannot be gone back to.
    fn not_kept(&self, number: Option<u64>) -> String {
        let wanted = number.map_or("the version before".into(), |number| format!("version {number}"));
        if self.store.left().iter().any(|kept| Some(kept.label.number) == number) {
            return format!(
                "{wanted} is in the state folder and has not come back, or not yet (the log says which)"
            );
        }
        let history = self.versions.history();
        let good: Vec<_> = history.good().map(|version| version.label.number.to_string()).collect();
        format!("{wanted} is not kept (--keep, --keep-bytes); the versions that are: {}", good.join(", "))
    }

    pub(super) fn refused(&self, cause: String) -> Outcome {
        Outcome::Refused { cause, serving: self.versions.current().label.number }
    }
}

/// Why an order for one version is not carried out when another one serves.
pub(super) fn serves_by_now(serving: u64, expected: u64) -> String {
    format!("version {serving} serves by now; expected version {expected} (--if-version)")
}
