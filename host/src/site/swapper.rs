//! Handle by which commands, signals and the file watch order swaps and rollbacks.
//!
//! Candidates are prepared on the swap thread, which has its own runtime. A swap that
//! panics is refused and does not affect the next one. A rollback needs no preparation,
//! so it happens at once on the caller's thread.

use std::io;
use std::sync::{Arc, Mutex};

use host_wasm::health;
use tokio::runtime;
use tokio::sync::Notify;
use tracing::{error, info};

use crate::site::begin::Beginning;
use crate::site::by::By;
use crate::site::changes::Changes;
use crate::site::current::Serving;
use crate::site::history::Entry;
use crate::site::optimise;
use crate::site::outcome::Outcome;
use crate::site::restore;
use crate::site::shared::{Demand, Settings, Shared};
use crate::site::store::Store;
use crate::site::swap::IsGone;
use crate::site::versions::Versions;

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
        let Beginning { version, file, mut history, demand, dir, left } = beginning;
        let first = Arc::new(version);
        let label = first.label.clone();
        let restored = left.as_ref().and_then(|left| left.versions.iter().find(|kept| kept.label == label));
        let considered = match (&left, restored) {
            (Some(left), Some(_)) => left.considered.clone(),
            _ => label.sha256.clone(),
        };
        let others = left.iter().flat_map(|left| &left.versions).filter(|kept| kept.label != label);
        let store = Store::new(dir, considered, others.cloned().collect());
        match restored {
            Some(kept) => history.restore(Arc::clone(&first), kept),
            None => {
                store.add(&label, &file, || history.accept(Arc::clone(&first), None));
            }
        }
        // Runs on a thread of its own, so that work on a candidate does not delay requests
        // on a serving thread.
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let shared = Arc::new(Shared {
            settings,
            demand: Mutex::new(demand),
            versions: Versions::new(first, history),
            changes: Changes::default(),
            store,
            optimising: Mutex::default(),
            left: Notify::new(),
            runtime: runtime.handle().clone(),
        });
        if shared.settings.require_durable
            && let Err(error) = shared.store.save(&shared.versions)
        {
            // Dropping a runtime waits for its threads, which panics on a thread of another one.
            runtime.shutdown_background();
            let what = "the first version would not survive a restart (--require-durable)";
            return Err(io::Error::other(format!("{what}: {error:#}")));
        }
        optimise::serves(&shared, &shared.versions.current());
        shared.spawn(restore::restore(Arc::clone(&shared)));
        shared.spawn(restore::release(Arc::clone(&shared)));
        // A panic in a task does not end the thread, because the runtime catches it.
        health::keep_running("swap", move || runtime.block_on(std::future::pending()))?;
        Ok(Swapper(shared))
    }

    /// Returns the current version.
    pub fn current(&self) -> Serving {
        self.0.versions.current()
    }

    /// Swaps to bytes that a client has sent under the name `name`, and waits for the
    /// outcome. Changes nothing if another version than `if_version` is current, or if the
    /// client disconnects before the swap.
    pub async fn swap(
        &self,
        name: String,
        bytes: Vec<u8>,
        if_version: Option<u64>,
        is_gone: IsGone,
        by: By,
    ) -> Outcome {
        let swap = Arc::clone(&self.0).swap(name, bytes, if_version, is_gone, by);
        self.run(swap).await.unwrap_or_else(|cause| self.0.refused(cause))
    }

    /// Starts to read the module file, and to swap if its content has changed since it was
    /// last read. SIGHUP also tries unchanged content that was rejected before.
    /// Returns at once; the outcome is only logged.
    pub fn read_file(&self, by: By) {
        let swapper = self.clone();
        self.0.spawn(async move {
            let _ = swapper.run(Arc::clone(&swapper.0).read_file(by)).await;
        });
    }

    /// Changes the source of the handler and its probes, and swaps to the source if its
    /// bytes do not serve already. Returns the outcome, if there is a source to read.
    ///
    /// # Errors
    ///
    /// Why nothing was changed.
    pub async fn reload(&self, demand: Demand, by: By) -> Result<Option<Outcome>, String> {
        self.run(Arc::clone(&self.0).reload(demand, by)).await?
    }

    /// Runs work on the swap thread and waits for its result. The error, which is also
    /// logged, says why the work was not completed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let ended = self.0.runtime.spawn(work).await;
        ended.map_err(|failed| {
            let cause = match failed.try_into_panic() {
                Ok(panic) => format!("the server panicked: {}", health::message(&*panic)),
                Err(_) => "the server is shutting down".into(),
            };
            error!(%cause, "swap not carried out");
            cause
        })
    }

    /// Rolls back to version `number`, or to the version that the current one
    /// replaced. Takes effect at once and cancels a swap in progress.
    pub async fn roll_back(&self, number: Option<u64>, if_version: Option<u64>, by: By) -> Outcome {
        let shared = &self.0;
        let rolled_back = shared.changes.overrule(|| {
            shared.expect_current(if_version)?;
            let found = shared.versions.roll_back(number);
            let (version, replaced) = found.ok_or_else(|| shared.not_kept(number))?;
            if version.label.number != replaced {
                optimise::serves(shared, &version);
            }
            Ok((version, replaced))
        });
        let (version, replaced) = match rolled_back {
            Ok(rolled_back) => rolled_back,
            Err(cause) => return shared.refused(cause),
        };
        let label = version.label.clone();
        if label.number == replaced {
            return Outcome::Unchanged { version: replaced };
        }
        shared.settings.notice.set_rejection(None);
        info!(replaced, %by, "rolled back: serving {label}");
        let not_durable = shared.save_state_on_thread().await;
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
