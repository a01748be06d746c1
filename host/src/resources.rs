//! How much of what is bounded is in use, for `host status`.

use std::fmt;
use std::sync::Arc;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::http::Buffers;
use crate::limits::Limits;
use crate::wasm::{Calls, Engine};

/// Knows how much is in use.
pub struct Gauges {
    /// Knows the calls.
    pub engine: Engine,
    /// The memory for bodies.
    pub buffers: Buffers,
    /// One for each connection that there may be.
    pub places: Arc<Semaphore>,
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
    /// Memory for bodies, in bytes.
    pub buffers: Used,
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
        let Limits { connections, instances, queue, buffer_max, .. } = self.limits;
        let of = |max: usize, used: usize| Used { used: used as u64, max: max as u64 };
        let Calls { running, waiting } = self.engine.calls();
        Resources {
            connections: of(connections, connections.saturating_sub(self.places.available_permits())),
            instances: of(instances, running),
            queue: of(queue, waiting),
            buffers: of(buffer_max, self.buffers.used()),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources { connections, instances, queue, buffers } = self;
        for (what, Used { used, max }) in
            [("connections", connections), ("calls", instances), ("queue", queue)]
        {
            writeln!(f, "{what}: {used} of {max}")?;
        }
        writeln!(f, "buffers: {} of {}", ByteSize(buffers.used), ByteSize(buffers.max))
    }
}
