//! Stages that a candidate passes, and the [`Activator`], which carries out those from `Compile` to
//! `Probe`. It does not run on threads that serve requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_wasm::{CallError, CompiledHandler, Compilers, Effort, Engine, Priority};
use serde::Serialize;
use thiserror::Error;

use crate::site::demand::Demand;
use crate::site::remedy::{self, Language};
use crate::site::shelf::Shelf;
use crate::site::version::{Label, Version};
use crate::trial::probe::Probe;

/// Stages of activation, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reads the file.
    #[default]
    Read,
    /// Validates and compiles the code.
    Compile,
    /// Checks exports and imports against the contract.
    Check,
    /// Instantiates and initialises the module.
    Start,
    /// Sends the operator's probes and checks the responses.
    Probe,
    /// Runs recent requests, and compares the answers with those of the current version.
    Replay,
    /// Sends copies of requests to the version.
    Shadow,
    /// Lets the version answer a share of the clients.
    Canary,
    /// Writes the version to the state folder, if `--require-durable` demands it.
    Save,
    /// Watches the version for some time after it was published.
    Watch,
}

/// Reason why a candidate was rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{stage}: {cause}")]
pub struct Rejection {
    /// Stage that failed.
    pub stage: Stage,
    /// What was found, and what was expected.
    pub cause: String,
    /// What to change in the module, or in the limits, so that the candidate passes.
    pub remedy: Option<String>,
    /// Whether the failure may be temporary. If so, the same file is tried again when it is read
    /// the next time.
    pub is_passing: bool,
}

/// Time of each completed stage, and the stage in progress.
#[derive(Debug, Default)]
pub struct Times {
    /// Stage in progress, or the last one that ran.
    pub stage: Stage,
    taken: Vec<(Stage, Duration)>,
}

impl Times {
    /// Runs one stage, and records its time if it succeeds.
    pub async fn measure<T, E>(
        &mut self,
        stage: Stage,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.stage = stage;
        let since = Instant::now();
        let done = work.await?;
        self.taken.push((stage, since.elapsed()));
        Ok(done)
    }

    /// Runs one synchronous stage, and records its time if it succeeds.
    pub fn measure_here<T, E>(&mut self, stage: Stage, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.stage = stage;
        let since = Instant::now();
        let done = work()?;
        self.taken.push((stage, since.elapsed()));
        Ok(done)
    }

    /// Returns the completed stages with their times.
    pub fn taken(&self) -> &[(Stage, Duration)] {
        &self.taken
    }

    /// Creates a rejection in the stage in progress, with this cause and without a remedy.
    pub fn rejection(&self, cause: impl Into<String>) -> Rejection {
        Rejection { stage: self.stage, cause: cause.into(), remedy: None, is_passing: false }
    }
}

/// Compiles, checks and starts candidates, and sends the probes to them.
#[derive(Clone)]
pub struct Activator {
    /// Engine that runs the candidates.
    pub engine: Engine,
    /// Compiler processes.
    pub compilers: Compilers,
    /// Compiled modules that all sites of the server share.
    pub shelf: Shelf,
}

impl Activator {
    /// Compiles a candidate, checks it against the contract, starts it once, and sends the probes.
    /// Only compiling has a lower priority than serving: calls of the candidate have a deadline,
    /// which they must not miss because the server is busy.
    ///
    /// `compiled` is the result of an earlier compilation of the same bytes, if there is one. If
    /// neither it nor the shelf has a result, the bytes are compiled at `priority`.
    ///
    /// # Errors
    ///
    /// The rejection: the stage that failed, and the cause.
    pub async fn prepare(
        &self,
        label: Label,
        file: &Arc<[u8]>,
        demand: &Demand,
        compiled: Option<CompiledHandler>,
        priority: Priority,
        times: &mut Times,
    ) -> Result<Version, Rejection> {
        let compiled = match compiled.or_else(|| self.shelf.get(&label.sha256, &self.engine)) {
            Some(compiled) => compiled,
            None => self.compile(file, priority, times).await?,
        };
        self.shelf.put(&label.sha256, &compiled);
        if !demand.values.is_empty() && !compiled.takes_values() {
            times.stage = Stage::Check;
            return Err(Rejection {
                remedy: Some(remedy::TAKE_VALUES.into()),
                ..times.rejection(remedy::NO_CONFIGURE)
            });
        }
        let values = Arc::clone(&demand.values);
        let lacks_values = values.is_empty() && compiled.takes_values();
        let kind = compiled.kind();
        let started = times.measure(Stage::Start, compiled.start(values)).await;
        let module = started.map_err(|error| Rejection {
            is_passing: matches!(
                error,
                CallError::Busy { .. } | CallError::CandidatesBusy { .. } | CallError::NoInstance { .. }
            ),
            remedy: Some(remedy::of_start(kind, &error, lacks_values)),
            ..times.rejection(format!("the module does not start: {error}"))
        })?;
        let version = Version { label, module, requests: Arc::default() };
        let probed = times.measure(Stage::Probe, probe(&version, &demand.probes)).await;
        probed.map_err(|error| times.rejection(error.to_string()))?;
        Ok(version)
    }

    async fn compile(
        &self,
        file: &Arc<[u8]>,
        priority: Priority,
        times: &mut Times,
    ) -> Result<CompiledHandler, Rejection> {
        let work = CompiledHandler::compile(&self.engine, &self.compilers, file, Effort::Quick, priority);
        let error = match times.measure(Stage::Compile, work).await {
            Ok(compiled) => return Ok(compiled),
            Err(error) => error,
        };
        let stage = if error.is_about_the_contract() { Stage::Check } else { Stage::Compile };
        // Only a valid module says what it was made with.
        let language = match stage {
            Stage::Check => {
                self.compilers.inspect(file).await.map_or(Language::Unknown, |found| Language::of(&found))
            }
            _ => Language::Unknown,
        };
        let remedy = Some(remedy::of_module(&error, language));
        Err(Rejection { stage, cause: error.to_string(), remedy, is_passing: error.is_passing() })
    }
}

/// Sends the probes to a version.
///
/// # Errors
///
/// Which probe was not answered as expected, and how.
pub(super) async fn probe(version: &Version, probes: &[Probe]) -> anyhow::Result<()> {
    for probe in probes {
        probe.send(&version.module).await?;
    }
    Ok(())
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (stage, time)) in self.taken.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{stage} {:.1} ms", time.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
