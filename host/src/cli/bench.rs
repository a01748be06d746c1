//! Prepares a module as a server would (read, compile, start), to be called without
//! a server.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Arg;
use host_wasm::{CompiledModule, Compilers, Effort, Engine, HandlerModule, ModuleError, Priority};
use tokio::runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::limits::Limits;
use crate::site::version::Origin;
use crate::telemetry::log;

/// Limits that apply to a call without a server.
const APPLICABLE: [&str; 9] = [
    "deadline",
    "memory_max",
    "table_max",
    "response_max",
    "log_lines_max",
    "log_line_max",
    "module_max",
    "compile_memory_max",
    "compile_timeout",
];

/// Hides limits from a tool's help that do not apply to it.
pub(super) fn hide_what_is_of_no_use(argument: Arg) -> Arg {
    let is_limit = argument.get_help_heading() == Some("Limits");
    let hidden = is_limit && !APPLICABLE.contains(&argument.get_id().as_str());
    if hidden { argument.hide(true) } else { argument }
}

/// Engine and compiler of a tool.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) compilers: Compilers,
    limits: Limits,
}

impl Bench {
    /// Sets up an engine for one call at a time.
    pub(super) fn new(limits: &Limits) -> anyhow::Result<Bench> {
        let mut limits = limits.clone();
        // Reserves no memory for further instances.
        limits.call.instances = 1;
        Ok(Bench {
            compilers: Compilers::new(&limits.for_compilers()),
            engine: Engine::new(&limits.for_engine())?,
            limits,
        })
    }

    /// Loads and starts a module, optimised as it would be when it serves.
    pub(super) async fn load(&self, path: &Path) -> anyhow::Result<HandlerModule> {
        let file = read(path, &self.limits)?.into();
        let context = || format!("cannot call {}", path.display());
        let compiled = self.compile(&file, Effort::Thorough).await.with_context(context)?;
        let started = compiled.start().await;
        started.map_err(|error| anyhow!("the module does not start: {error}")).with_context(context)
    }

    pub(super) async fn compile(
        &self,
        file: &Arc<[u8]>,
        effort: Effort,
    ) -> Result<CompiledModule, ModuleError> {
        CompiledModule::compile(&self.engine, &self.compilers, file, effort, Priority::Awaited).await
    }
}

/// Reads the file of a module.
pub(super) fn read(path: &Path, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    let bytes = Origin::Path(path.to_owned()).read(limits.swap.module_max);
    bytes.with_context(|| format!("cannot read {}", path.display()))
}

/// Runs the work of a tool on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .context("cannot start an asynchronous runtime")?;
    runtime.block_on(work)
}

/// Logs lines of modules, and nothing else.
pub(super) fn show_log() {
    log::plain(Targets::new().with_target("handler", LevelFilter::TRACE));
}
