//! Executes a swap: from the bytes of a candidate to a version that serves or a
//! rejection.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::site::activate::{Rejection, Stage, Times};
use crate::site::optimise;
use crate::site::orders::Order;
use crate::site::shared::Shared;
use crate::site::state_dir::Kept;
use crate::site::task::{IsGone, Outcome, Task, serves_by_now};
use crate::site::version::{Label, Origin, Version, hash};

/// Interval of checks whether the client that ordered the swap is still connected.
const GONE_INTERVAL: Duration = Duration::from_millis(50);

impl Shared {
    pub(super) async fn carry_out(
        self: Arc<Self>,
        task: Task,
        if_version: Option<u64>,
        is_gone: IsGone,
    ) -> Outcome {
        let serving = self.versions.current().label.number;
        if let Some(expected) = if_version.filter(|expected| *expected != serving) {
            return self.refused(serves_by_now(serving, expected));
        }
        match task {
            Task::Swap(name, file) => {
                self.swap(Origin::Upload(name), file, Times::default(), if_version, is_gone).await
            }
            Task::FileChanged => self.read_file(false).await,
            Task::ReadAgain => self.read_file(true).await,
        }
    }

    async fn read_file(self: &Arc<Self>, again: bool) -> Outcome {
        let number = self.versions.current().label.number;
        let Some(path) = self.file.clone() else {
            let cause =
                "the handler was not loaded from a file, so there is no file to read again".to_owned();
            warn!(%cause, "not swapped");
            return self.refused(cause);
        };
        let origin = Origin::Path(path);
        let mut times = Times::default();
        let read = times.measure(Stage::Read, async { origin.read(self.module_max) }).await;
        match read {
            Ok(file) => {
                if self.store.consider(&file) && !again {
                    return Outcome::Unchanged { version: number };
                }
                let outcome = self.swap(origin, file.into(), times, None, Box::new(|| false)).await;
                if matches!(outcome, Outcome::Unchanged { .. }) {
                    info!(serving = number, "the file is unchanged: its bytes serve already");
                    // Saved, so that the file is not considered again after a
                    // restart.
                    self.save(|store| store.save_record(&self.versions));
                }
                outcome
            }
            Err(error) => {
                let cause = format!("cannot read {origin}: {error}");
                match again {
                    true => warn!(%cause, serving = number, "not swapped"),
                    // Not a warning: a file that is being replaced can be missing
                    // for a moment.
                    false => debug!(%cause, serving = number, "not swapped"),
                }
                self.refused(cause)
            }
        }
    }

    async fn swap(
        self: &Arc<Self>,
        origin: Origin,
        file: Arc<[u8]>,
        mut times: Times,
        if_version: Option<u64>,
        is_gone: IsGone,
    ) -> Outcome {
        let mut order = self.orders.begin();
        let serving = self.versions.current();
        let sha256 = hash(&file);
        if sha256 == serving.label.sha256 {
            self.notice.serves();
            return Outcome::Unchanged { version: serving.label.number };
        }
        // Dropped early, because preparing may take long and holding the version
        // keeps it from draining.
        drop(serving);
        let (label, compiled) = {
            let mut history = self.versions.history();
            let label = history.begin(origin, file.len(), sha256);
            let compiled = history.compiled(&label.sha256);
            (label, compiled)
        };
        let since = Instant::now();
        let prepared = tokio::select! {
            biased;
            () = order.cancelled() => Err(SUPERSEDED),
            () = until_gone(&is_gone) => Err(GONE),
            prepared = self.workshop.prepare(label.clone(), &file, compiled, &mut times) => Ok(prepared),
        };
        let published = match prepared {
            Ok(Ok(_)) if is_gone() => Err(times.rejection(GONE)),
            Ok(Ok(version)) => self.publish(&order, version, &file, if_version, &mut times),
            Ok(Err(rejection)) => Err(rejection),
            Err(cause) => Err(times.rejection(cause)),
        };
        match published {
            Ok(replaced) => {
                self.left.notify_one();
                self.notice.serves();
                let total = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                let not_durable = self.save(|store| store.save(&self.versions));
                info!(replaced, %total, stages = %times, "serving {label}");
                Outcome::Serving { version: label.number, sha256: label.sha256, replaced, not_durable }
            }
            Err(rejection) => self.reject(label, rejection),
        }
    }

    /// Publishes a candidate, unless a newer order has come, another version than the
    /// expected one is current, or it cannot be saved although it has to be. Returns the
    /// number of the version that it replaced.
    fn publish(
        self: &Arc<Self>,
        order: &Order,
        version: Version,
        file: &Arc<[u8]>,
        if_version: Option<u64>,
        times: &mut Times,
    ) -> Result<u64, Rejection> {
        let label = version.label.clone();
        let version = Arc::new(version);
        let published = self.orders.if_newest(order, || {
            let serving = self.versions.current().label.number;
            if let Some(expected) = if_version.filter(|expected| *expected != serving) {
                return Err(times.rejection(serves_by_now(serving, expected)));
            }
            if self.require_durable {
                let kept = Kept { label: label.clone(), time: SystemTime::now(), replaced: Some(serving) };
                let saved =
                    times.measure_here(Stage::Save, || self.store.save_ahead(&self.versions, kept, file));
                saved.map_err(|error| {
                    let cause = "it would not survive a restart (--require-durable)";
                    times.rejection(format!("{cause}: {error:#}"))
                })?;
            }
            let replaced = self.store.add(&label, file, || self.versions.publish(Arc::clone(&version)));
            optimise::serves(self, &version);
            Ok(replaced)
        });
        published.unwrap_or_else(|| Err(times.rejection(SUPERSEDED)))
    }

    fn reject(&self, label: Label, rejection: Rejection) -> Outcome {
        let Rejection { stage, cause, is_passing } = &rejection;
        if *is_passing {
            self.store.forget_considered();
        }
        let serving = self.versions.current().label.number;
        warn!(%stage, %cause, serving, "rejected {label}");
        self.notice.rejected(format!("the handler was rejected in stage {stage}: {cause}"));
        let (version, stage, cause) = (label.number, stage.to_string(), cause.clone());
        self.versions.history().reject(version, rejection);
        self.save(|store| store.save_record(&self.versions));
        Outcome::Rejected { version, stage, cause, serving }
    }
}

/// Cause of a rejection when a newer order ends the work on a candidate.
const SUPERSEDED: &str = "a newer swap or rollback was ordered before it was ready";

/// Cause of a rejection when the client that ordered the swap disconnects.
const GONE: &str = "its client disconnected before it was ready";

async fn until_gone(is_gone: &IsGone) {
    while !is_gone() {
        sleep(GONE_INTERVAL).await;
    }
}
