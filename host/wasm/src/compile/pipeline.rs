//! The steps from a file to machine code: convert text to binary, check the structural
//! limits, validate, instrument, compile.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::{ThreadPool, ThreadPoolBuilder};
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use wasmparser::Validator;
use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm};

use crate::compile::job::{Compiled, Effort};
use crate::compile::structure;
use crate::config::{component_config, config};
use crate::instrument::{Instrumented, instrument};
use crate::kind::Kind;
use crate::module_error::{ModuleError, one_line, read};
use crate::proposals;

/// Stack size of a compiling thread in bytes. The environment variable `RUST_MIN_STACK` does not
/// change it.
const STACK: usize = 2 << 20;

/// Compiles a trusted file in this process, for tests and benches.
pub(crate) fn compile_here(file: &[u8], effort: Effort) -> Result<Compiled, ModuleError> {
    Compiler::new(effort)?.compile(file, &threads(threads_at_once())?)
}

/// Maximum number of compiling threads. The stack and memory of each count towards
/// `--compile-memory-max`.
pub const THREADS_MAX: usize = 8;

/// Returns the number of threads for a job that a swap or a command waits for: one for each core
/// that this process may use, but at most [`THREADS_MAX`].
pub(super) fn threads_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Starts the compiling threads. If there are several, binds each to a core of its own, because the
/// kernel would leave all threads of a job of some milliseconds on the core that woke them.
pub(super) fn threads(count: usize) -> Result<ThreadPool, ModuleError> {
    let threads = ThreadPoolBuilder::new().num_threads(count).stack_size(STACK);
    let threads = threads.thread_name(|_| "compile".into()).start_handler(move |index| {
        if count > 1 {
            stay_on_core(index);
        }
    });
    threads.build().map_err(|error| {
        ModuleError::NoCompiler(format!(
            "cannot start its threads: {error} (limited by --compile-memory-max or ulimit -u)"
        ))
    })
}

/// Binds the current thread to one of the cores that the process may use. If the system refuses, the
/// thread runs on any core.
fn stay_on_core(index: usize) {
    #[cfg(target_os = "linux")]
    if let Ok(cores) = sched_getaffinity(None)
        && let Some(core) = (0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).nth(index)
    {
        let mut own = CpuSet::new();
        own.set(core);
        let _ = sched_setaffinity(None, &own);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = index;
}

/// Compiler with a fixed [`Effort`].
pub(super) struct Compiler {
    effort: Effort,
    /// Engine that compiles modules. The server's engine can run the code, because both engines
    /// have equal settings where the code depends on them.
    engine: Engine,
}

impl Compiler {
    pub(super) fn new(effort: Effort) -> Result<Compiler, ModuleError> {
        Ok(Compiler { effort, engine: engine(config(), effort)? })
    }

    pub(super) fn compile(&self, file: &[u8], threads: &ThreadPool) -> Result<Compiled, ModuleError> {
        // wasmtime compiles on the pool of the calling thread. Without one, rayon's global
        // pool would be used, with stacks of another size.
        let compiled = threads.install(|| catch_unwind(AssertUnwindSafe(|| self.compile_on_threads(file))));
        compiled.unwrap_or_else(|_| Err(ModuleError::Compiler("it panicked".into())))
    }

    fn compile_on_threads(&self, file: &[u8]) -> Result<Compiled, ModuleError> {
        let binary = read(file)?;
        structure::check(&binary)?;
        match Kind::of(&binary) {
            Kind::Module => self.compile_module(&binary),
            Kind::Component => self.compile_component(&binary),
        }
    }

    fn compile_module(&self, binary: &[u8]) -> Result<Compiled, ModuleError> {
        let Instrumented { binary, data, reset } = instrument(binary)?;
        // The module is valid, so only an internal limit of the compiler can fail here.
        let code = self.engine.precompile_module(&binary).map_err(|error| failed(&error))?;
        Ok(Compiled { kind: Kind::Module, reset, code, data })
    }

    /// Compiles a component without adding anything to it, because its instances are not reset.
    fn compile_component(&self, binary: &[u8]) -> Result<Compiled, ModuleError> {
        let features = proposals::ON.union(proposals::OF_COMPONENTS);
        let valid = Validator::new_with_features(features).validate_all(binary);
        valid.map_err(|error| ModuleError::InvalidComponent(one_line(&error)))?;
        // Made only now, because few files are components.
        let engine = engine(component_config(), self.effort)?;
        let code = engine.precompile_component(binary).map_err(|error| failed(&error))?;
        Ok(Compiled { kind: Kind::Component, reset: None, code, data: Vec::new() })
    }
}

/// Creates an engine that only compiles.
fn engine(mut config: Config, effort: Effort) -> Result<Engine, ModuleError> {
    if effort == Effort::Quick {
        config.cranelift_opt_level(OptLevel::None);
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    Engine::new(&config).map_err(|error| failed(&error))
}

fn failed(error: &wasmtime::Error) -> ModuleError {
    ModuleError::Compiler(one_line(&format!("{error:#}")))
}
