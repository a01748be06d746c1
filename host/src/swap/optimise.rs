//! Who compiles a version again once it serves: a candidate is compiled
//! quickly, so that it serves soon, and what came of that is replaced when
//! better code is there. It is the same version before and after.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tracing::debug;

use super::version::Version;
use super::worker::Shared;
use crate::wasm::Unoptimised;

/// How often it looks whether the last request that began on the first code is
/// answered.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// Takes versions that begin to serve.
pub(super) struct Optimiser(Sender<(Weak<Version>, Unoptimised)>);

impl Optimiser {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn start(shared: Weak<Shared>) -> io::Result<Optimiser> {
        let (wanted, inbox) = channel();
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("optimise".into()).spawn(move || run(&runtime, &shared, &inbox))?;
        Ok(Optimiser(wanted))
    }

    /// Says that this version serves from now on.
    pub(super) fn serves(&self, version: &Arc<Version>) {
        if let Some(unoptimised) = version.module.unoptimised() {
            // Without the thread it serves as it is.
            let _ = self.0.send((Arc::downgrade(version), unoptimised));
        }
    }
}

fn run(runtime: &Runtime, shared: &Weak<Shared>, wanted: &Receiver<(Weak<Version>, Unoptimised)>) {
    while let Ok(mut newest) = wanted.recv() {
        // What was replaced meanwhile is not worth the work.
        while let Ok(newer) = wanted.try_recv() {
            newest = newer;
        }
        let (version, unoptimised) = newest;
        let since = Instant::now();
        let optimised = async { anyhow::Ok(unoptimised.optimise()?.start().await?) };
        let optimised = runtime.block_on(optimised);
        let (Some(shared), Some(version)) = (shared.upgrade(), version.upgrade()) else {
            continue;
        };
        let module = match optimised {
            Ok(module) => module,
            Err(error) => {
                debug!(version = version.label.number, %error, "not optimised");
                continue;
            }
        };
        let time = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
        debug!(version = version.label.number, %time, "optimised");
        let better = Arc::new(Version { label: version.label.clone(), module });
        let replaced = shared.replace(&version, better);
        drop(shared);
        // Its first code is given back here, not on a thread that serves.
        while replaced && Arc::strong_count(&version) > 1 {
            thread::sleep(RELEASE_INTERVAL);
        }
    }
}
