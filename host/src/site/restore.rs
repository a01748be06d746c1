//! What goes on behind the version that serves: the others of an earlier process
//! come back, and those that are no longer kept are given up.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;
use tracing::warn;

use crate::site::activate::Times;
use crate::site::state_dir::Kept;
use crate::site::swapper::Shared;

/// How often it is looked whether a version that is no longer kept has answered
/// its last request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// Brings back the versions of an earlier process, newest first, and makes
/// durable what there is.
pub(super) async fn restore(shared: Arc<Shared>) {
    for kept in shared.store.left().into_iter().rev() {
        if !shared.versions.history().has_room() {
            // As many as may be kept are here, and newer.
            shared.store.is_back(kept.label.number);
            continue;
        }
        match bring_back(&shared, &kept).await {
            Ok(()) => shared.store.is_back(kept.label.number),
            Err(error) => warn!("{} cannot come back: {error:#}", kept.label),
        }
    }
    shared.save(|store| store.save(&shared.versions));
}

async fn bring_back(shared: &Shared, kept: &Kept) -> anyhow::Result<()> {
    let dir = shared.store.dir().context("there is no state folder")?;
    let file = dir.module(&kept.label)?.into();
    let compiled = shared.versions.history().compiled(&kept.label.sha256);
    let version = shared.workshop.prepare(kept.label.clone(), &file, compiled, &mut Times::default()).await?;
    shared.versions.history().restore(Arc::new(version), kept);
    Ok(())
}

/// Drops versions that are no longer kept once they have answered their last
/// request.
pub(super) async fn release(shared: Arc<Shared>) {
    loop {
        match shared.versions.release() {
            true => sleep(RELEASE_INTERVAL).await,
            false => shared.left.notified().await,
        }
    }
}
