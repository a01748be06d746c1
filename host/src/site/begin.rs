//! Chooses the version that serves first after the start: the one that served when an earlier
//! process ended, or the one that the command line or the configuration names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use host_wasm::Priority;
use tracing::warn;

use crate::config::swap::SwapLimits;
use crate::site::activate::{Activator, Times};
use crate::site::demand::Demand;
use crate::site::handed::Handed;
use crate::site::history::History;
use crate::site::saved::State;
use crate::site::state_dir::{Left, StateDir};
use crate::site::store;
use crate::site::version::{Candidate, Label, Origin, Version, hint};

/// Version that serves first, and the state that an earlier process has saved.
pub struct Beginning {
    /// First version. It was compiled, checked and started, and has passed the probes.
    pub version: Version,
    /// Bytes of the first version.
    pub file: Arc<[u8]>,
    /// History of versions. It contains the first version as a candidate, unless that version was
    /// restored.
    pub history: History,
    /// Requirements of the configuration: source of the handler, values, probes, gate and plan.
    pub demand: Demand,
    /// State folder, if there is one.
    pub dir: Option<StateDir>,
    /// State that an earlier process has saved. It may contain the first version.
    pub left: Option<State>,
    /// Versions that the previous process has handed over in an upgrade; [`None`] after an ordinary
    /// start.
    pub taken_over: Option<TakenOver>,
}

/// Versions that the previous process has handed over in an upgrade. Until
/// [`Swapper::go_on`](crate::site::swapper::Swapper::go_on), only the previous process accepts
/// changes.
pub struct TakenOver {
    /// Labels and modules of the versions that are not in the state folder.
    pub files: Vec<(Label, Arc<[u8]>)>,
    /// Version that the current version has replaced, and to which a rollback goes; [`None`] if
    /// there is none, or if it could not be prepared.
    pub before: Option<Version>,
}

/// Prepares the versions that the previous process hands over in an upgrade: the current version,
/// which must be able to serve, and the version to which a rollback goes.
///
/// # Errors
///
/// One line that names the version that cannot serve, and why.
pub async fn go_on(
    activator: &Activator,
    limits: &SwapLimits,
    demand: Demand,
    dir: Option<StateDir>,
    Handed { mut state, files }: Handed,
) -> anyhow::Result<Beginning> {
    state.correct_origins();
    let mut history = History::new(limits, dir.is_none());
    history.count_from(state.next_number);
    let current = state.versions.iter().map(|kept| &kept.label).find(|label| label.number == state.current);
    let label = current.context("the current version was not handed over")?;
    let prepared = prepare(activator, &demand, &files, dir.as_ref(), label).await;
    let (version, file) = prepared.with_context(|| format!("cannot go on with version {}", label.number))?;
    // A rollback has to work from the first moment on.
    let replaced = state.versions.iter().find(|kept| kept.label == *label).and_then(|kept| kept.replaced);
    let replaced = state.versions.iter().map(|kept| &kept.label).find(|label| Some(label.number) == replaced);
    let before = match replaced {
        Some(label) => prepare(activator, &demand, &files, dir.as_ref(), label).await.ok(),
        None => None,
    };
    let before = before.map(|(version, _)| version);
    if let Some(dir) = &dir {
        dir.go_on(&state);
    }
    let taken_over = Some(TakenOver { files, before });
    Ok(Beginning { version, file, history, demand, dir, left: Some(state), taken_over })
}

/// Loads the first version: from the state folder, or else from the module file, or else the
/// embedded handler. Compiles, checks and starts it, and sends the probes.
///
/// # Errors
///
/// One line that names the module that cannot serve, and why.
pub async fn begin(
    activator: &Activator,
    limits: &SwapLimits,
    demand: Demand,
    dir: Option<StateDir>,
) -> anyhow::Result<Beginning> {
    let mut history = History::new(limits, dir.is_none());
    let Left { state: left, next_number } = dir.as_ref().map(StateDir::load).transpose()?.unwrap_or_default();
    history.count_from(next_number);
    if let (Some(folder), Some(state)) = (&dir, &left)
        && let Some((version, file)) = restore(activator, &demand, folder, state).await
    {
        return Ok(Beginning { version, file, history, demand, dir, left, taken_over: None });
    }
    let origin = demand.file.clone().map_or(Origin::Embedded, Origin::Path);
    let context = format!("cannot serve {origin}");
    let file = demand.file.as_deref().unwrap_or(Path::new(""));
    let bytes = origin.read(limits.module_max).map_err(hint(file)).with_context(|| context.clone())?;
    let candidate = Candidate::new(origin, bytes);
    let label = history.begin(&candidate);
    let mut times = Times::default();
    let prepared = activator.prepare(label, &candidate.bytes, &demand, None, Priority::Awaited, &mut times);
    let version = prepared.await;
    let version = version.map_err(|rejection| match rejection.remedy {
        Some(remedy) => anyhow!("{} (remedy: {remedy})", rejection.cause),
        None => anyhow!(rejection.cause),
    });
    let version = version.context(context)?;
    Ok(Beginning { version, file: candidate.bytes, history, demand, dir, left, taken_over: None })
}

/// Prepares the version that served when an earlier process ended, or else the newest
/// saved version that can serve.
async fn restore(
    activator: &Activator,
    demand: &Demand,
    dir: &StateDir,
    left: &State,
) -> Option<(Version, Arc<[u8]>)> {
    for label in left.preferred() {
        match prepare(activator, demand, &[], Some(dir), label).await {
            Ok(found) => return Some(found),
            Err(error) => warn!("{label} cannot be restored: {error:#}"),
        }
    }
    None
}

/// Prepares a version that an earlier process has saved or handed over. Returns the version with
/// the bytes of its module.
async fn prepare(
    activator: &Activator,
    demand: &Demand,
    files: &[(Label, Arc<[u8]>)],
    dir: Option<&StateDir>,
    label: &Label,
) -> anyhow::Result<(Version, Arc<[u8]>)> {
    let file = store::module(files, dir, label)?;
    let (label, mut times) = (label.clone(), Times::default());
    let version = activator.prepare(label, &file, demand, None, Priority::Awaited, &mut times).await?;
    Ok((version, file))
}
