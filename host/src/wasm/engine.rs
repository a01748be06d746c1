//! The wasmtime engine: one for the process, shared by all versions of the
//! handler. It also admits calls: no more at once than there are instances, of
//! which some are for short calls, one at a time on each thread.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wasmtime::{Config, InstanceAllocationStrategy, Linker, PoolingAllocationConfig};
use wasmtime::{WasmBacktraceDetails, WasmFeatures};

use super::deadline::Ticker;
use super::failure::{CallError, FRAMES_MAX};
use super::import;
use super::instance::CallState;
use super::mappings;
use super::per_thread::PerThread;
use super::proposals;
use super::reused::Reused;
use crate::limits::Limits;

/// Instances beyond those that serve: a candidate is tried in one of these
/// while the others are taken.
const INSTANCES_SPARE: usize = 2;

/// Most tables of a module. Compilers make one; hand-written modules may have
/// a few.
const TABLES_MAX: u32 = 4;

/// Bytes of a memory that stay resident when its instance is dropped, and are
/// cleared for the next one; what lies past them is given back to the kernel.
/// That is cheap for small modules, and bounds what idle places hold.
const KEEP_RESIDENT: usize = 128 << 10;

/// Bytes of native stack that a call may use. Past it the call traps.
const STACK_MAX: usize = 512 << 10;

/// wasmtime as this server uses it.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    engine: wasmtime::Engine,
    linker: Linker<CallState>,
    places: Arc<Places>,
    responses: Reused,
    limits: Limits,
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
    pub fn new(limits: &Limits) -> Result<Engine, EngineError> {
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
        let places = Arc::new(Places::new(limits));
        let ticker = Ticker::start(engine.weak(), Arc::clone(&places))
            .map_err(|error| EngineError::Other(format!("cannot start the thread for deadlines: {error}")))?;
        let (limits, responses) = (limits.clone(), Reused::default());
        Ok(Engine(Arc::new(Shared { engine, linker, places, responses, limits, stretches, ticker })))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.engine
    }

    pub(super) fn linker(&self) -> &Linker<CallState> {
        &self.0.linker
    }

    pub(super) fn limits(&self) -> &Limits {
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

    /// The right to make one call that ends, or is ended, before this thread does
    /// anything else: the thread's own; or, where that is taken or there is none, one
    /// of those that all calls share.
    pub(super) fn begin_short(&self) -> Option<Short<'_>> {
        let Shared { places, ticker, .. } = &*self.0;
        let own = places.short.own().filter(|runs| !runs.swap(true, Relaxed));
        let _other = if own.is_some() { None } else { Some(places.requests.try_acquire().ok()?) };
        ticker.wake();
        Some(Short { own, _other })
    }

    /// The right to make one call for a request, if there is one without waiting.
    pub(super) fn admit_at_once(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.0.places.requests.try_acquire().ok()?;
        self.0.ticker.wake();
        Some(permit)
    }

    /// Waits for the right to make one call, which ends with the permit. Whoever
    /// stops waiting frees the place in the queue.
    pub(super) async fn admit(&self, purpose: Purpose) -> Result<SemaphorePermit<'_>, CallError> {
        let Shared { places, limits, ticker, .. } = &*self.0;
        let (calls, queue) = match purpose {
            Purpose::Request => (&places.requests, &places.queue),
            Purpose::Candidate => (&places.candidates, &places.candidates_queue),
        };
        let permit = match calls.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let busy = || CallError::Busy { calls: places.requests_max, queue: limits.queue };
                let _place = queue.try_acquire().map_err(|_| busy())?;
                match timeout(limits.queue_timeout, calls.acquire()).await {
                    Ok(Ok(permit)) => permit,
                    _ => return Err(busy()),
                }
            }
        };
        ticker.wake();
        Ok(permit)
    }
}

/// What a call is made for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A client waits for it.
    Request,
    /// A module is tried before it serves.
    Candidate,
}

/// A call that holds its thread, until this is dropped.
pub(super) struct Short<'a> {
    own: Option<&'a AtomicBool>,
    _other: Option<SemaphorePermit<'a>>,
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        if let Some(runs) = self.own {
            runs.store(false, Relaxed);
        }
    }
}

/// Which calls may run at once, and which may wait for that.
pub(super) struct Places {
    /// Whether one runs that holds its thread. That each thread knows this for
    /// itself is why short calls do not wait for each other.
    short: PerThread<AtomicBool>,
    /// For all the others.
    requests: Semaphore,
    requests_max: usize,
    candidates: Semaphore,
    queue: Semaphore,
    candidates_queue: Semaphore,
}

impl Places {
    fn new(limits: &Limits) -> Places {
        // Half of them at the most: a long call is not to wait for short ones.
        let short = PerThread::new(limits.instances / 2);
        let requests_max = limits.instances - short.count();
        Places {
            short,
            requests: Semaphore::new(requests_max),
            requests_max,
            candidates: Semaphore::new(INSTANCES_SPARE),
            queue: Semaphore::new(limits.queue),
            candidates_queue: Semaphore::new(INSTANCES_SPARE),
        }
    }

    /// Whether a call runs now.
    pub(super) fn are_taken(&self) -> bool {
        self.requests.available_permits() < self.requests_max
            || self.candidates.available_permits() < INSTANCES_SPARE
            || self.short.all().any(|runs| runs.load(Relaxed))
    }
}

/// The most instances that there are at once: as many may wait for their next
/// request as may be in one.
fn slots(limits: &Limits) -> usize {
    limits.instances.saturating_mul(2).saturating_add(INSTANCES_SPARE)
}

/// A pool of slots that are reused: a fresh instance costs a copy of what the
/// module's memory starts with, and no system call.
fn pool(limits: &Limits) -> PoolingAllocationConfig {
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
