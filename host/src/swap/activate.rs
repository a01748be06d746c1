//! What a candidate goes through before it may serve, stage by stage. Nothing
//! here runs on a thread that serves.

use std::fmt;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::version::{Label, Version};
use crate::http::Probe;
use crate::wasm::{CompiledModule, Effort, Engine};

/// The stages, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its file is read whole.
    Read,
    /// Its code is validated and compiled.
    Compile,
    /// Its exports and imports are held against the contract.
    Check,
    /// It is instantiated, and initialised.
    Start,
    /// It is called, with requests that the operator chose.
    Probe,
}

/// Why a candidate does not serve.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{stage}: {cause}")]
pub struct Rejection {
    /// Where it failed.
    pub stage: Stage,
    /// What happened there, and what was expected.
    pub cause: String,
}

/// How long each stage took.
#[derive(Debug, Default)]
pub struct Times(Vec<(Stage, Duration)>);

impl Times {
    /// Takes the time of one stage, from `since` until now.
    pub fn add(&mut self, stage: Stage, since: Instant) {
        self.0.push((stage, since.elapsed()));
    }
}

/// Compiles a candidate, checks it against the contract, and starts it once.
/// Only compiling gives way to those who serve: a candidate's calls have a
/// deadline, which they must not miss because the server is busy.
///
/// Where it is known what the bytes were compiled to before, that is taken.
///
/// # Errors
///
/// [`Rejection`] names the stage and the cause.
pub async fn prepare(
    engine: &Engine,
    label: Label,
    bytes: &[u8],
    compiled: Option<CompiledModule>,
    times: &mut Times,
) -> Result<Version, Rejection> {
    let compiled = match compiled {
        Some(compiled) => compiled,
        None => compile(engine, bytes, times)?,
    };

    let since = Instant::now();
    let started = compiled.start().await;
    let module = started
        .map_err(|error| Rejection { stage: Stage::Start, cause: format!("it does not start: {error}") })?;
    times.add(Stage::Start, since);
    Ok(Version { label, module })
}

fn compile(engine: &Engine, bytes: &[u8], times: &mut Times) -> Result<CompiledModule, Rejection> {
    let since = Instant::now();
    let compiled = CompiledModule::new(engine, bytes, Effort::Quick).map_err(|error| {
        let stage = if error.is_about_the_contract() { Stage::Check } else { Stage::Compile };
        Rejection { stage, cause: error.to_string() }
    })?;
    times.add(Stage::Compile, since);
    Ok(compiled)
}

/// Calls a candidate with each of the probes.
///
/// # Errors
///
/// [`Rejection`] names the first probe whose answer was not the expected one.
pub async fn probe(version: &Version, probes: &[Probe], times: &mut Times) -> Result<(), Rejection> {
    let since = Instant::now();
    for probe in probes {
        let answer = probe.send(&version.module).await;
        answer.map_err(|error| Rejection { stage: Stage::Probe, cause: error.to_string() })?;
    }
    times.add(Stage::Probe, since);
    Ok(())
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Read => "read",
            Stage::Compile => "compile",
            Stage::Check => "check",
            Stage::Start => "start",
            Stage::Probe => "probe",
        })
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (stage, time)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{stage} {:.1} ms", time.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}
