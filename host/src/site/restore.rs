//! Background work on the swap thread: continues the rollout of an earlier server process, restores
//! the versions of that process that are not loaded yet, and frees dropped versions.

use std::sync::Arc;
use std::time::Duration;

use host_wasm::Priority;
use tokio::time::sleep;
use tracing::warn;

use crate::rollout::report::accept::Accept;
use crate::site::activate::Times;
use crate::site::by::By;
use crate::site::saved::Kept;
use crate::site::shared::Shared;
use crate::site::version::Version;

/// Interval at which the server checks whether dropped versions still answer requests.
const RELEASE_INTERVAL: Duration = Duration::from_millis(100);

/// Continues the rollout of an earlier server process, then restores the other versions of that
/// process, newest first, and saves the state.
pub(super) async fn restore(shared: Arc<Shared>) {
    // First, because clients wait for its candidate.
    continue_rollout(&shared).await;
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

/// Continues the rollout of an earlier server process. Begins the phase again that was in progress.
/// Ends the rollout if its candidate, or the version that was current in that process, cannot be
/// restored.
async fn continue_rollout(shared: &Arc<Shared>) {
    let Some(saved) = shared.versions.history().rollout().cloned() else { return };
    let number = saved.kept.label.number;
    let loaded = load(shared, &saved.kept, Priority::Awaited).await;
    shared.changes.beside(|| {
        let is_wanted = shared.versions.history().rollout().is_some_and(|now| now.kept == saved.kept);
        let serving = shared.versions.current().label.number;
        match loaded {
            // A newer change has ended it meanwhile.
            _ if !is_wanted => {}
            Ok((version, file)) if serving == saved.before => {
                shared.start_rollout(Arc::new(version), &file, saved, Accept::default(), By::Restart);
            }
            Ok(_) => {
                let cause = format!("version {} does not serve any more", saved.before);
                shared.end_rollout_for(&cause, By::Restart);
            }
            Err(error) => {
                let cause = format!("{error:#}");
                warn!(site = shared.site(), version = number, cause, "the rollout cannot go on");
                shared.end_rollout_for(&cause, By::Restart);
            }
        }
    });
}

async fn restore_one(shared: &Shared, kept: &Kept) -> anyhow::Result<()> {
    let (version, _) = load(shared, kept, Priority::Idle).await?;
    shared.versions.history().restore(Arc::new(version), kept);
    Ok(())
}

/// Prepares a version that an earlier server process has saved or handed over. Returns the version
/// and the bytes of its module.
async fn load(shared: &Shared, kept: &Kept, priority: Priority) -> anyhow::Result<(Version, Arc<[u8]>)> {
    let file = shared.store.module(&kept.label)?;
    let compiled = shared.versions.history().compiled(&kept.label.sha256);
    let activator = &shared.settings.activator;
    let (label, mut times) = (kept.label.clone(), Times::default());
    let demand = shared.demand();
    let version = activator.prepare(label, &file, &demand, compiled, priority, &mut times);
    Ok((version.await?, file))
}

/// Frees each dropped version once its last request is answered. Runs as long as the site exists.
pub(super) async fn release(shared: Arc<Shared>) {
    loop {
        match shared.versions.release() {
            true => sleep(RELEASE_INTERVAL).await,
            false => shared.left.notified().await,
        }
    }
}
