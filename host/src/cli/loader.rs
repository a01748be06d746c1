//! Loads a module as a server would (read, compile, start), for calls without a server.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Arg;
use host_wasm::{CompiledHandler, Compilers, Effort, Engine, Handler, ModuleError, Priority, Values};

use crate::config::limits::Limits;
use crate::config::values::ValueFlags;
use crate::site::remedy::{self, Language, NO_CONFIGURE, TAKE_VALUES};
use crate::site::version::{Origin, hint};

/// Ids of the limit flags that apply to calls without a server.
const APPLICABLE: [&str; 11] = [
    "deadline",
    "memory_max",
    "table_max",
    "response_max",
    "log_lines_max",
    "log_line_max",
    "module_max",
    "compile_memory_max",
    "compile_timeout",
    "keep_bytes",
    "response_head_max",
];

/// Hides a flag from the help of a tool if it sets a limit that does not apply to calls without a
/// server.
pub(super) fn hide_other_limits(argument: Arg) -> Arg {
    let is_limit = argument.get_help_heading() == Some("Limits");
    let hidden = is_limit && !APPLICABLE.contains(&argument.get_id().as_str());
    if hidden { argument.hide(true) } else { argument }
}

/// Reason why a module does not start, and the remedy.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub(super) cause: String,
    pub(super) remedy: String,
}

/// Engine and compilers of a tool that calls a module without a server.
pub(super) struct Loader {
    engine: Engine,
    pub(super) compilers: Compilers,
    limits: Limits,
    values: Arc<Values>,
}

impl Loader {
    /// Sets up an engine for one call at a time.
    pub(super) fn new(limits: &Limits, values: &ValueFlags) -> anyhow::Result<Loader> {
        let values = values.read().map_err(anyhow::Error::msg)?.into();
        let mut limits = limits.clone();
        // Reserves no memory for further instances.
        limits.call.instances = 1;
        Ok(Loader {
            compilers: Compilers::new(&limits.for_compilers()),
            engine: Engine::new(&limits.for_engine())?,
            limits,
            values,
        })
    }

    /// Loads and starts a module, compiled with full optimisation.
    pub(super) async fn load(&self, path: &Path) -> anyhow::Result<Handler> {
        let file = read(path, &self.limits)?;
        let context = || format!("cannot call {}", path.display());
        let with_remedy = |cause: &str, remedy: &str| anyhow!("{cause} (remedy: {remedy})");
        let compiled = match self.compile(&file, Effort::Thorough).await {
            Ok(compiled) => compiled,
            Err(error) => {
                let language = Language::of(&self.compilers.inspect(&file).await.unwrap_or_default());
                let remedy = remedy::of_module(&error, language);
                return Err(with_remedy(&error.to_string(), &remedy)).with_context(context);
            }
        };
        let started = self.start(compiled).await;
        started.map_err(|NotStarted { cause, remedy }| with_remedy(&cause, &remedy)).with_context(context)
    }

    /// Starts a module with the values of `--var` and `--secret`.
    ///
    /// # Errors
    ///
    /// Why the module does not start, and the remedy.
    pub(super) async fn start(&self, compiled: CompiledHandler) -> Result<Handler, NotStarted> {
        if !self.values.is_empty() && !compiled.takes_values() {
            return Err(NotStarted { cause: NO_CONFIGURE.into(), remedy: TAKE_VALUES.into() });
        }
        let lacks_values = self.values.is_empty() && compiled.takes_values();
        let kind = compiled.kind();
        compiled.start(Arc::clone(&self.values)).await.map_err(|error| NotStarted {
            cause: format!("the module does not start: {error}"),
            remedy: remedy::of_start(kind, &error, lacks_values),
        })
    }

    pub(super) async fn compile(
        &self,
        file: &Arc<[u8]>,
        effort: Effort,
    ) -> Result<CompiledHandler, ModuleError> {
        CompiledHandler::compile(&self.engine, &self.compilers, file, effort, Priority::Awaited).await
    }
}

/// Reads a module file, up to one byte more than `--module-max`. The additional byte shows that the
/// file is too long.
pub(super) fn read(path: &Path, limits: &Limits) -> anyhow::Result<Arc<[u8]>> {
    let bytes = Origin::Path(path.to_owned()).read(limits.swap.module_max).map_err(hint(path));
    Ok(bytes.with_context(|| format!("cannot read {}", path.display()))?.into())
}
