//! Orders to swap or roll back, and their outcomes.
//!
//! Candidates are prepared on a separate thread with its own runtime: an order that
//! fails or panics is rejected, and the next one is carried out. Rolling back needs
//! no preparation, so it happens at once on the caller's thread.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use host_wasm::health;
use tokio::runtime;
use tokio::sync::Notify;
use tracing::{error, info};

use crate::site::activate::Workshop;
use crate::site::current::Serving;
use crate::site::history::{Entry, History};
use crate::site::notice::Notice;
use crate::site::optimise;
use crate::site::orders::Orders;
use crate::site::restore;
use crate::site::shared::Shared;
use crate::site::state_dir::{State, StateDir};
use crate::site::store::Store;
use crate::site::task::{IsGone, Outcome, Task, serves_by_now};
use crate::site::version::Version;
use crate::site::versions::Versions;

/// Parts and settings of a swapper.
pub struct Settings {
    /// Prepares candidates.
    pub workshop: Workshop,
    /// Largest module file in bytes.
    pub module_max: usize,
    /// File that `ReadAgain` reads, if the handler came from one.
    pub file: Option<PathBuf>,
    /// State folder, if there is one.
    pub state: Option<StateDir>,
    /// Whether only a version that survives a restart may serve.
    pub require_durable: bool,
    /// Shows rejections to the author of the handler during development.
    pub notice: Notice,
}

/// First version and what an earlier process has left.
pub struct Beginning {
    /// First version, which has passed all stages.
    pub version: Version,
    /// Bytes of the first version.
    pub file: Arc<[u8]>,
    /// History, which has numbered the first version.
    pub history: History,
    /// State of an earlier process, which may contain the first version.
    pub left: Option<State>,
}

/// Handle to swap, roll back and list versions.
#[derive(Clone)]
pub struct Swapper(Arc<Shared>);

impl Swapper {
    /// Starts the swap thread with the first version.
    ///
    /// # Errors
    ///
    /// When the thread cannot be created, or `--require-durable` is set and the
    /// first version cannot be saved.
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
        // A separate thread, so that work on a candidate takes no time from threads
        // that serve.
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
            optimising: Mutex::default(),
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
        optimise::serves(&shared, &shared.versions.current());
        shared.spawn(restore::restore(Arc::clone(&shared)));
        shared.spawn(restore::release(Arc::clone(&shared)));
        // The runtime catches tasks that panic.
        health::keep_running("swap", move || runtime.block_on(std::future::pending()))?;
        Ok(Swapper(shared))
    }

    /// Returns the current version.
    pub fn current(&self) -> Serving {
        self.0.versions.current()
    }

    /// Carries out an order and waits for its outcome. Nothing is done if
    /// `if_version` is given and another version is current, or if the client
    /// disconnects first.
    pub async fn order(&self, task: Task, if_version: Option<u64>, is_gone: IsGone) -> Outcome {
        let work = Arc::clone(&self.0).carry_out(task, if_version, is_gone);
        match self.0.runtime.spawn(work).await {
            Ok(outcome) => outcome,
            Err(failed) => {
                let cause = match failed.try_into_panic() {
                    Ok(panic) => format!("the server panicked: {}", health::message(&*panic)),
                    Err(_) => "the server is shutting down".into(),
                };
                error!(%cause, "swap not carried out");
                self.0.refused(cause)
            }
        }
    }

    /// Starts an order whose outcome is only logged.
    pub fn order_and_go_on(&self, task: Task) {
        let swapper = self.clone();
        self.0.spawn(async move {
            let _ = swapper.order(task, None, Box::new(|| false)).await;
        });
    }

    /// Rolls back to version `number`, or to the version that the current one
    /// replaced. Takes effect at once and cancels a swap in progress.
    pub async fn roll_back(&self, number: Option<u64>, if_version: Option<u64>) -> Outcome {
        let shared = &self.0;
        let mut other = None;
        let rolled_back = shared.orders.overrule(|| {
            let serving = shared.versions.current().label.number;
            if let Some(expected) = if_version.filter(|expected| *expected != serving) {
                other = Some(serves_by_now(serving, expected));
                return None;
            }
            let (version, replaced) = shared.versions.roll_back(number)?;
            if version.label.number != replaced {
                optimise::serves(shared, &version);
            }
            Some((version, replaced))
        });
        let Some((version, replaced)) = rolled_back else {
            return shared.refused(other.unwrap_or_else(|| shared.not_kept(number)));
        };
        let label = version.label.clone();
        if label.number == replaced {
            return Outcome::Unchanged { version: replaced };
        }
        shared.notice.serves();
        info!(replaced, "rolled back: serving {label}");
        let not_durable = shared.save_record_on_thread().await;
        Outcome::Serving { version: label.number, sha256: label.sha256, replaced, not_durable }
    }

    /// Returns all remembered versions, oldest first.
    pub fn versions(&self) -> Vec<Entry> {
        self.0.versions.entries()
    }

    /// Returns the memory of all kept versions, in bytes.
    pub fn kept_memory(&self) -> usize {
        self.0.versions.history().memory()
    }
}
