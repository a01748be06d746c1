//! A module on the workbench: read, compiled and started as it would be to
//! serve, and called without a server.

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

/// The limits that a call has without a server.
const OF_USE: [&str; 9] = [
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

/// Keeps the other limits out of a tool's help.
pub(super) fn hide_what_is_of_no_use(argument: Arg) -> Arg {
    let is_limit = argument.get_help_heading() == Some("Limits");
    let hidden = is_limit && !OF_USE.contains(&argument.get_id().as_str());
    if hidden { argument.hide(true) } else { argument }
}

/// What a module is compiled and called with.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) compilers: Compilers,
    limits: Limits,
}

impl Bench {
    /// Sets WebAssembly up for one call at a time.
    pub(super) fn new(limits: &Limits) -> anyhow::Result<Bench> {
        let mut limits = limits.clone();
        // Room for more would be set aside for nothing.
        limits.instances = 1;
        Ok(Bench {
            compilers: Compilers::new(&limits.compile()),
            engine: Engine::new(&limits.call())?,
            limits,
        })
    }

    /// Reads a module that is ready to be called, with the code that it would
    /// serve with.
    pub(super) async fn load(&self, path: &Path) -> anyhow::Result<HandlerModule> {
        let file = read(path, &self.limits)?.into();
        let context = || format!("cannot call {}", path.display());
        let compiled = self.compile(&file, Effort::Thorough).await.with_context(context)?;
        let started = compiled.start().await;
        started.map_err(|error| anyhow!("it does not start: {error}")).with_context(context)
    }

    pub(super) async fn compile(
        &self,
        file: &Arc<[u8]>,
        effort: Effort,
    ) -> Result<CompiledModule, ModuleError> {
        CompiledModule::compile(&self.engine, &self.compilers, file, effort, Priority::Awaited).await
    }
}

/// Reads a module's file.
pub(super) fn read(path: &Path, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    let bytes = Origin::Path(path.to_owned()).read(limits.module_max);
    bytes.with_context(|| format!("cannot read {}", path.display()))
}

/// Runs what a tool does, on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        runtime::Builder::new_current_thread().enable_io().enable_time().build().context("cannot start")?;
    runtime.block_on(work)
}

/// Shows what modules log, and nothing else.
pub(super) fn show_log() {
    log::plain(Targets::new().with_target("handler", LevelFilter::TRACE));
}
