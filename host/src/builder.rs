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
use crate::serve::settings::InForce;
use crate::site::activate::Activator;
use crate::site::begin::{Beginning, begin};
use crate::site::by::By;
use crate::site::shared::Settings;
use crate::site::state_dir::StateDir;
use crate::site::swapper::Swapper;
use crate::site::version::Label;
use crate::source::watch::{self, FileStamp, Watching};

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
        let demand = args.demand()?;
        let activator = Activator { engine: Engine::new(&args.limits.for_engine())?, compilers };
        let limits = &args.limits.swap;
        let open = |path| {
            let dir = StateDir::open(path, limits.module_max);
            dir.with_context(|| format!("cannot use the state folder {} (--state-dir)", path.display()))
        };
        let dir = args.swap.state_dir.as_deref().map(open).transpose()?;
        let seen = args.module.as_deref().and_then(watch::look);
        let beginning = begin(&activator, limits, demand, dir).await?;
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
    /// Returns the state that connections share, and the watch of the module file.
    ///
    /// # Errors
    ///
    /// One line that names the thread, file or folder that cannot be used, and why.
    pub fn start(self) -> anyhow::Result<(App, Option<Watching>)> {
        let Builder { args, activator, beginning, seen } = self;
        let settings = Settings {
            activator,
            module_max: args.limits.swap.module_max,
            require_durable: args.swap.require_durable,
            notice: args.notice.clone(),
        };
        let swapper = Swapper::start(settings, beginning).context("cannot start the swap thread")?;
        let watching = watch(args, seen, &swapper)?;
        // The first version may come from the state folder, and the file may have changed
        // while no server was running.
        if args.module.is_some() && args.swap.state_dir.is_some() {
            swapper.read_file(By::File);
        }
        let app = App {
            swapper,
            settings: InForce::new(args.settings()),
            buffers: Buffers::new(args.limits.server.buffer_max),
            permits: Arc::new(Semaphore::new(args.limits.server.connections)),
            ids: ConnectionIds::new(),
            notice: args.notice.clone(),
            faults: FaultCounts::default(),
            recorder: Recorder::start(&args.recording)?,
            ending: Ending::default(),
            limits: args.limits.clone(),
        };
        Ok((app, watching))
    }
}

/// Starts to watch the module file, if there is one to watch. `seen` is the file's stamp
/// before it was last read.
///
/// # Errors
///
/// One line that names the file, and why it cannot be watched.
pub(crate) fn watch(
    args: &Serve,
    seen: Option<FileStamp>,
    swapper: &Swapper,
) -> anyhow::Result<Option<Watching>> {
    let Some(path) = args.module.as_ref().filter(|_| !args.swap.no_watch) else {
        return Ok(None);
    };
    let watching = watch::start(path, seen, args.swap.watch, swapper.clone());
    let context = || format!("cannot watch {} (disable with --no-watch)", path.display());
    watching.map(Some).with_context(context)
}
