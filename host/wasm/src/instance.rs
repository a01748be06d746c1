//! One instance of a module with its store: how it is created, initialised and dropped.
//!
//! Every request starts from the state just after `_initialize` and `configure`. If the host can
//! reset everything that a request may change (see `snapshot`), the two functions run once per
//! module, and an instance serves many requests, one after the other. Otherwise each request gets a
//! new instance, in which the two functions run again. This takes longer and leads to the same
//! state.

use std::io;

use bytesize::ByteSize;
use handler_sdk::abi::{ALLOC, NO_ROOM, Span};
use host_http::quote::quoted;
use tracing::error;
use wasmtime::{Extern, Global, Memory, ModuleExport, Store, Trap, TypedFunc, WasmBacktrace};
use wasmtime::{WasmParams, WasmResults};

use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::code::Code;
use crate::deadline::DeadlinePassed;
use crate::failure::{Stopped, explain, invoke, is_stack_overflow};
use crate::limits::CallLimits;
use crate::mapped::Mapping;
use crate::pages::Pages;
use crate::slots::Counted;
use crate::values::Values;
use crate::verify::Exports;
use crate::{deadline, memory};

/// An instance with its store.
pub(super) struct Instance {
    /// Pages of the memory that were written to; [`None`] if the instance will not be reset.
    pub(super) pages: Option<Pages>,
    /// The part of the memory over which the snapshot's image is mapped; [`None`] without such a
    /// mapping.
    pub(super) mapping: Option<Mapping>,
    pub(super) store: Store<CallState>,
    pub(super) memory: Memory,
    /// All mutable globals; empty if the instance cannot be reset.
    pub(super) globals: Vec<Global>,
    pub(super) alloc: TypedFunc<u32, u32>,
    pub(super) handle: TypedFunc<(u32, u32), u64>,
    /// The exported start function and `_initialize`, if the module has them.
    initialisers: Vec<TypedFunc<(), ()>>,
    configure: Option<TypedFunc<(u32, u32), ()>>,
    /// Value of the first mutable global, which is probably the stack pointer, before the first
    /// call.
    stack: Option<i32>,
    pub(super) panic_message: Option<TypedFunc<(), u64>>,
    /// Counts the instance (see [`Slots`](crate::slots::Slots)). This is the last field, so that it
    /// is dropped after the store, which frees the slot.
    counted: Counted,
}

impl Instance {
    /// Creates an instance. Runs the start function, unless `instrument` turned it into an export.
    /// Does not run `_initialize`.
    pub(super) async fn new(counted: Counted, code: &Code, state: CallState) -> Result<Instance, Stopped> {
        let mut store = Store::new(code.instance.module().engine(), state);
        store.limiter(|state| state);
        deadline::arm(&mut store);
        let instance = match store.data().on_fiber {
            true => code.instance.instantiate_async(&mut store).await,
            false => code.instance.instantiate(&mut store),
        };
        let instance = instance.map_err(|error| Stopped::by(&error, instantiation_failed))?;
        Ok(Instance::of(&code.exports, store, instance, counted)?)
    }

    fn of(
        exports: &Exports,
        mut store: Store<CallState>,
        instance: wasmtime::Instance,
        counted: Counted,
    ) -> Result<Instance, CallError> {
        let (configure, panic_message) = (exports.configure.as_ref(), exports.panic_message.as_ref());
        let globals: Vec<_> = (exports.globals.iter())
            .map(|name| export(&mut store, instance, name, Extern::into_global))
            .collect::<Result<_, _>>()?;
        Ok(Instance {
            pages: None,
            mapping: None,
            memory: export(&mut store, instance, &exports.memory, Extern::into_memory)?,
            stack: stack_pointer(&globals, &mut store),
            globals,
            alloc: function(&mut store, instance, &exports.alloc)?,
            handle: function(&mut store, instance, &exports.handle)?,
            initialisers: (exports.initialisers.iter())
                .map(|name| function(&mut store, instance, name))
                .collect::<Result<_, _>>()?,
            configure: configure.map(|name| function(&mut store, instance, name)).transpose()?,
            panic_message: panic_message.map(|name| function(&mut store, instance, name)).transpose()?,
            store,
            counted,
        })
    }

    /// Prepares a reset instance for its next call.
    pub(super) fn begin(&mut self, state: CallState) {
        let values = self.store.data_mut().values.take();
        *self.store.data_mut() = CallState { values, ..state };
        deadline::rearm(&mut self.store);
        if let Some(pages) = &self.pages {
            pages.begin();
        }
    }

    /// Undoes mappings and page protection of the memory, as wasmtime's pool expects before it
    /// reuses the slot.
    fn release(&self) -> io::Result<()> {
        self.mapping.as_ref().map_or(Ok(()), Mapping::clear)?;
        self.pages.as_ref().map_or(Ok(()), Pages::release)
    }

    /// Runs the exported start function and `_initialize`, and gives the module its values.
    pub(super) async fn initialise(&mut self) -> Result<(), Stopped> {
        match self.run_initialisers().await {
            Err(stopped) => Err(self.with_panic(stopped).await),
            Ok(()) => Ok(()),
        }
    }

    async fn run_initialisers(&mut self) -> Result<(), Stopped> {
        for function in &self.initialisers {
            invoke(&mut self.store, function, ()).await?;
        }
        let Some(configure) = &self.configure else {
            return Ok(());
        };
        let values = self.store.data().values.clone();
        let values = values.as_deref().map_or(&[][..], Values::encoded);
        // `Values` has at most `VALUES_MAX` bytes.
        let length = values.len() as u32;
        let address = invoke(&mut self.store, &self.alloc, length).await?;
        if address == NO_ROOM && length > 0 {
            let trap = format!(
                "`{ALLOC}` has no room for the {length} bytes of its values (limited by the module or by --memory-max)"
            );
            return Err(CallError::Trap { trap, panic: None, frames: Vec::new() }.into());
        }
        memory::write_values(self.memory, &mut self.store, Span { address, length }, values)?;
        invoke(&mut self.store, configure, (address, length)).await
    }

    /// Adds details to a trap: a stack overflow or a full memory as its cause, and the module's
    /// panic message. Masks secrets. Nothing may be called in the instance afterwards. On the
    /// thread's stack, `panic_message` is stopped if it takes long.
    pub(super) async fn with_panic(&mut self, mut stopped: Stopped) -> Stopped {
        self.name_overflow(&mut stopped);
        self.name_full_memory(&mut stopped);
        if let (Stopped::Failed(CallError::Trap { trap, .. }), Some(values)) =
            (&mut stopped, self.store.data().secrets())
        {
            *trap = values.mask(trap).into_owned();
        }
        if let (Stopped::Failed(CallError::Trap { panic, .. }), Some(function)) =
            (&mut stopped, &self.panic_message)
        {
            self.store.data_mut().first_tick = None;
            deadline::rearm(&mut self.store);
            let packed = invoke(&mut self.store, function, ()).await;
            *panic = packed.ok().and_then(|packed| self.read_panic(packed));
        }
        stopped
    }

    /// Says in the message of a trap that the module's own stack overflowed, if it did.
    fn name_overflow(&mut self, stopped: &mut Stopped) {
        if let Stopped::Failed(CallError::Trap { trap, .. }) = stopped {
            let now = stack_pointer(&self.globals, &mut self.store);
            if is_stack_overflow(trap, self.stack, now) {
                *trap = format!(
                    "stack overflow: the module's stack is used up; recurse less, keep large values elsewhere, or link \
                     with a larger -z stack-size (`STACK` in build.rs of a Rust crate) ({trap})"
                );
            }
        }
    }

    /// Says in the message of a trap that the memory reached its limit, if the call tried to grow
    /// it past the limit. Most modules trap when their memory cannot grow.
    fn name_full_memory(&self, stopped: &mut Stopped) {
        let state = self.store.data();
        if let Stopped::Failed(CallError::Trap { trap, .. }) = stopped
            && state.is_memory_full
        {
            let limit = ByteSize(state.memory_max as u64);
            *trap = format!("the memory reached its limit of {limit} (--memory-max); {trap}");
        }
    }

    /// Reads the panic message at the address and length that `panic_message` returned in one
    /// number; [`None`] if the message is empty or does not lie in the memory.
    fn read_panic(&self, packed: u64) -> Option<String> {
        let state = self.store.data();
        let limit = state.log_line_max;
        let bytes = memory::view(self.memory, &self.store, Span::unpack(packed)).ok()?;
        // One byte past the limit tells `quoted` to mark the cut. The cut may split a
        // character, which is then shown as invalid.
        let shown = state.masked(bytes, limit.saturating_add(1));
        let line = quoted(&String::from_utf8_lossy(&shown), limit).to_string();
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
        // fails, the slot is leaked, because the next instance in it could see what this
        // one has written.
        if let Err(error) = self.release() {
            error!(%error, "cannot clear the memory of an instance; its slot stays unused until a restart");
            let state = CallState { log_cut: true, values: None, ..*self.store.data() };
            let empty = Store::new(&self.store.engine().clone(), state);
            std::mem::forget(std::mem::replace(&mut self.store, empty));
            self.counted.forever();
        }
    }
}

/// Returns the value of the first mutable global if it is an i32: compilers keep the stack pointer
/// in this global.
fn stack_pointer(globals: &[Global], store: &mut Store<CallState>) -> Option<i32> {
    globals.first().and_then(|global| global.get(store).i32())
}

/// Classifies a failed instantiation: a trap or deadline is the module's fault, anything
/// else is the system's.
fn instantiation_failed(error: &wasmtime::Error) -> CallError {
    match error.is::<Trap>() || error.is::<DeadlinePassed>() || error.is::<WasmBacktrace>() {
        true => explain(error),
        false => CallError::no_instance(error),
    }
}

/// Returns the export of an instance at the position that was found when the module was checked.
fn export<T>(
    store: &mut Store<CallState>,
    instance: wasmtime::Instance,
    name: &ModuleExport,
    kind: fn(Extern) -> Option<T>,
) -> Result<T, CallError> {
    let differs = "an export differs from what was found when the module was checked";
    let export = instance.get_module_export(store, name).and_then(kind);
    export.ok_or_else(|| explain(&wasmtime::Error::msg(differs)))
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<CallState>,
    instance: wasmtime::Instance,
    name: &ModuleExport,
) -> Result<TypedFunc<P, R>, CallError> {
    let function = export(store, instance, name, Extern::into_func)?;
    function.typed(store).map_err(|error| explain(&error))
}

#[cfg(test)]
mod tests {
    use super::{CallError, CallState, Mapping, Stopped};
    use crate::compile::job::Effort;
    use crate::compile::pipeline::compile_here;
    use crate::engine::Engine;
    use crate::limits::CallLimits;
    use crate::module::CompiledModule;
    use host_http::request_id::RequestId;
    use std::sync::Arc;
    use std::time::Instant;

    const WORKS: &[u8] = include_bytes!("../../../tests/fixtures/works.wat");

    #[tokio::test]
    async fn a_memory_that_cannot_be_cleared_is_not_used_again() {
        let limits = CallLimits { instances: 1, ..CallLimits::default() };
        let engine = Engine::new(&limits).unwrap();
        let compiled = compile_here(WORKS, Effort::Quick).unwrap();
        let module = CompiledModule::new(&engine, compiled, None).unwrap();
        let module = module.start(Arc::default()).await.unwrap();
        let new = || module.instance(CallState::new(&limits, RequestId::none(), Instant::now()));
        let mut instance = new().await.unwrap();
        // Not aligned to a page, so mapping fails.
        instance.mapping = Some(Mapping::at(std::ptr::without_provenance_mut(1), 4096));
        drop(instance);
        // With `--instances 1` the pool has four slots, one of which is leaked.
        let others = (new().await.unwrap(), new().await.unwrap(), new().await.unwrap());
        assert!(matches!(new().await, Err(Stopped::Failed(CallError::NoInstance { .. }))));
        drop(others);
        assert!(new().await.is_ok());
    }
}
