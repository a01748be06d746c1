//! Which version is the first after the start: the one that served when an
//! earlier process ended, or the one that was asked for.

use std::path::Path;

use anyhow::{Context, anyhow};
use tracing::warn;

use super::activate::{self, Times};
use super::history::History;
use super::state_dir::{State, StateDir};
use super::swapper::Beginning;
use super::version::{Label, Origin};
use crate::limits::Limits;
use crate::wasm::Engine;

/// Loads the first version: from the folder for the state, or else from its
/// file, or else the embedded one. It has to start, and is not probed: there is
/// none that it would replace.
///
/// # Errors
///
/// One line: which module, and what is wrong with it.
pub async fn begin(
    engine: &Engine,
    limits: &Limits,
    module: Option<&Path>,
    state: Option<&StateDir>,
) -> anyhow::Result<Beginning> {
    if let Some((dir, state)) = state.and_then(|dir| Some((dir, dir.load()?)))
        && let Some(beginning) = restore(engine, limits, dir, state).await
    {
        return Ok(beginning);
    }
    let mut history = History::new(limits.keep);
    let origin = module.map_or(Origin::Embedded, |path| Origin::Path(path.to_owned()));
    let context = format!("cannot serve {origin}");
    let bytes = origin.read(limits.module_max).with_context(|| context.clone())?;
    let label = history.begin(origin, &bytes);
    let version = activate::prepare(engine, label, &bytes, &mut Times::default()).await;
    let version = version.map_err(|rejection| anyhow!(rejection.cause)).context(context)?;
    Ok(Beginning { version, bytes, history, restored: None })
}

/// Of what an earlier process has left, the version that served, or else the
/// newest that can serve.
async fn restore(engine: &Engine, limits: &Limits, dir: &StateDir, state: State) -> Option<Beginning> {
    let mut labels: Vec<Label> = state.versions.iter().rev().map(|kept| kept.label.clone()).collect();
    labels.sort_by_key(|label| label.number != state.current);
    for label in labels {
        let prepared = async {
            let bytes = dir.module(&label)?;
            let version = activate::prepare(engine, label.clone(), &bytes, &mut Times::default()).await?;
            anyhow::Ok((version, bytes))
        };
        match prepared.await {
            Ok((version, bytes)) => {
                let mut history = History::new(limits.keep);
                history.count_from(state.next_number);
                return Some(Beginning { version, bytes, history, restored: Some(state) });
            }
            Err(error) => warn!("{label} cannot come back: {error:#}"),
        }
    }
    None
}
