//! The wasmtime engine of all components, with a separate pool. It is created for the first
//! component, so that a server without components does not pay for it.

use std::fs;
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::admission::{Common, INSTANCES_SPARE};
use crate::component::linker::linker;
use crate::component::state::State;
use crate::config::component_config;
use crate::deadline::Ticker;
use crate::engine_error::EngineError;
use crate::limits::CallLimits;

/// Maximum number of module instances in a component. A component that contains an interpreter has
/// about fifteen.
pub const CORE_INSTANCES_MAX: u32 = 40;

/// Maximum number of memories of a component. Compilers make one. A component that was composed of
/// several has one for each.
pub const MEMORIES_MAX: u32 = 4;

/// Maximum number of tables of a component.
pub const TABLES_MAX: u32 = 20;

/// Maximum number of memories of all components together, because each reserves 4 GiB of the 128
/// TiB of address space of a process. There is at least one memory for each call, though.
const MEMORIES_OF_ALL_MAX: u32 = 8_192;

/// Maximum number of bytes that the host needs for its data about one instance of a component, or
/// about one instance of a module in it.
const INSTANCE_SIZE_MAX: usize = 4 << 20;

/// Number of bytes of a slot's memory that stay resident after its instance is dropped, and are
/// restored for the next instance. A small program in a compiled language needs less memory.
const KEEP_RESIDENT: usize = 2 << 20;

/// Engine that runs all components.
pub(crate) struct ComponentEngine {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    ticker: Ticker,
}

impl ComponentEngine {
    /// Creates the engine for components, within these limits.
    ///
    /// # Errors
    ///
    /// When the system refuses address space or a thread.
    pub(crate) fn new(limits: &CallLimits, common: &Arc<Common>) -> Result<ComponentEngine, EngineError> {
        let other = |error: String| EngineError::Other(error);
        let mut config = component_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
        let engine = wasmtime::Engine::new(&config).map_err(|error| EngineError::Pool {
            instances: limits.instances,
            cause: format!("{error:#}"),
        })?;
        let linker = linker(&engine).map_err(|error| other(format!("{error:#}")))?;
        let ticker = Ticker::start("component-epoch", engine.weak(), Arc::clone(common))
            .map_err(|error| other(format!("cannot start the thread for deadlines: {error}")))?;
        Ok(ComponentEngine { engine, linker, ticker })
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.engine
    }

    pub(super) fn linker(&self) -> &Linker<State> {
        &self.linker
    }

    /// Wakes the ticker, because a call begins.
    pub(super) fn wake_ticker(&self) {
        self.ticker.wake();
    }
}

/// Configures the pool, with a slot for each call, including the calls of candidates.
fn pool(limits: &CallLimits) -> PoolingAllocationConfig {
    let calls = u32::try_from(limits.instances.saturating_add(INSTANCES_SPARE)).unwrap_or(u32::MAX);
    let memories = calls.saturating_mul(MEMORIES_MAX).min(MEMORIES_OF_ALL_MAX).max(calls);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(memories)
        .total_tables(calls.saturating_mul(TABLES_MAX))
        .total_stacks(calls)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_component_instance_size(INSTANCE_SIZE_MAX)
        .max_core_instance_size(INSTANCE_SIZE_MAX)
        .table_elements(limits.table_max)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT);
    if !has_swap() {
        // Linux then says which pages were written to, and only those are put back. But this
        // wasmtime asks for pages in memory only, so a page that was swapped out would be seen by
        // the next instance.
        pool.pagemap_scan(Enabled::Auto);
    }
    pool
}

/// Returns whether the system may write pages of memory to a swap space. Returns true if the list
/// of swap spaces cannot be read.
fn has_swap() -> bool {
    // The first line has the names of the columns.
    fs::read_to_string("/proc/swaps").is_ok_and(|list| list.lines().count() > 1)
        || fs::metadata("/proc/swaps").is_err()
}
