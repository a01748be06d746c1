//! An instance of a module, and how it gets into the state that every request
//! starts from: the one just after `_initialize`.
//!
//! Where the host can put back all that a request may change, `_initialize` has
//! run once, and one instance serves many requests, one after the other. Where
//! it cannot, each request gets a new instance, which initialises itself: that
//! takes longer, and comes to the same.

use std::io;
use std::time::Instant;

use host_http::request_id::RequestId;
use tracing::error;
use wasmtime::{Extern, Global, Memory, ModuleExport, Store, Trap, TypedFunc, WasmBacktrace};
use wasmtime::{WasmParams, WasmResults};

use crate::call::{Stopped, invoke};
use crate::deadline::{AtTick, DeadlinePassed};
use crate::failure::{CallError, explain};
use crate::image::Image;
use crate::limits::CallLimits;
use crate::mapped::Laid;
use crate::module::Code;
use crate::pages::Pages;
use crate::{deadline, memory};

/// What a store carries for the length of one call.
pub(super) struct CallState {
    pub(super) deadline: Instant,
    pub(super) at_tick: AtTick,
    pub(super) request_id: RequestId,
    pub(super) log_lines_left: usize,
    /// Lines to come that were heard already, when the call was begun before.
    pub(super) log_lines_heard: usize,
    pub(super) log_line_max: usize,
    /// Whether it was told that lines were dropped.
    pub(super) log_cut: bool,
    memory_max: usize,
    table_max: usize,
}

/// An instance with its store.
pub(super) struct Instance {
    /// Which it has changed.
    pub(super) pages: Option<Pages>,
    /// The part of its memory to which an image is mapped.
    laid: Option<Laid>,
    pub(super) store: Store<CallState>,
    pub(super) memory: Memory,
    /// All that can change.
    pub(super) globals: Vec<Global>,
    pub(super) alloc: TypedFunc<u32, u32>,
    pub(super) handle: TypedFunc<(u32, u32), u64>,
    start: Option<TypedFunc<(), ()>>,
    initialize: Option<TypedFunc<(), ()>>,
    pub(super) panic_message: Option<TypedFunc<(), u64>>,
}

impl Instance {
    /// A new one, not initialised yet unless its start function runs by itself.
    pub(super) async fn new(code: &Code, state: CallState) -> Result<Instance, CallError> {
        let mut store = armed(code, state);
        let instance = code.instance.instantiate_async(&mut store).await;
        Instance::of(code, store, instance.map_err(|error| not_made(&error))?)
    }

    /// The same on the stack of the thread, which waits for it.
    pub(super) fn new_here(code: &Code, state: CallState) -> Result<Instance, Stopped> {
        let mut store = armed(code, state);
        let instance = code.instance.instantiate(&mut store);
        let instance = instance.map_err(|error| Stopped::by(&error, not_made))?;
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

    /// Another call begins.
    pub(super) fn begin(&mut self, state: CallState) {
        *self.store.data_mut() = state;
        deadline::rearm(&mut self.store);
        if let Some(pages) = &self.pages {
            pages.begin();
        }
    }

    /// Brings an image into its memory, which is new and zero all over.
    pub(super) fn lay(&mut self, image: &Image) -> Result<(), CallError> {
        let missing = |error: wasmtime::Error| CallError::no_instance(&error);
        memory::grow(self.memory, &mut self.store, image.size).map_err(missing)?;
        // Known before it is there: wherever this fails, it is cleared.
        self.laid = memory::room_for(image, self.memory, &self.store);
        let laid = memory::lay(image, self.memory, &mut self.store, self.laid.as_ref());
        laid.map_err(|error| CallError::no_instance(&error))
    }

    /// From now on it is noted what it changes in its memory, in this many stretches
    /// of pages at the most.
    pub(super) fn guard(&mut self, stretches: u32) -> Result<(), CallError> {
        let guarded = memory::guard(self.memory, &mut self.store, stretches);
        self.pages = Some(guarded.map_err(|error| CallError::no_instance(&error))?);
        Ok(())
    }

    /// Makes its memory what wasmtime takes it to be.
    fn release(&self) -> io::Result<()> {
        self.laid.as_ref().map_or(Ok(()), Laid::clear)?;
        self.pages.as_ref().map_or(Ok(()), Pages::release)
    }

    /// Runs what is to run once, before the first request.
    pub(super) async fn initialise(&mut self) -> Result<(), CallError> {
        for function in [self.start.clone(), self.initialize.clone()].into_iter().flatten() {
            if let Err(failure) = invoke(&mut self.store, &function, ()).await {
                return Err(failure.with_panic(self).await);
            }
        }
        Ok(())
    }

    /// The same on the stack of the thread, which waits for it.
    pub(super) fn initialise_here(&mut self) -> Result<(), Stopped> {
        for function in [self.start.clone(), self.initialize.clone()].into_iter().flatten() {
            if let Err(error) = function.call(&mut self.store, ()) {
                return Err(Stopped::from(error).with_panic(self));
            }
        }
        Ok(())
    }

    /// What it logs from now on is heard.
    pub(crate) fn unmute(&mut self, limits: &CallLimits) {
        let state = self.store.data_mut();
        (state.log_lines_left, state.log_cut) = (limits.log_lines_max, false);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // wasmtime is about to clear this memory for the next instance. That all of it
        // is alike takes fewer mappings than what there was, so this does not fail. If
        // it did, the next instance would get what this one has left: rather its place
        // is given up for good.
        if let Err(error) = self.release() {
            error!(%error, "cannot clear the memory of an instance; its place is lost until a restart");
            let state = CallState { log_cut: true, ..*self.store.data() };
            let empty = Store::new(&self.store.engine().clone(), state);
            std::mem::forget(std::mem::replace(&mut self.store, empty));
        }
    }
}

fn armed(code: &Code, state: CallState) -> Store<CallState> {
    let mut store = Store::new(code.instance.module().engine(), state);
    store.limiter(|state| state);
    deadline::arm(&mut store);
    store
}

/// Why an instance could not be made: because of its module, or of the system.
fn not_made(error: &wasmtime::Error) -> CallError {
    match error.is::<Trap>() || error.is::<DeadlinePassed>() || error.is::<WasmBacktrace>() {
        true => explain(error),
        false => CallError::no_instance(error),
    }
}

/// A store while its instance is taken apart into exports.
struct Exported {
    store: Store<CallState>,
    instance: wasmtime::Instance,
}

impl Exported {
    fn get<T>(&mut self, name: &ModuleExport, kind: impl Fn(Extern) -> Option<T>) -> Result<T, CallError> {
        let export = self.instance.get_module_export(&mut self.store, name).and_then(kind);
        export.ok_or_else(|| explain(&wasmtime::Error::msg("an export is not what it was")))
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

impl CallState {
    /// Of a call that began then, and gives way to others.
    pub(crate) fn new(limits: &CallLimits, id: RequestId, since: Instant) -> CallState {
        CallState {
            deadline: since + limits.deadline,
            at_tick: AtTick::GiveWay,
            request_id: id,
            log_lines_left: limits.log_lines_max,
            log_lines_heard: 0,
            log_line_max: limits.log_line_max,
            log_cut: false,
            memory_max: limits.memory_max,
            table_max: limits.table_max,
        }
    }

    /// Of a call that holds its thread.
    pub(super) fn of_short_call(self) -> CallState {
        CallState { at_tick: AtTick::GoOn, ..self }
    }

    /// Nothing is logged until the instance has been initialised: that was heard
    /// before.
    pub(super) fn quiet(self) -> CallState {
        CallState { log_lines_left: 0, log_cut: true, ..self }
    }

    /// The same call from the beginning, after it came as far as this.
    pub(crate) fn again(&self, limits: &CallLimits) -> CallState {
        CallState {
            at_tick: AtTick::GiveWay,
            log_lines_left: limits.log_lines_max,
            log_lines_heard: limits.log_lines_max - self.log_lines_left,
            ..*self
        }
    }
}

impl wasmtime::ResourceLimiter for CallState {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.memory_max)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_max)
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
        // No mapping begins there.
        instance.laid = Some(Laid::at(std::ptr::without_provenance_mut(1), 4096));
        drop(instance);
        // Of four places one is lost.
        let others = (new().await.unwrap(), new().await.unwrap(), new().await.unwrap());
        assert!(matches!(new().await, Err(CallError::NoInstance { .. })));
        drop(others);
        assert!(new().await.is_ok());
    }
}
