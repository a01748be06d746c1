//! Who swaps: one thread that carries out orders one after the other and sees
//! each candidate through its stages. It serves nobody and runs at a lower
//! priority than those who do, so compiling costs them little.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tracing::{debug, info, warn};

use super::activate::{self, Rejection, Times};
use super::current::Current;
use super::history::History;
use super::state_dir::{Kept, State};
use super::swapper::{Beginning, Order, Outcome, Settings, Task};
use super::version::{Label, Origin, hash};

/// How much nicer the thread is than those that serve, as `nice` counts.
const NICE: i32 = 10;

/// How often it looks whether a version that is no longer kept has answered its
/// last request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// What the thread shares with those who serve and those who give orders.
pub(super) struct Shared {
    pub(super) current: Current,
    history: Mutex<History>,
}

impl Shared {
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread, which ends when nobody can give it orders any more.
pub(super) fn start(
    settings: Settings,
    beginning: Beginning,
    orders: Receiver<Order>,
) -> io::Result<Arc<Shared>> {
    let Beginning { version, bytes, mut history, restored } = beginning;
    let first = Arc::new(version);
    let label = first.label.clone();
    let considered = restored.as_ref().map_or(&label.sha256, |state| &state.considered).clone();
    match restored.iter().flat_map(|state| &state.versions).find(|kept| kept.label == label) {
        Some(kept) => history.restore(Arc::clone(&first), kept.time),
        None => history.accept(Arc::clone(&first)),
    }
    let shared = Arc::new(Shared { current: Current::new(first), history: Mutex::new(history) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let worker = Worker { settings, shared: Arc::clone(&shared), runtime, considered };
    let run = move || {
        worker.lower_priority();
        match restored {
            Some(state) => worker.restore(&state, label.number),
            None => worker.save(Some((&label, &bytes))),
        }
        worker.run(&orders);
    };
    thread::Builder::new().name("swap".into()).spawn(run)?;
    Ok(shared)
}

struct Worker {
    settings: Settings,
    shared: Arc<Shared>,
    runtime: Runtime,
    /// The SHA-256 of what the file held when it was last looked at.
    considered: String,
}

impl Worker {
    /// On Linux this is the priority of the calling thread alone. Without it,
    /// compiling competes with serving as an equal.
    fn lower_priority(&self) {
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            debug!(%error, "cannot lower the priority of the thread that swaps");
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
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
        // Opening a pipe would wait for somebody to write into it.
        let is_other = path.metadata().is_ok_and(|found| !found.is_file());
        let origin = Origin::Path(path);
        let read = match is_other {
            true => Err(io::Error::other("it is not a regular file")),
            false => origin.read(self.settings.module_max),
        };
        match read {
            Ok(bytes) => {
                let found = hash(&bytes);
                let seen = std::mem::replace(&mut self.considered, found.clone()) == found;
                if seen && !again {
                    return Outcome::Unchanged { version: number };
                }
                let outcome = self.swap(origin, &bytes);
                if matches!(outcome, Outcome::Unchanged { .. }) {
                    // It was looked at, and need not be after a restart.
                    self.save(None);
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
                self.save(Some((&label, bytes)));
                info!(replaced, %total, stages = %times, "serving {label}");
                Outcome::Serving { version: number, sha256: label.sha256, replaced }
            }
            Err(Rejection { stage, cause }) => {
                let serving = serving.label.number;
                warn!(%stage, %cause, serving, "rejected {label}");
                let rejection = Rejection { stage, cause: cause.clone() };
                self.shared.history().reject(number, rejection);
                self.save(None);
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
                self.save(None);
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

    /// Makes durable which versions there are, and first a new one's bytes.
    fn save(&self, new: Option<(&Label, &[u8])>) {
        let Some(state_dir) = &self.settings.state else {
            return;
        };
        let current = self.shared.current.version().label.number;
        let (next_number, kept) = {
            let history = self.shared.history();
            (history.next_number(), history.kept())
        };
        let state = State::new(current, next_number, self.considered.clone(), kept);
        let saved = new.map_or(Ok(()), |(label, bytes)| state_dir.save_module(label, bytes));
        if let Err(error) = saved.and_then(|()| state_dir.save(&state)) {
            warn!("the versions would not survive a restart now: {error:#}");
        }
    }

    /// Compiles the other versions that an earlier process has left.
    fn restore(&self, state: &State, current: u64) {
        let Some(state_dir) = &self.settings.state else {
            return;
        };
        for Kept { label, time } in state.versions.iter().filter(|kept| kept.label.number != current) {
            let version = state_dir.module(label).and_then(|bytes| {
                let (engine, mut times) = (&self.settings.engine, Times::default());
                let prepared = activate::prepare(engine, label.clone(), &bytes, &mut times);
                Ok(self.runtime.block_on(prepared)?)
            });
            match version {
                Ok(version) => self.shared.history().restore(Arc::new(version), *time),
                Err(error) => warn!("{label} cannot come back: {error:#}"),
            }
        }
        self.save(None);
    }
}
