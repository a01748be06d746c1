//! Who compiles a version again once it serves: a candidate is compiled
//! quickly, so that it serves soon, and what came of that is replaced when
//! better code is there. It is the same version before and after.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};
use tracing::debug;

use super::version::Version;
use super::versions::Versions;
use crate::wasm::Unoptimised;

/// How often it looks whether the last request that began on the first code is
/// answered.
const RELEASE_INTERVAL: Duration = Duration::from_millis(20);

/// Takes versions that begin to serve.
pub(super) struct Optimiser(Sender<(Weak<Version>, Unoptimised)>);

impl Optimiser {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn start(versions: Weak<Versions>) -> io::Result<Optimiser> {
        let (wanted, inbox) = channel();
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        thread::Builder::new().name("optimise".into()).spawn(move || run(&runtime, &versions, &inbox))?;
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

fn run(runtime: &Runtime, versions: &Weak<Versions>, wanted: &Receiver<(Weak<Version>, Unoptimised)>) {
    // Versions with their first code, of which the last may end here, and not on
    // a thread that serves.
    let mut leaving: Vec<Arc<Version>> = Vec::new();
    loop {
        leaving.retain(|version| Arc::strong_count(version) > 1);
        let next = match leaving.is_empty() {
            true => wanted.recv().map_err(RecvTimeoutError::from),
            false => wanted.recv_timeout(RELEASE_INTERVAL),
        };
        let mut newest = match next {
            Ok(version) => version,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // What was replaced meanwhile is not worth the work.
        while let Ok(newer) = wanted.try_recv() {
            newest = newer;
        }
        let (version, unoptimised) = newest;
        if version.strong_count() == 0 {
            continue;
        }
        let since = Instant::now();
        let optimised = async { anyhow::Ok(unoptimised.optimise()?.start_quietly().await?) };
        let optimised = runtime.block_on(optimised);
        let (Some(versions), Some(version)) = (versions.upgrade(), version.upgrade()) else {
            continue;
        };
        match optimised {
            Ok(module) => {
                let time = format!("{:.1} ms", since.elapsed().as_secs_f64() * 1e3);
                debug!(version = version.label.number, %time, "optimised");
                let better = Arc::new(Version { label: version.label.clone(), module });
                if versions.replace(&version, better) {
                    leaving.push(version);
                }
            }
            Err(error) => debug!(version = version.label.number, %error, "not optimised"),
        }
    }
}
