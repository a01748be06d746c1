//! The wasmtime engine: one for the process, shared by all versions of the
//! handler.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::{Config, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};
use wasmtime::{WasmBacktraceDetails, WasmFeatures};

use crate::admission::{Admission, Calls, INSTANCES_SPARE, serving_threads};
use crate::call_state::CallState;
use crate::deadline::Ticker;
use crate::engine_error::EngineError;
use crate::limits::CallLimits;
use crate::name::FRAMES_MAX;
use crate::reused::Reused;
use crate::{import, mappings, proposals};

/// Most tables of a module. Compilers emit one; hand-written modules may have a few.
pub const TABLES_MAX: u32 = 4;

/// Bytes of a slot's memory that stay resident after its instance is dropped, and are
/// zeroed for the next one. The rest goes back to the kernel. This makes small modules
/// cheap, and bounds the memory of unused slots.
const KEEP_RESIDENT: usize = 128 << 10;

/// Most bytes of native stack for a call, which traps when it needs more.
pub const STACK_MAX: usize = 512 << 10;

/// The wasmtime engine with everything that all modules share.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<CallState>,
    admission: Arc<Admission>,
    /// How many threads serve.
    threads: usize,
    responses: Reused,
    limits: CallLimits,
    /// Most stretches (see `mappings`) with which an instance is still reset.
    stretches: u32,
    ticker: Ticker,
}

impl Engine {
    /// Sets up wasmtime within these limits.
    ///
    /// # Errors
    ///
    /// When the system refuses address space, mappings or a thread.
    pub fn new(limits: &CallLimits) -> Result<Engine, EngineError> {
        let other = |error: wasmtime::Error| EngineError::Other(format!("{error:#}"));
        let stretches = mappings::stretches(slots(limits))?;
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        let engine = wasmtime::Engine::new(&config).map_err(|error| EngineError::Pool {
            instances: limits.instances,
            cause: format!("{error:#}"),
        })?;
        let mut linker = Linker::new(&engine);
        import::define(&mut linker).map_err(other)?;
        let threads = serving_threads();
        let admission = Arc::new(Admission::new(limits, threads));
        let ticker = Ticker::start(engine.weak(), Arc::clone(&admission))
            .map_err(|error| EngineError::Other(format!("cannot start the thread for deadlines: {error}")))?;
        let (limits, responses) = (limits.clone(), Reused::new(limits));
        let shared = Shared { engine, linker, admission, threads, responses, limits, stretches, ticker };
        Ok(Engine(Arc::new(shared)))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.engine
    }

    pub(super) fn linker(&self) -> &Linker<CallState> {
        &self.0.linker
    }

    pub(crate) fn limits(&self) -> &CallLimits {
        &self.0.limits
    }

    /// Returns the most stretches (see `mappings`) with which an instance is still reset.
    pub(super) fn stretches(&self) -> u32 {
        self.0.stretches
    }

    /// Returns the reusable memory for responses.
    pub(super) fn responses(&self) -> &Reused {
        &self.0.responses
    }

    /// Returns how many threads serve.
    pub(super) fn threads(&self) -> usize {
        self.0.threads
    }

    /// Returns how many calls run and wait.
    pub fn calls(&self) -> Calls {
        self.0.admission.calls()
    }

    /// Returns the permits for calls.
    pub(super) fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// Wakes the ticker, because a call begins.
    pub(super) fn wake_ticker(&self) {
        self.0.ticker.wake();
    }
}

/// Returns the most memory of all instances together, in bytes.
pub fn instances_memory(limits: &CallLimits) -> u64 {
    let tables = u64::from(TABLES_MAX) * limits.table_max as u64 * size_of::<usize>() as u64;
    (slots(limits) as u64).saturating_mul(limits.memory_max as u64 + tables + STACK_MAX as u64)
}

/// Returns the most instances at once: `--instances` in a call, as many idle, and the
/// spare ones for candidates.
fn slots(limits: &CallLimits) -> usize {
    limits.instances.saturating_mul(2).saturating_add(INSTANCES_SPARE)
}

/// Configures the pool of reused slots, so that a new instance needs no allocation of
/// memory, tables and stack.
fn pool(limits: &CallLimits) -> PoolingAllocationConfig {
    let instances = u32::try_from(slots(limits)).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .total_stacks(instances)
        .total_tables(instances.saturating_mul(TABLES_MAX))
        .max_tables_per_module(TABLES_MAX)
        .table_elements(limits.table_max)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT);
    pool
}

/// Returns the settings that compiled code depends on. Compile processes and the
/// server must use the same ones.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        // Compiled code checks a counter in every loop and function, and calls the host
        // when the ticker has incremented it.
        .epoch_interruption(true)
        .max_wasm_stack(STACK_MAX)
        // Not needed: no message shows a position inside a function, and no debugger
        // unwinds the code. Both cost time to compile.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(proposals::ON, true)
        // A trap lists as many functions as messages show, and one helper that the host
        // may have added. Positions in the source are never looked up.
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX + 1))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // These two settings make a request give the same response on every machine:
        // WebAssembly leaves the bits of NaNs and the results of relaxed SIMD open.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}
