//! Builds a server from its flags: the engine, the first version, the background threads,
//! and the state that connections share.

use std::sync::Arc;

use anyhow::Context;
use host_http::request_id::ConnectionIds;
use host_wasm::{Compilers, Engine};
use tokio::sync::Semaphore;

use crate::cli::serve::Serve;
use crate::fault_counts::FaultCounts;
use crate::record::Recorder;
use crate::serve::app::App;
use crate::serve::buffers::Buffers;
use crate::serve::ending::Ending;
use crate::site::activate::Activator;
use crate::site::begin::{Beginning, begin};
use crate::site::by::By;
use crate::site::shared::Settings;
use crate::site::state_dir::StateDir;
use crate::site::swapper::Swapper;
use crate::site::version::Label;
use crate::source::watch::{self, FileStamp};

/// Server with its first version loaded, before it swaps, watches or records.
pub struct Builder<'a> {
    args: &'a Serve,
    activator: Activator,
    beginning: Beginning,
    /// Stamp of the module file before it was read.
    seen: Option<FileStamp>,
}

impl Builder<'_> {
    /// Creates the engine, opens the state folder, and loads the first version.
    ///
    /// # Errors
    ///
    /// One line that names the file, folder or module that cannot be used, and why.
    pub async fn load(args: &Serve, compilers: Compilers) -> anyhow::Result<Builder<'_>> {
        let probes = args.swap.probes()?.into();
        let activator = Activator { engine: Engine::new(&args.limits.for_engine())?, compilers, probes };
        let limits = &args.limits.swap;
        let open = |path| {
            let dir = StateDir::open(path, limits.module_max);
            dir.with_context(|| format!("cannot use the state folder {} (--state-dir)", path.display()))
        };
        let dir = args.swap.state_dir.as_deref().map(open).transpose()?;
        let seen = args.module.as_deref().and_then(watch::look);
        let beginning = begin(&activator, limits, args.module.as_deref(), dir).await?;
        Ok(Builder { args, activator, beginning, seen })
    }

    /// Returns the label of the first version.
    pub fn label(&self) -> &Label {
        &self.beginning.version.label
    }

    /// Returns the engine that runs the calls.
    pub fn engine(&self) -> &Engine {
        &self.activator.engine
    }

    /// Starts the threads that swap, watch the module file and record requests.
    /// Returns the state that connections share.
    ///
    /// # Errors
    ///
    /// One line that names the thread, file or folder that cannot be used, and why.
    pub fn start(self) -> anyhow::Result<App> {
        let Builder { args, activator, beginning, seen } = self;
        let settings = Settings {
            activator,
            module_max: args.limits.swap.module_max,
            file: args.module.clone(),
            require_durable: args.swap.require_durable,
            notice: args.notice.clone(),
        };
        let swapper = Swapper::start(settings, beginning).context("cannot start the swap thread")?;
        if let Some(path) = &args.module {
            if !args.swap.no_watch {
                watch::start(path, seen, args.swap.watch, swapper.clone())
                    .with_context(|| format!("cannot watch {} (disable with --no-watch)", path.display()))?;
            }
            // The first version may come from the state folder, and the file may have
            // changed while no server was running.
            if args.swap.state_dir.is_some() {
                swapper.read_file(By::File);
            }
        }
        Ok(App {
            swapper,
            tell_version: !args.swap.no_version_field,
            buffers: Buffers::new(args.limits.server.buffer_max),
            permits: Arc::new(Semaphore::new(args.limits.server.connections)),
            ids: ConnectionIds::new(),
            tell_cause: args.dev,
            notice: args.notice.clone(),
            faults: FaultCounts::default(),
            recorder: Recorder::start(&args.recording)?,
            trusted: args.trust_forwarded.clone(),
            ending: Ending::default(),
            limits: args.limits.clone(),
        })
    }
}
