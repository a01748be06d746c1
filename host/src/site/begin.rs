//! Chooses the first version after the start: the one that served when an earlier
//! process ended, or the one that the command line names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tracing::warn;

use crate::config::limits::Limits;
use crate::site::activate::{Times, Workshop};
use crate::site::history::History;
use crate::site::state_dir::{State, StateDir};
use crate::site::swapper::Beginning;
use crate::site::version::{Label, Origin, Version, hash};

/// Loads the first version from the state folder, else from its file, else the
/// embedded one. The version passes all stages of a swap.
///
/// # Errors
///
/// One line: which module cannot serve, and why.
pub async fn begin(
    workshop: &Workshop,
    limits: &Limits,
    module: Option<&Path>,
    state: Option<&StateDir>,
) -> anyhow::Result<Beginning> {
    let mut history = History::new(limits);
    let left = state.map(StateDir::load).transpose()?.flatten();
    if let (Some(dir), Some(left)) = (state, &left) {
        history.count_from(left.next_number);
        if let Some((version, file)) = restore(workshop, dir, left).await {
            return Ok(Beginning { version, file, history, left: Some(left.clone()) });
        }
    }
    let origin = module.map_or(Origin::Embedded, |path| Origin::Path(path.to_owned()));
    let context = format!("cannot serve {origin}");
    let file: Arc<[u8]> = origin.read(limits.module_max).with_context(|| context.clone())?.into();
    let label = history.begin(origin, file.len(), hash(&file));
    let version = workshop.prepare(label, &file, None, &mut Times::default()).await;
    let version = version.map_err(|rejection| anyhow!(rejection.cause)).context(context)?;
    Ok(Beginning { version, file, history, left })
}

/// Returns the version that served when an earlier process ended, or else the
/// newest one that can serve.
async fn restore(workshop: &Workshop, dir: &StateDir, left: &State) -> Option<(Version, Arc<[u8]>)> {
    let mut labels: Vec<&Label> = left.versions.iter().rev().map(|kept| &kept.label).collect();
    labels.sort_by_key(|label| label.number != left.current);
    for label in labels {
        let prepared = async {
            let file = dir.module(label)?.into();
            let version = workshop.prepare(label.clone(), &file, None, &mut Times::default()).await?;
            anyhow::Ok((version, file))
        };
        match prepared.await {
            Ok(found) => return Some(found),
            Err(error) => warn!("{label} cannot be restored: {error:#}"),
        }
    }
    None
}
