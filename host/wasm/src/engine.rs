//! The wasmtime engine: one for the process, shared by all versions of the
//! handler.

use std::num::NonZeroUsize;
use std::sync::Arc;

use host_http::client_net::ClientNet;
use thiserror::Error;
use tokio::sync::SemaphorePermit;
use wasmtime::{Config, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};
use wasmtime::{WasmBacktraceDetails, WasmFeatures};

use crate::admission::{Admission, Calls, INSTANCES_SPARE, Short, serving_threads};
use crate::deadline::Ticker;
use crate::failure::{CallError, FRAMES_MAX};
use crate::instance::CallState;
use crate::limits::CallLimits;
use crate::permits::Permit;
use crate::reused::Reused;
use crate::{import, mappings, proposals};

/// Most tables of a module. Compilers make one; hand-written modules may have
/// a few.
pub const TABLES_MAX: u32 = 4;

/// Bytes of a memory that stay resident when its instance is dropped, and are
/// cleared for the next one; what lies past them is given back to the kernel.
/// That is cheap for small modules, and bounds what idle places hold.
const KEEP_RESIDENT: usize = 128 << 10;

/// Bytes of native stack that a call may use. Past it the call traps.
pub const STACK_MAX: usize = 512 << 10;

/// wasmtime as this server uses it.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<CallState>,
    admission: Arc<Admission>,
    /// How many serve.
    threads: usize,
    responses: Reused,
    limits: CallLimits,
    /// Stretches of pages that an instance may have written to.
    stretches: u32,
    ticker: Ticker,
}

/// The engine could not be set up on this machine.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The address space for the pool of instances was not to be had.
    #[error("cannot reserve address space for {instances} instances (fewer may do: --instances): {cause}")]
    Pool {
        /// How many were asked for.
        instances: usize,
        /// What wasmtime said.
        cause: String,
    },
    /// The pool's mappings would be more than a process may have.
    #[error(
        "the instances may need {needed} mappings of memory, and a process may have {limit}: fewer instances (--instances), or a higher vm.max_map_count"
    )]
    Mappings {
        /// How many they may need, with all others.
        needed: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Anything else.
    #[error("cannot set up WebAssembly on this machine: {0}")]
    Other(String),
}

impl Engine {
    /// Sets up wasmtime within these limits.
    ///
    /// # Errors
    ///
    /// When this machine gives no address space, or no thread.
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

    /// How many stretches of pages an instance may have written to and still be used
    /// again.
    pub(super) fn stretches(&self) -> u32 {
        self.0.stretches
    }

    /// The memory for responses.
    pub(super) fn responses(&self) -> &Reused {
        &self.0.responses
    }

    /// How many threads serve.
    pub(super) fn threads(&self) -> usize {
        self.0.threads
    }

    /// How many calls run and wait.
    pub fn calls(&self) -> Calls {
        self.0.admission.calls()
    }

    /// Returns the right to make one call that holds this thread, if there is one
    /// without waiting.
    pub(super) fn begin_short(&self) -> Option<Short<'_>> {
        self.woken(self.0.admission.begin_short())
    }

    /// Waits for the right to make one call that holds this thread.
    pub(super) async fn wait_for_short(&self) -> Result<Short<'_>, CallError> {
        self.woken(self.0.admission.wait_for_short().await)
    }

    /// Returns the right to make one long call, if there is one without waiting.
    pub(super) fn try_begin_long(&self, client: Option<ClientNet>) -> Option<Permit<'_>> {
        self.woken(self.0.admission.try_begin_long(client))
    }

    /// Waits for the right to make one long call.
    pub(super) async fn begin_long(&self, client: Option<ClientNet>) -> Result<Permit<'_>, CallError> {
        self.woken(self.0.admission.begin_long(client).await)
    }

    /// Waits for the right to try a module before it serves.
    pub(super) async fn begin_candidate(&self) -> Result<SemaphorePermit<'_>, CallError> {
        self.woken(self.0.admission.begin_candidate().await)
    }

    /// Runs a long call in turn with the others.
    pub(super) async fn in_turns<T>(&self, call: impl Future<Output = T>) -> T {
        self.0.admission.in_turns(call).await
    }

    /// Says that a call begins.
    fn woken<T>(&self, permit: T) -> T {
        self.0.ticker.wake();
        permit
    }
}

/// Returns the most memory of all instances, in bytes.
pub fn instances_memory(limits: &CallLimits) -> u64 {
    let tables = u64::from(TABLES_MAX) * limits.table_max as u64 * size_of::<usize>() as u64;
    (slots(limits) as u64).saturating_mul(limits.memory_max as u64 + tables + STACK_MAX as u64)
}

/// The most instances that there are at once: as many may wait for their next
/// request as may be in one.
fn slots(limits: &CallLimits) -> usize {
    limits.instances.saturating_mul(2).saturating_add(INSTANCES_SPARE)
}

/// A pool of slots that are reused: a fresh instance costs a copy of what the
/// module's memory starts with, and no system call.
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

/// What the code of a module depends on.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        // Compiled code looks at a counter in every loop and function, and
        // gives way when the ticker has moved it on.
        .epoch_interruption(true)
        .max_wasm_stack(STACK_MAX)
        // Nobody asks where in a function it was, and no debugger unwinds it: to
        // know takes time when a module is compiled.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(proposals::ON, true)
        // A trap tells as many functions as are shown, and one that the host has
        // added, and never where in the source it was.
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX + 1))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // The same request gives the same response on every machine: these two
        // are all that WebAssembly leaves open.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}
