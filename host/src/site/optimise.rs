//! Optimises the code of versions that serve. A candidate is first compiled quickly, so that it
//! serves soon. Then its module is compiled again with full optimisation, and the new code replaces
//! the first. The version keeps its number.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use host_wasm::{CompiledHandler, Effort, Priority};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::site::activate::Activator;
use crate::site::shared::Shared;
use crate::site::version::Version;

/// Interval at which the optimiser checks whether requests still run on the replaced code.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// Starts to optimise the current version, and cancels all other optimisations, because replaced
/// versions are not worth the work.
pub(super) fn serves(shared: &Arc<Shared>, version: &Arc<Version>) {
    let mut optimising = shared.optimising();
    optimising.end();
    optimising.current = start(shared, version);
}

/// Starts to optimise the candidate of a rollout. The judge compares its times with those of the
/// current version only when both have optimised code.
pub(super) fn tries(shared: &Arc<Shared>, version: &Arc<Version>) {
    let mut optimising = shared.optimising();
    optimising.end_candidate();
    optimising.candidate = start(shared, version);
}

fn start(shared: &Arc<Shared>, version: &Arc<Version>) -> Option<AbortHandle> {
    let file = version.module.unoptimised()?;
    Some(shared.spawn(optimise(Arc::clone(shared), Arc::downgrade(version), file)))
}

async fn optimise(shared: Arc<Shared>, version: Weak<Version>, file: Arc<[u8]>) {
    let since = Instant::now();
    let Activator { engine, compilers, shelf } = &shared.settings.activator;
    let Some((sha256, values)) =
        version.upgrade().map(|version| (version.label.sha256.clone(), Arc::clone(version.module.values())))
    else {
        return;
    };
    let optimised = async {
        let _turn = shelf.turn().await;
        let compiled = match shelf.optimised(&sha256, engine) {
            Some(compiled) => compiled,
            None => {
                CompiledHandler::compile(engine, compilers, &file, Effort::Thorough, Priority::Idle).await?
            }
        };
        shelf.put(&sha256, &compiled);
        anyhow::Ok(compiled.start_quietly(values).await?)
    };
    let optimised = optimised.await;
    // Upgraded only now, so that compiling does not keep a dropped version alive.
    let Some(version) = version.upgrade() else {
        return;
    };
    let number = version.label.number;
    match optimised {
        Ok(module) => {
            let time = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
            let (label, requests) = (version.label.clone(), Arc::clone(&version.requests));
            let better = Arc::new(Version { label, module, requests });
            if shared.versions.replace(&version, better) {
                debug!(site = shared.site(), version = number, %time, "optimised");
                // Holds the version until no request uses it, so that its first code is
                // freed here rather than on a serving thread.
                while Arc::strong_count(&version) > 1 {
                    sleep(RELEASE_INTERVAL).await;
                }
            }
        }
        Err(error) => {
            let cause = format!("{error:#}");
            warn!(site = shared.site(), version = number, %cause, "optimised compilation failed; the version keeps its first code");
        }
    }
}
