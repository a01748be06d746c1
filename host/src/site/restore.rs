//! Background work on the swap thread: restores the other versions of an earlier process
//! after the first one, and frees versions that are no longer kept.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use host_wasm::Priority;
use tokio::time::sleep;
use tracing::warn;

use crate::site::activate::Times;
use crate::site::shared::Shared;
use crate::site::state_dir::Kept;

/// Interval of checks whether a version that is no longer kept has answered its
/// last request.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// Restores the versions of an earlier process, newest first, then saves the state.
pub(super) async fn restore(shared: Arc<Shared>) {
    for kept in shared.store.left().into_iter().rev() {
        if !shared.versions.history().has_room() {
            // Forgets the version, because newer ones fill the limits already.
            shared.store.loaded(kept.label.number);
            continue;
        }
        match restore_one(&shared, &kept).await {
            Ok(()) => shared.store.loaded(kept.label.number),
            Err(error) => warn!(site = shared.site(), "{} cannot be restored: {error:#}", kept.label),
        }
    }
    shared.save(|store| store.save(&shared.versions));
}

async fn restore_one(shared: &Shared, kept: &Kept) -> anyhow::Result<()> {
    let dir = shared.store.dir().context("there is no state folder")?;
    let file = dir.module(&kept.label)?.into();
    let compiled = shared.versions.history().compiled(&kept.label.sha256);
    let activator = &shared.settings.activator;
    let (label, mut times) = (kept.label.clone(), Times::default());
    let demand = shared.demand();
    let version = activator.prepare(label, &file, &demand, compiled, Priority::Idle, &mut times);
    let version = version.await?;
    shared.versions.history().restore(Arc::new(version), kept);
    Ok(())
}

/// Frees each version that is no longer kept once its last request is answered.
pub(super) async fn release(shared: Arc<Shared>) {
    loop {
        match shared.versions.release() {
            true => sleep(RELEASE_INTERVAL).await,
            false => shared.left.notified().await,
        }
    }
}
