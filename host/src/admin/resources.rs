//! How much of what is bounded is in use, for `host status`.

use std::fmt;
use std::sync::Arc;

use bytesize::ByteSize;
use host_wasm::{Calls, Engine};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::admin::listener::UPLOADS_MAX;
use crate::admin::memory_bounds::MemoryBounds;
use crate::config::limits::Limits;
use crate::serve::buffers::Buffers;
use crate::site::swapper::Swapper;
use crate::telemetry::log;

/// Knows how much is in use.
pub struct Gauges {
    /// Knows the calls.
    pub engine: Engine,
    /// The memory for bodies.
    pub buffers: Buffers,
    /// One for each connection that there may be.
    pub places: Arc<Semaphore>,
    /// One for each module that may be received at once.
    pub uploads: Arc<Semaphore>,
    /// Knows the versions that are kept.
    pub swapper: Swapper,
    /// The most that there may be.
    pub limits: Limits,
}

/// How much is in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resources {
    /// Connections that are open.
    pub connections: Used,
    /// Calls that run.
    pub instances: Used,
    /// Calls that wait.
    pub queue: Used,
    /// Modules that are being received, or wait to be prepared.
    pub uploads: Used,
    /// Memory for bodies, in bytes.
    pub buffers: Used,
    /// Memory of the good versions that are kept, in bytes.
    pub kept_versions: Used,
    /// Memory of log lines that wait to be written, in bytes.
    pub log: Used,
    /// The most memory that the limits allow, in all and part by part.
    pub memory: MemoryBounds,
}

/// How much of one thing is in use.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Now.
    pub used: u64,
    /// At the most.
    pub max: u64,
}

impl Gauges {
    /// Tells how much is in use.
    pub fn read(&self) -> Resources {
        let Limits { connections, instances, queue, buffer_max, keep_bytes, .. } = self.limits;
        let of = |max: usize, used: usize| Used { used: used as u64, max: max as u64 };
        let Calls { running, waiting } = self.engine.calls();
        Resources {
            connections: of(connections, taken(&self.places, connections)),
            instances: of(instances, running),
            queue: of(queue, waiting),
            uploads: of(UPLOADS_MAX, taken(&self.uploads, UPLOADS_MAX)),
            buffers: of(buffer_max, self.buffers.used()),
            kept_versions: of(keep_bytes, self.swapper.kept_memory()),
            log: of(log::WAITING_MAX, log::waiting()),
            memory: MemoryBounds::new(&self.limits),
        }
    }
}

/// Returns how many of so many places are taken.
fn taken(places: &Semaphore, max: usize) -> usize {
    max.saturating_sub(places.available_permits())
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources { connections, instances, queue, uploads, buffers, kept_versions, log, memory } = self;
        let counts =
            [("connections", connections), ("calls", instances), ("queue", queue), ("uploads", uploads)];
        for (what, Used { used, max }) in counts {
            writeln!(f, "{what}: {used} of {max}")?;
        }
        let sizes = [("buffers", buffers), ("kept versions", kept_versions), ("log lines that wait", log)];
        for (what, Used { used, max }) in sizes {
            writeln!(f, "{what}: {} of {}", ByteSize(*used), ByteSize(*max))?;
        }
        writeln!(f, "memory that the limits allow: {} ({memory})", ByteSize(memory.sum()))
    }
}
