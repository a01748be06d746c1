//! Who swaps: one thread that carries out orders one after the other and sees
//! each candidate through its stages. It serves nobody.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tracing::{debug, info, warn};

use super::activate::{self, Rejection, Stage, Times};
use super::optimise::Optimiser;
use super::state_dir::{Kept, State};
use super::swapper::{Beginning, Order, Outcome, Settings, Task};
use super::version::{Label, Origin, hash};
use super::versions::Versions;

/// How often it looks whether a version that is no longer kept has answered its
/// last request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the thread, which ends when nobody can give it orders any more.
pub(super) fn start(
    settings: Settings,
    beginning: Beginning,
    orders: Receiver<Order>,
) -> io::Result<Arc<Versions>> {
    let Beginning { version, bytes, mut history, left } = beginning;
    let first = Arc::new(version);
    let label = first.label.clone();
    let restored =
        left.as_ref().and_then(|left| Some((left, left.versions.iter().find(|kept| kept.label == label)?)));
    let considered = restored.map_or(&label.sha256, |(left, _)| &left.considered).clone();
    let unsaved = match restored {
        Some((_, kept)) => {
            history.restore(Arc::clone(&first), kept);
            Vec::new()
        }
        None => {
            history.accept(Arc::clone(&first), None);
            vec![(label.clone(), bytes)]
        }
    };
    let versions = Arc::new(Versions::new(first, history));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let optimiser = Optimiser::start(Arc::downgrade(&versions))?;
    optimiser.serves(&versions.current());
    let its_versions = Arc::clone(&versions);
    let lost = Vec::new();
    let mut worker =
        Worker { settings, versions: its_versions, optimiser, runtime, considered, unsaved, lost };
    let run = move || {
        worker.restore(left.map(|left| left.versions).unwrap_or_default(), label.number);
        worker.save();
        worker.run(&orders);
    };
    thread::Builder::new().name("swap".into()).spawn(run)?;
    Ok(versions)
}

struct Worker {
    settings: Settings,
    versions: Arc<Versions>,
    optimiser: Optimiser,
    runtime: Runtime,
    /// The SHA-256 of what the file held when it was last looked at.
    considered: String,
    /// Versions whose bytes are to be saved, or could not be.
    unsaved: Vec<(Label, Vec<u8>)>,
    /// Versions of an earlier process that cannot serve with the limits of this
    /// one, or cannot be read now. They stay in the folder for the next.
    lost: Vec<Kept>,
}

impl Worker {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let draining = self.versions.history().release();
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
        let serving = self.versions.current().label.number;
        if let Some(expected) = if_version.filter(|expected| *expected != serving) {
            let cause =
                format!("version {serving} serves by now; expected version {expected} (--if-version)");
            return Outcome::Refused { cause, serving };
        }
        match task {
            Task::RollBack(number) => self.roll_back(number),
            Task::Swap(name, bytes) => self.swap(Origin::Upload(name), bytes, Times::default()),
            Task::FileChanged => self.read_file(false),
            Task::ReadAgain => self.read_file(true),
        }
    }

    fn read_file(&mut self, again: bool) -> Outcome {
        let serving = self.versions.current();
        let number = serving.label.number;
        let Some(path) = self.settings.file.clone() else {
            let cause = "the handler did not come from a file, so there is none to read again".to_owned();
            warn!(%cause, "not swapped");
            return Outcome::Refused { cause, serving: number };
        };
        let origin = Origin::Path(path);
        let (since, mut times) = (Instant::now(), Times::default());
        let read = origin.read(self.settings.module_max);
        times.add(Stage::Read, since);
        match read {
            Ok(bytes) => {
                let found = hash(&bytes);
                let seen = std::mem::replace(&mut self.considered, found.clone()) == found;
                if seen && !again {
                    return Outcome::Unchanged { version: number };
                }
                let outcome = self.swap(origin, bytes, times);
                if matches!(outcome, Outcome::Unchanged { .. }) {
                    info!(serving = number, "the file holds what serves already");
                    // It was looked at, and need not be after a restart.
                    self.save();
                }
                outcome
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

    fn swap(&mut self, origin: Origin, bytes: Vec<u8>, mut times: Times) -> Outcome {
        let serving = self.versions.current();
        if hash(&bytes) == serving.label.sha256 {
            return Outcome::Unchanged { version: serving.label.number };
        }
        let label = self.versions.history().begin(origin, &bytes);
        let compiled = self.versions.history().compiled(&label.sha256);
        let number = label.number;
        let since = Instant::now();
        let prepared = self.runtime.block_on(async {
            let (engine, label) = (&self.settings.engine, label.clone());
            let version = activate::prepare(engine, label, &bytes, compiled, &mut times).await?;
            activate::probe(&version, &self.settings.probes, &mut times).await?;
            Ok(version)
        });
        match prepared {
            Ok(version) => {
                let replaced = serving.label.number;
                let version = Arc::new(version);
                self.versions.publish(Arc::clone(&version), Some(replaced));
                self.optimiser.serves(&version);
                let total = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                if self.settings.state.is_some() {
                    self.unsaved.push((label.clone(), bytes));
                }
                self.save();
                info!(replaced, %total, stages = %times, "serving {label}");
                Outcome::Serving { version: number, sha256: label.sha256, replaced }
            }
            Err(Rejection { stage, cause }) => {
                let serving = serving.label.number;
                warn!(%stage, %cause, serving, "rejected {label}");
                let rejection = Rejection { stage, cause: cause.clone() };
                self.versions.history().reject(number, rejection);
                self.save();
                Outcome::Rejected { version: number, stage: stage.to_string(), cause, serving }
            }
        }
    }

    fn roll_back(&mut self, number: Option<u64>) -> Outcome {
        let serving = self.versions.current().label.number;
        let number = number.or_else(|| self.versions.history().replaced_by(serving));
        let found = number.and_then(|number| self.versions.go_back(number));
        match found {
            Some(version) if version.label.number == serving => Outcome::Unchanged { version: serving },
            Some(version) => {
                let label = version.label.clone();
                self.optimiser.serves(&version);
                self.save();
                info!(replaced = serving, "rolled back: serving {label}");
                Outcome::Serving { version: label.number, sha256: label.sha256, replaced: serving }
            }
            None => {
                let wanted = number.map_or("the version before".into(), |number| format!("version {number}"));
                let good = self.versions.history();
                let good: Vec<_> = good.good().map(|version| version.label.number.to_string()).collect();
                let cause =
                    format!("{wanted} is not kept (--keep); the versions that are: {}", good.join(", "));
                Outcome::Refused { cause, serving }
            }
        }
    }

    /// Makes durable which versions there are, after the bytes of new ones.
    fn save(&mut self) {
        let Some(dir) = &self.settings.state else {
            return;
        };
        let mut failure = None;
        let kept = self.versions.history().kept();
        self.unsaved.retain(|(label, bytes)| {
            let is_kept = kept.iter().any(|kept| kept.label == *label);
            is_kept && dir.save_module(label, bytes).map_err(|error| failure = Some(error)).is_err()
        });
        let is_saved = |kept: &Kept| !self.unsaved.iter().any(|(label, _)| *label == kept.label);
        let versions = self.lost.iter().cloned().chain(kept.into_iter().filter(is_saved)).collect();
        let current = self.versions.current().label.number;
        let next_number = self.versions.history().next_number();
        let state = State::new(current, next_number, self.considered.clone(), versions);
        if let Err(error) = dir.save(&state).and_then(|()| failure.map_or(Ok(()), Err)) {
            warn!("the versions would not all survive a restart now: {error:#}");
        }
    }

    /// Compiles the other versions that an earlier process has left.
    fn restore(&mut self, left: Vec<Kept>, current: u64) {
        let Some(dir) = &self.settings.state else {
            return;
        };
        for kept in left.into_iter().filter(|kept| kept.label.number != current) {
            let version = dir.module(&kept.label).and_then(|bytes| {
                let (engine, mut times) = (&self.settings.engine, Times::default());
                let compiled = self.versions.history().compiled(&kept.label.sha256);
                let prepared = activate::prepare(engine, kept.label.clone(), &bytes, compiled, &mut times);
                Ok(self.runtime.block_on(prepared)?)
            });
            match version {
                Ok(version) => self.versions.history().restore(Arc::new(version), &kept),
                Err(error) => {
                    warn!("{} cannot come back: {error:#}", kept.label);
                    self.lost.push(kept);
                }
            }
        }
    }
}
