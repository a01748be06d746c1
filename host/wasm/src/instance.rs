//! One instance of a module with its store: how it is created, initialised and
//! dropped.
//!
//! Every request starts from the state just after `_initialize`. If the host can
//! reset everything that a request may change (see `snapshot`), `_initialize` runs
//! once per module, and an instance serves many requests, one after the other.
//! Otherwise each request gets a new instance and runs `_initialize` again, which
//! takes longer and leads to the same state.

use std::io;

use handler_sdk::abi::Span;
use host_http::quote::quoted;
use tracing::error;
use wasmtime::{Extern, Global, Memory, ModuleExport, Store, Trap, TypedFunc, WasmBacktrace};
use wasmtime::{WasmParams, WasmResults};

use crate::call_error::CallError;
use crate::call_state::{AtTick, CallState};
use crate::code::Code;
use crate::deadline::DeadlinePassed;
use crate::failure::explain;
use crate::image::Image;
use crate::invoke::{Stopped, invoke};
use crate::limits::CallLimits;
use crate::mapped::Laid;
use crate::pages::Pages;
use crate::{deadline, memory};

/// An instance with its store.
pub(super) struct Instance {
    /// Tracks the pages written to; [`None`] if the instance is not to be reset.
    pub(super) pages: Option<Pages>,
    /// The part of the memory that an image is mapped over.
    laid: Option<Laid>,
    pub(super) store: Store<CallState>,
    pub(super) memory: Memory,
    /// All mutable globals, if the instance can be reset.
    pub(super) globals: Vec<Global>,
    pub(super) alloc: TypedFunc<u32, u32>,
    pub(super) handle: TypedFunc<(u32, u32), u64>,
    start: Option<TypedFunc<(), ()>>,
    initialize: Option<TypedFunc<(), ()>>,
    pub(super) panic_message: Option<TypedFunc<(), u64>>,
}

impl Instance {
    /// Creates an instance on a fiber. `_initialize` has not run yet; a start function
    /// has, unless `instrument` turned it into an export.
    pub(super) async fn new(code: &Code, state: CallState) -> Result<Instance, CallError> {
        let mut store = new_store(code, state);
        let instance = code.instance.instantiate_async(&mut store).await;
        Instance::of(code, store, instance.map_err(|error| instantiation_failed(&error))?)
    }

    /// Creates an instance on the stack of the current thread, without yielding.
    pub(super) fn new_here(code: &Code, state: CallState) -> Result<Instance, Stopped> {
        let mut store = new_store(code, state);
        let instance = code.instance.instantiate(&mut store);
        let instance = instance.map_err(|error| Stopped::by(&error, instantiation_failed))?;
        Ok(Instance::of(code, store, instance)?)
    }

    fn of(code: &Code, store: Store<CallState>, instance: wasmtime::Instance) -> Result<Instance, CallError> {
        let mut exports = Exported { store, instance };
        let names = &code.exports;
        let memory = exports.get(&names.memory, Extern::into_memory)?;
        let get_global = |name| exports.get(name, Extern::into_global);
        let globals = names.globals.iter().map(get_global).collect::<Result<_, _>>()?;
        let (alloc, handle) = (exports.function(&names.alloc)?, exports.function(&names.handle)?);
        let start = exports.optional(&names.start)?;
        let initialize = exports.optional(&names.initialize)?;
        let panic_message = exports.optional(&names.panic_message)?;
        let store = exports.store;
        let (pages, laid) = (None, None);
        Ok(Instance { pages, laid, store, memory, globals, alloc, handle, start, initialize, panic_message })
    }

    /// Prepares a reset instance for its next call.
    pub(super) fn begin(&mut self, state: CallState) {
        *self.store.data_mut() = state;
        deadline::rearm(&mut self.store);
        if let Some(pages) = &self.pages {
            pages.begin();
        }
    }

    /// Copies or maps an image into the memory of a new instance, which is all zero.
    pub(super) fn lay(&mut self, image: &Image) -> Result<(), CallError> {
        let missing = |error: wasmtime::Error| CallError::no_instance(&error);
        memory::grow(self.memory, &mut self.store, image.size).map_err(missing)?;
        // Stored before the mapping is made, so that `drop` clears it even if mapping
        // fails halfway.
        self.laid = memory::room_for(image, self.memory, &self.store);
        let laid = memory::lay(image, self.memory, &mut self.store, self.laid.as_ref());
        laid.map_err(|error| CallError::no_instance(&error))
    }

    /// Starts to track which pages are written to, in at most `stretches` ranges.
    pub(super) fn guard(&mut self, stretches: u32) -> Result<(), CallError> {
        let guarded = memory::guard(self.memory, &mut self.store, stretches);
        self.pages = Some(guarded.map_err(|error| CallError::no_instance(&error))?);
        Ok(())
    }

    /// Undoes mappings and page protection, so that wasmtime finds the memory as it
    /// expects.
    fn release(&self) -> io::Result<()> {
        self.laid.as_ref().map_or(Ok(()), Laid::clear)?;
        self.pages.as_ref().map_or(Ok(()), Pages::release)
    }

    /// Runs the exported start function and `_initialize`, on a fiber.
    pub(super) async fn initialise(&mut self) -> Result<(), CallError> {
        for function in [self.start.clone(), self.initialize.clone()].into_iter().flatten() {
            if let Err(failure) = invoke(&mut self.store, &function, ()).await {
                return Err(self.with_panic(failure).await);
            }
        }
        Ok(())
    }

    /// Runs the exported start function and `_initialize` on the stack of the current
    /// thread, without yielding.
    pub(super) fn initialise_here(&mut self) -> Result<(), Stopped> {
        for function in [self.start.clone(), self.initialize.clone()].into_iter().flatten() {
            if let Err(error) = function.call(&mut self.store, ()) {
                return Err(self.with_panic_here(Stopped::from(error)));
            }
        }
        Ok(())
    }

    /// Adds the module's panic message to a trap, by a call on a fiber. This is the last
    /// call into the instance. The message goes to the log only.
    pub(super) async fn with_panic(&mut self, mut failure: CallError) -> CallError {
        if let (CallError::Trap { panic, .. }, Some(function)) = (&mut failure, &self.panic_message) {
            self.store.data_mut().at_tick = AtTick::GiveWay;
            let packed = function.call_async(&mut self.store, ()).await;
            *panic = packed.ok().and_then(|packed| self.read_panic(packed));
        }
        failure
    }

    /// Adds the module's panic message to a trap, by a call on the stack of the current
    /// thread, which is ended if it takes long.
    pub(super) fn with_panic_here(&mut self, mut stopped: Stopped) -> Stopped {
        if let (Stopped::Failed(CallError::Trap { panic, .. }), Some(function)) =
            (&mut stopped, &self.panic_message)
        {
            self.store.data_mut().at_tick = AtTick::GoOn;
            deadline::rearm(&mut self.store);
            let packed = function.call(&mut self.store, ());
            *panic = packed.ok().and_then(|packed| self.read_panic(packed));
        }
        stopped
    }

    /// Reads a panic message from the packed span; [`None`] if it is empty or invalid.
    fn read_panic(&self, packed: u64) -> Option<String> {
        let limit = self.store.data().log_line_max;
        let bytes = memory::view(self.memory, &self.store, Span::unpack(packed)).ok()?;
        // One byte past the limit tells `quoted` to mark the cut. The cut may split a
        // character, which is then shown as invalid.
        let shown = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
        let line = quoted(&String::from_utf8_lossy(shown), limit).to_string();
        (!line.is_empty()).then_some(line)
    }

    /// Lets the handler log again after [`CallState::quiet`].
    pub(super) fn unmute(&mut self, limits: &CallLimits) {
        let state = self.store.data_mut();
        (state.log_lines_left, state.log_cut) = (limits.log_lines_max, false);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // wasmtime clears this memory next, for another instance. Releasing it only merges
        // mappings, so it cannot run into the limit on mappings and should not fail. If it
        // did, the next instance would see what this one left, so the slot is leaked
        // instead.
        if let Err(error) = self.release() {
            error!(%error, "cannot clear the memory of an instance; its slot stays unused until a restart");
            let state = CallState { log_cut: true, ..*self.store.data() };
            let empty = Store::new(&self.store.engine().clone(), state);
            std::mem::forget(std::mem::replace(&mut self.store, empty));
        }
    }
}

fn new_store(code: &Code, state: CallState) -> Store<CallState> {
    let mut store = Store::new(code.instance.module().engine(), state);
    store.limiter(|state| state);
    deadline::arm(&mut store);
    store
}

/// Classifies a failed instantiation: a trap or deadline is the module's fault, all
/// else is the system's.
fn instantiation_failed(error: &wasmtime::Error) -> CallError {
    match error.is::<Trap>() || error.is::<DeadlinePassed>() || error.is::<WasmBacktrace>() {
        true => explain(error),
        false => CallError::no_instance(error),
    }
}

/// A store whose instance's exports are being looked up.
struct Exported {
    store: Store<CallState>,
    instance: wasmtime::Instance,
}

impl Exported {
    fn get<T>(&mut self, name: &ModuleExport, kind: impl Fn(Extern) -> Option<T>) -> Result<T, CallError> {
        let export = self.instance.get_module_export(&mut self.store, name).and_then(kind);
        export.ok_or_else(|| {
            explain(&wasmtime::Error::msg(
                "an export differs from what was found when the module was checked",
            ))
        })
    }

    fn function<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &ModuleExport,
    ) -> Result<TypedFunc<P, R>, CallError> {
        let function = self.get(name, Extern::into_func)?;
        function.typed(&self.store).map_err(|error| explain(&error))
    }

    fn optional<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &Option<ModuleExport>,
    ) -> Result<Option<TypedFunc<P, R>>, CallError> {
        name.as_ref().map(|name| self.function(name)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{CallError, CallState, Laid};
    use crate::compile::job::Effort;
    use crate::engine::Engine;
    use crate::limits::CallLimits;
    use crate::module::CompiledModule;
    use host_http::request_id::RequestId;
    use std::time::Instant;

    const WORKS: &[u8] = include_bytes!("../../../tests/fixtures/works.wat");

    #[tokio::test]
    async fn a_memory_that_cannot_be_cleared_is_not_used_again() {
        let limits = CallLimits { instances: 1, ..CallLimits::default() };
        let engine = Engine::new(&limits).unwrap();
        let module =
            CompiledModule::compile_here(&engine, WORKS, Effort::Quick).unwrap().start().await.unwrap();
        let new = || module.new_instance(CallState::new(&limits, RequestId::none(), Instant::now()));
        let mut instance = new().await.unwrap();
        // Not aligned to a page, so mapping fails.
        instance.laid = Some(Laid::at(std::ptr::without_provenance_mut(1), 4096));
        drop(instance);
        // With `--instances 1` the pool has four slots, one of which is leaked.
        let others = (new().await.unwrap(), new().await.unwrap(), new().await.unwrap());
        assert!(matches!(new().await, Err(CallError::NoInstance { .. })));
        drop(others);
        assert!(new().await.is_ok());
    }
}
