//! The wasmtime engine: one for the process, shared by all sites and all versions of their
//! handlers. Each site has limits and permits of its own.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::{InstanceAllocationStrategy, Linker, PoolingAllocationConfig};

use crate::admission::{Admission, Calls, Common, INSTANCES_SPARE, serving_threads};
use crate::call_state::CallState;
use crate::component::engine::ComponentEngine;
use crate::config::{STACK_MAX, config};
use crate::deadline::Ticker;
use crate::engine_error::EngineError;
use crate::limits::CallLimits;
use crate::long_threads::LongThreads;
use crate::reused::Reused;
use crate::slots::Slots;
use crate::{import, mappings};

/// Maximum number of tables of a module. Compilers emit one; hand-written modules may have a few.
pub const TABLES_MAX: u32 = 4;

/// Number of bytes of a slot's memory that stay resident after its instance is dropped, and are
/// zeroed for the next instance. The rest goes back to the kernel. This makes small modules cheap,
/// and bounds the memory of unused slots.
const KEEP_RESIDENT: usize = 128 << 10;

/// Access of one site to the wasmtime engine, and to everything else that all modules share.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    site: Arc<Site>,
}

struct Shared {
    /// Limits of the pools, which bound all sites together.
    limits: CallLimits,
    engine: wasmtime::Engine,
    linker: Linker<CallState>,
    common: Arc<Common>,
    /// Number of serving threads.
    threads: usize,
    long_threads: LongThreads,
    responses: Reused,
    slots: Slots,
    /// Maximum number of stretches (see `mappings`) with which an instance is still reset.
    stretches: u32,
    ticker: Ticker,
    /// Engine for components. Created for the first component.
    components: Mutex<Option<Arc<ComponentEngine>>>,
}

/// Limits and permits of one site, which its handlers share.
struct Site {
    limits: CallLimits,
    /// Permits of the site. Created at the first use, so that only sites that make calls share the
    /// permits of the server.
    admission: OnceLock<Admission>,
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
        let common = Common::new(limits, threads);
        let ticker = Ticker::start("epoch", engine.weak(), Arc::clone(&common))
            .map_err(|error| EngineError::Other(format!("cannot start the thread for deadlines: {error}")))?;
        let long_threads = LongThreads::start(threads).map_err(|error| {
            EngineError::Other(format!("cannot start the threads for long calls: {error}"))
        })?;
        let (responses, slots) = (Reused::new(limits), Slots::new(slots(limits) - INSTANCES_SPARE));
        let shared = Shared {
            limits: limits.clone(),
            engine,
            linker,
            common,
            threads,
            long_threads,
            responses,
            slots,
            stretches,
            ticker,
            components: Mutex::new(None),
        };
        Ok(Engine { site: Site::new(limits), shared: Arc::new(shared) })
    }

    /// Returns the engine for another site, with separate limits. Memory, tables and all instances
    /// together stay within the limits that [`Engine::new`] got.
    #[must_use]
    pub fn for_site(&self, limits: &CallLimits) -> Engine {
        let engine = Engine { site: Site::new(limits), shared: Arc::clone(&self.shared) };
        engine.admission();
        engine
    }

    /// Returns the engine for components. Creates it for the first component.
    ///
    /// # Errors
    ///
    /// When the system refuses address space or a thread.
    pub(super) fn components(&self) -> Result<Arc<ComponentEngine>, EngineError> {
        let Shared { limits, common, components, .. } = &*self.shared;
        let mut made = components.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*made {
            return Ok(Arc::clone(engine));
        }
        Ok(Arc::clone(made.insert(Arc::new(ComponentEngine::new(limits, common)?))))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.shared.engine
    }

    pub(super) fn linker(&self) -> &Linker<CallState> {
        &self.shared.linker
    }

    pub(crate) fn limits(&self) -> &CallLimits {
        &self.site.limits
    }

    /// Returns the maximum number of stretches (see `mappings`) with which an instance is still
    /// reset.
    pub(super) fn stretches(&self) -> u32 {
        self.shared.stretches
    }

    /// Returns the reusable memory for responses.
    pub(super) fn responses(&self) -> &Reused {
        &self.shared.responses
    }

    /// Returns the slots for the instances of all sites.
    pub(super) fn slots(&self) -> &Slots {
        &self.shared.slots
    }

    /// Returns the number of serving threads.
    pub(super) fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Returns the threads for long calls.
    pub(super) fn long_threads(&self) -> &LongThreads {
        &self.shared.long_threads
    }

    /// Returns the numbers of running and waiting calls of all sites, without the calls of
    /// candidates.
    pub fn calls(&self) -> Calls {
        self.shared.common.calls()
    }

    /// Returns the numbers of running and waiting long calls of the site.
    pub fn long_calls(&self) -> Calls {
        self.admission().long_calls()
    }

    /// Returns the permits for calls.
    pub(super) fn admission(&self) -> &Admission {
        let Site { limits, admission } = &*self.site;
        admission.get_or_init(|| Admission::new(&self.shared.common, limits))
    }

    /// Wakes the ticker, because a call begins.
    pub(super) fn wake_ticker(&self) {
        self.shared.ticker.wake();
    }
}

impl Site {
    fn new(limits: &CallLimits) -> Arc<Site> {
        Arc::new(Site { limits: limits.clone(), admission: OnceLock::new() })
    }
}

/// Returns the maximum memory of all instances together, in bytes.
pub fn instances_memory(limits: &CallLimits) -> u64 {
    let tables = u64::from(TABLES_MAX) * limits.table_max as u64 * size_of::<usize>() as u64;
    (slots(limits) as u64).saturating_mul(limits.memory_max as u64 + tables + STACK_MAX as u64)
}

/// Returns the maximum number of instances: `--instances` in calls, as many idle ones, and the
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
