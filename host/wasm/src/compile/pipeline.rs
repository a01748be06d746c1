//! The steps from a file to machine code: convert text to binary, check the structural
//! limits, validate, instrument, compile.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::{ThreadPool, ThreadPoolBuilder};
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use wasmtime::{Engine, OptLevel, RegallocAlgorithm, Result};

use crate::compile::job::{Compiled, Effort};
use crate::compile::structure;
use crate::engine::config;
use crate::instrument::{Instrumented, instrument};
use crate::module_error::{ModuleError, one_line, read};

/// Stack of a compiling thread, in bytes. RUST_MIN_STACK does not change it.
const STACK: usize = 2 << 20;

/// Compiles a trusted file in this process, for tests and benches.
pub(crate) fn compile_here(file: &[u8], effort: Effort) -> Result<Compiled, ModuleError> {
    let engine = engine(effort).map_err(|error| ModuleError::Compiler(error.to_string()))?;
    compile(file, &engine, &threads(threads_at_once())?)
}

/// Creates an engine that only compiles. Its code runs in the server's engine, because
/// both have equal settings where the code depends on them.
pub(super) fn engine(effort: Effort) -> Result<Engine> {
    let mut config = config();
    if effort == Effort::Quick {
        config.cranelift_opt_level(OptLevel::None);
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    }
    Engine::new(&config)
}

/// Most compiling threads. The stack and memory of each count towards
/// `--compile-memory-max`.
pub const THREADS_MAX: usize = 8;

/// Returns the number of threads for a job that is waited for: one for each core that
/// this process may use, but at most [`THREADS_MAX`].
pub(super) fn threads_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX)
}

/// Starts the compiling threads. If there are several, each stays on a core of its own: the kernel
/// would leave all threads of a job of some milliseconds on the core that woke them.
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

pub(super) fn compile(file: &[u8], engine: &Engine, threads: &ThreadPool) -> Result<Compiled, ModuleError> {
    // wasmtime compiles on the pool of the calling thread. Without one, rayon's global
    // pool would be used, with stacks of another size.
    let compiled = threads.install(|| catch_unwind(AssertUnwindSafe(|| compile_on_threads(file, engine))));
    compiled.unwrap_or_else(|_| Err(ModuleError::Compiler("it panicked".into())))
}

fn compile_on_threads(file: &[u8], engine: &Engine) -> Result<Compiled, ModuleError> {
    let binary = read(file)?;
    structure::check(&binary)?;
    let Instrumented { binary, data, reset } = instrument(&binary)?;
    // The module is valid, so only an internal limit of the compiler can fail here.
    let code = engine.precompile_module(&binary);
    let code = code.map_err(|error| ModuleError::Compiler(one_line(&format!("{error:#}"))))?;
    Ok(Compiled { reset, code, data })
}
