//! Current use of bounded resources, for `host status`.

use std::fmt;
use std::sync::Arc;

use bytesize::ByteSize;
use host_wasm::{Calls, Engine};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::admin::memory_bounds::{MemoryBounds, UPLOADS_MAX};
use crate::config::limits::Limits;
use crate::serve::buffers::Buffers;
use crate::site::swapper::Swapper;
use crate::telemetry::log;

/// Sources of the current use of resources.
pub struct Gauges {
    /// Counts running and waiting calls.
    pub engine: Engine,
    /// Memory budget of bodies.
    pub buffers: Buffers,
    /// Permits for connections.
    pub places: Arc<Semaphore>,
    /// Permits for uploads.
    pub uploads: Arc<Semaphore>,
    /// Reports the memory of kept versions.
    pub swapper: Swapper,
    /// Limits of the server.
    pub limits: Limits,
}

/// Current use of each resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resources {
    /// Open connections.
    pub connections: Used,
    /// Running calls.
    pub instances: Used,
    /// Waiting calls.
    pub queue: Used,
    /// Uploaded modules being received, waiting or being prepared.
    pub uploads: Used,
    /// Memory of counted bodies, in bytes.
    pub buffers: Used,
    /// Memory of kept versions, in bytes.
    pub kept_versions: Used,
    /// Queued log lines, in bytes.
    pub log: Used,
    /// Most memory that the limits allow, in total and by part.
    pub memory: MemoryBounds,
}

/// Use of one resource.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Used {
    /// Amount in use.
    pub used: u64,
    /// Largest amount allowed.
    pub max: u64,
}

impl Gauges {
    /// Reads the current use of all resources.
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

/// Returns the number of permits taken of `max`.
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
