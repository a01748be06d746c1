//! Current use of bounded resources, for `host status`.

use std::fmt;

use bytesize::ByteSize;
use host_wasm::{Calls, Engine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::admin::memory_bounds::{MemoryBounds, UPLOADS_MAX};
use crate::config::limits::Limits;
use crate::serve::app::App;
use crate::telemetry::{log, log_queue};

/// Current use of each resource.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Number of open connections to the handler.
    pub connections: Used,
    /// Number of running calls of handlers.
    pub instances: Used,
    /// Number of calls of handlers that wait in the queues.
    pub queue: Used,
    /// Number of uploaded modules that are being received or prepared.
    pub uploads: Used,
    /// Memory of the bodies that count towards `--buffer-max`, in bytes.
    pub buffers: Used,
    /// Memory of the kept versions of all sites, in bytes.
    pub kept_versions: Used,
    /// Memory of the journals of all sites, in bytes.
    pub journals: Used,
    /// Size of the log lines that wait to be written, in bytes.
    pub log: Used,
    /// Maximum memory that the limits allow, by part.
    pub memory: MemoryBounds,
}

/// Use of one resource.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    /// Amount of the resource in use.
    pub used: u64,
    /// Maximum amount of the resource.
    pub max: u64,
}

impl Resources {
    /// Reads the current use of all resources.
    pub fn read(app: &App, engine: &Engine, uploads: &Semaphore) -> Resources {
        let limits = app.limits();
        let Limits { server, call, .. } = &limits;
        let of = |max: usize, used: usize| Used { used: used as u64, max: max as u64 };
        let Calls { running, waiting } = engine.calls();
        let sites = app.sites.get();
        let of_sites: Vec<&Limits> = sites.all().iter().map(|site| &*site.limits).collect();
        let queue = of_sites.iter().map(|site| site.call.queue).sum();
        let keep_bytes = of_sites.iter().map(|site| site.swap.keep_bytes).sum();
        let journals = sites.all().iter().map(|site| site.journal.bytes());
        let (journals, journals_max) =
            journals.fold((0, 0), |(used, max), (more, most)| (used + more, max + most));
        let kept = sites.all().iter().map(|site| site.swapper.kept_memory()).sum();
        let settings = app.settings.get();
        let spoken = (app.tls.is_some(), settings.h2c || settings.h2_over_tls);
        Resources {
            connections: of(server.connections, taken(&app.permits, server.connections)),
            instances: of(call.instances, running),
            queue: of(queue, waiting),
            uploads: of(UPLOADS_MAX, taken(uploads, UPLOADS_MAX)),
            buffers: of(server.buffer_max, app.buffers.used()),
            kept_versions: of(keep_bytes, kept),
            journals: of(journals_max, journals),
            log: of(log_queue::BYTES_MAX, log::QUEUE.waiting()),
            memory: MemoryBounds::new(&limits, &of_sites, journals_max as u64, spoken),
        }
    }
}

/// Returns the number of open connections.
pub(super) fn connections(app: &App) -> usize {
    taken(&app.permits, app.limits.server.connections)
}

/// Returns how many of `max` permits are in use.
fn taken(permits: &Semaphore, max: usize) -> usize {
    max.saturating_sub(permits.available_permits())
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Resources {
            connections,
            instances,
            queue,
            uploads,
            buffers,
            kept_versions,
            journals,
            log,
            memory,
        } = self;
        let counts =
            [("connections", connections), ("calls", instances), ("queue", queue), ("uploads", uploads)];
        for (what, Used { used, max }) in counts {
            writeln!(f, "{what}: {used} of {max}")?;
        }
        let sizes = [
            ("buffers", buffers),
            ("kept versions", kept_versions),
            ("journals", journals),
            ("log lines that wait", log),
        ];
        for (what, Used { used, max }) in sizes {
            writeln!(f, "{what}: {} of {}", ByteSize(*used), ByteSize(*max))?;
        }
        writeln!(f, "memory that the limits allow: {} ({memory})", ByteSize(memory.sum()))
    }
}
