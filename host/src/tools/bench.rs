//! A module on the workbench: read, compiled and started as it would be to
//! serve, and called without a server.

use std::future::Future;
use std::path::Path;

use anyhow::{Context, anyhow};
use clap::Arg;
use tokio::runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::limits::Limits;
use crate::log;
use crate::swap::Origin;
use crate::wasm::{CompiledModule, Effort, Engine, HandlerModule};

/// The limits that a call has without a server.
const OF_USE: [&str; 7] =
    ["deadline", "memory_max", "table_max", "response_max", "log_lines_max", "log_line_max", "module_max"];

/// Keeps the other limits out of a tool's help.
pub(super) fn hide_what_is_of_no_use(argument: Arg) -> Arg {
    let is_limit = argument.get_help_heading() == Some("Limits");
    let hidden = is_limit && !OF_USE.contains(&argument.get_id().as_str());
    if hidden { argument.hide(true) } else { argument }
}

/// Sets WebAssembly up for one call at a time.
pub(super) fn engine(limits: &Limits) -> anyhow::Result<Engine> {
    let mut limits = limits.clone();
    // Room for more would be set aside for nothing.
    limits.instances = 1;
    Ok(Engine::new(&limits)?)
}

/// Reads a module's file.
pub(super) fn read(path: &Path, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    let bytes = Origin::Path(path.to_owned()).read(limits.module_max);
    bytes.with_context(|| format!("cannot read {}", path.display()))
}

/// A module that is ready to be called, by the code that it would serve with.
pub(super) async fn load(path: &Path, engine: &Engine, limits: &Limits) -> anyhow::Result<HandlerModule> {
    let bytes = read(path, limits)?;
    let context = || format!("cannot call {}", path.display());
    let compiled = CompiledModule::new(engine, &bytes, Effort::Thorough).with_context(context)?;
    let started = compiled.start().await;
    started.map_err(|error| anyhow!("it does not start: {error}")).with_context(context)
}

/// Runs what a tool does, on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().context("cannot start")?;
    runtime.block_on(work)
}

/// Shows what modules log, and nothing else.
pub(super) fn show_log() {
    log::plain(Targets::new().with_target("handler", LevelFilter::TRACE));
}
