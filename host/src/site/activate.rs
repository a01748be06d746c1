//! What a candidate goes through before it may serve, stage by stage. Nothing
//! here runs on a thread that serves.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_wasm::{CallError, CompiledModule, Compilers, Effort, Engine, Priority};
use thiserror::Error;

use crate::site::version::{Label, Version};
use crate::trial::probe::Probe;

/// The stages, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Its file is read whole.
    #[default]
    Read,
    /// Its code is validated and compiled.
    Compile,
    /// Its exports and imports are held against the contract.
    Check,
    /// It is instantiated, and initialised.
    Start,
    /// It is called, with requests that the operator chose.
    Probe,
    /// It is made durable, where it may not serve otherwise.
    Save,
}

/// Why a candidate does not serve.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{stage}: {cause}")]
pub struct Rejection {
    /// Where it failed.
    pub stage: Stage,
    /// What happened there, and what was expected.
    pub cause: String,
    /// Whether the same bytes may do better another time: it was not they that
    /// failed.
    pub is_passing: bool,
}

/// How long each stage took, and which one is in progress.
#[derive(Debug, Default)]
pub struct Times {
    /// The stage in progress, or the last.
    pub stage: Stage,
    taken: Vec<(Stage, Duration)>,
}

impl Times {
    /// Does the work of one stage, and takes its time when that has succeeded.
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

    /// Does the same with work that waits for nothing.
    pub fn measure_here<T, E>(&mut self, stage: Stage, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.stage = stage;
        let since = Instant::now();
        let done = work()?;
        self.taken.push((stage, since.elapsed()));
        Ok(done)
    }

    /// Says that the stage in progress has failed.
    pub fn rejection(&self, cause: impl Into<String>) -> Rejection {
        Rejection { stage: self.stage, cause: cause.into(), is_passing: false }
    }
}

/// What prepares candidates.
#[derive(Clone)]
pub struct Workshop {
    /// Runs them.
    pub engine: Engine,
    /// Compiles them.
    pub compilers: Compilers,
    /// What each is called with before it serves.
    pub probes: Arc<[Probe]>,
}

impl Workshop {
    /// Compiles a candidate, checks it against the contract, starts it once, and
    /// calls it with the probes. Only compiling gives way to those who serve: a
    /// candidate's calls have a deadline, which they must not miss because the
    /// server is busy.
    ///
    /// `compiled` is what the bytes were compiled to before, where that is known.
    ///
    /// # Errors
    ///
    /// The stage that it failed in, and the cause.
    pub async fn prepare(
        &self,
        label: Label,
        file: &Arc<[u8]>,
        compiled: Option<CompiledModule>,
        times: &mut Times,
    ) -> Result<Version, Rejection> {
        let compiled = match compiled {
            Some(compiled) => compiled,
            None => self.compile(file, times).await?,
        };
        let started = times.measure(Stage::Start, compiled.start()).await;
        let module = started.map_err(|error| Rejection {
            is_passing: matches!(error, CallError::Busy { .. } | CallError::NoInstance { .. }),
            ..times.rejection(format!("it does not start: {error}"))
        })?;
        let version = Version { label, module };
        let probed = times.measure(Stage::Probe, async {
            for probe in self.probes.iter() {
                probe.send(&version.module).await?;
            }
            Ok(())
        });
        probed
            .await
            .map_err(|error: crate::trial::probe::ProbeFailure| times.rejection(error.to_string()))?;
        Ok(version)
    }

    async fn compile(&self, file: &Arc<[u8]>, times: &mut Times) -> Result<CompiledModule, Rejection> {
        let work =
            CompiledModule::compile(&self.engine, &self.compilers, file, Effort::Quick, Priority::Awaited);
        times.measure(Stage::Compile, work).await.map_err(|error| {
            let stage = if error.is_about_the_contract() { Stage::Check } else { Stage::Compile };
            Rejection { stage, cause: error.to_string(), is_passing: error.is_passing() }
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Read => "read",
            Stage::Compile => "compile",
            Stage::Check => "check",
            Stage::Start => "start",
            Stage::Probe => "probe",
            Stage::Save => "save",
        })
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
