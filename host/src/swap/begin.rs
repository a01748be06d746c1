//! Which version is the first after the start: the one that served when an
//! earlier process ended, or the one that was asked for.

use std::path::Path;

use anyhow::{Context, anyhow};
use tracing::warn;

use super::activate::{self, Times};
use super::history::History;
use super::state_dir::{State, StateDir};
use super::swapper::Beginning;
use super::version::{Label, Origin, Version};
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
    let mut history = History::new(limits.keep);
    let left = state.and_then(StateDir::load);
    if let (Some(dir), Some(left)) = (state, &left) {
        history.count_from(left.next_number);
        if let Some((version, bytes)) = restore(engine, dir, left).await {
            return Ok(Beginning { version, bytes, history, left: Some(left.clone()) });
        }
    }
    let origin = module.map_or(Origin::Embedded, |path| Origin::Path(path.to_owned()));
    let context = format!("cannot serve {origin}");
    let bytes = origin.read(limits.module_max).with_context(|| context.clone())?;
    let label = history.begin(origin, &bytes);
    let version = activate::prepare(engine, label, &bytes, None, &mut Times::default()).await;
    let version = version.map_err(|rejection| anyhow!(rejection.cause)).context(context)?;
    Ok(Beginning { version, bytes, history, left })
}

/// Of what an earlier process has left, the version that served, or else the
/// newest that can serve.
async fn restore(engine: &Engine, dir: &StateDir, left: &State) -> Option<(Version, Vec<u8>)> {
    let mut labels: Vec<&Label> = left.versions.iter().rev().map(|kept| &kept.label).collect();
    labels.sort_by_key(|label| label.number != left.current);
    for label in labels {
        let prepared = async {
            let bytes = dir.module(label)?;
            let version =
                activate::prepare(engine, label.clone(), &bytes, None, &mut Times::default()).await?;
            anyhow::Ok((version, bytes))
        };
        match prepared.await {
            Ok(found) => return Some(found),
            Err(error) => warn!("{label} cannot come back: {error:#}"),
        }
    }
    None
}
