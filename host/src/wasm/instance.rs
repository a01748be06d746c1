//! One call of the handler: a fresh instance, the request in, the response out,
//! and every way in which that can go wrong.
//!
//! An instance answers one request and is given up, whatever happened in it, so
//! nothing that one request wrote can be seen by the next.

use std::time::Instant;

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use thiserror::Error;
use wasmtime::{Instance, Memory, ModuleExport, Store, Trap, WasmBacktrace, WasmParams, WasmResults};

use super::deadline::{self, DeadlinePassed};
use super::engine::Purpose;
use super::memory::{self, BadSpan};
use super::module::HandlerModule;
use crate::limits::Limits;
use crate::quote::quoted;
use crate::request_id::RequestId;

/// Most frames of a trap's backtrace that are told, innermost first.
const FRAMES_MAX: usize = 8;

/// The longest name of a function that is told, in bytes: those that compilers
/// make of generic code are longer, and their beginning says enough.
const FRAME_MAX: usize = 120;

/// The longest message of wasmtime's that is told, in bytes: it may quote the
/// module.
pub(super) const MESSAGE_MAX: usize = 500;

/// What a store carries for the length of one call.
pub(super) struct CallState {
    pub(super) deadline: Instant,
    pub(super) request_id: RequestId,
    pub(super) log_lines_left: usize,
    pub(super) log_line_max: usize,
    /// Whether it was told that lines were dropped.
    pub(super) log_cut: bool,
    memory_max: usize,
    table_max: usize,
}

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// No instance came free in time.
    #[error("no instance came free in time; {instances} calls run (--instances, --queue-timeout)")]
    Busy {
        /// The limit on calls at once.
        instances: usize,
    },
    /// The module stopped itself, or was stopped by WebAssembly's rules.
    #[error("{}", self.describe())]
    Trap {
        /// What happened, in wasmtime's words.
        trap: String,
        /// The module's own words, where it panicked.
        panic: Option<String>,
        /// Functions, innermost first.
        frames: Vec<String>,
    },
    /// The call ran for too long.
    #[error("the call took longer than its deadline (--deadline)")]
    Deadline,
    /// `alloc` said that there is no room for the request.
    #[error("the module has no room for a request of {length} bytes (its limit, or --memory-max)")]
    NoRoom {
        /// Of the whole request, in bytes.
        length: usize,
    },
    /// `alloc` or `handle` returned something that is not in its memory.
    #[error("its export `{export}` returned a bad address: {cause}")]
    BadSpan {
        /// Which of them.
        export: &'static str,
        /// What it returned.
        cause: BadSpan,
    },
    /// The response is past the limit.
    #[error("its response is {length} bytes long, more than {limit} (--response-max)")]
    ResponseTooLong {
        /// In bytes.
        length: u32,
        /// In bytes.
        limit: usize,
    },
}

impl CallError {
    fn describe(&self) -> String {
        let CallError::Trap { trap, panic, frames } = self else {
            return String::new();
        };
        let mut text = trap.clone();
        if let Some(panic) = panic {
            text.push_str(&format!("; panic: {panic}"));
        }
        if !frames.is_empty() {
            text.push_str(&format!("; in {}", frames.join(" < ")));
        }
        text
    }
}

impl HandlerModule {
    /// Makes one instance and gives it up again: shows that a module starts.
    ///
    /// # Errors
    ///
    /// [`CallError`] when its start function or `_initialize` fails.
    pub async fn try_start(&self) -> Result<(), CallError> {
        let _permit = self.engine.admit(Purpose::Candidate).await?;
        Call::start(self, RequestId::none()).await.map(|_| ())
    }

    /// Calls the handler with one request, whose bytes are the pieces one after
    /// the other, and returns the bytes of its response, still unchecked.
    ///
    /// # Errors
    ///
    /// [`CallError`] says what went wrong, and in whom.
    pub async fn call(&self, request: &[Bytes], id: RequestId) -> Result<Bytes, CallError> {
        self.call_for(Purpose::Request, request, id).await
    }

    /// The same for a module that does not serve yet. It does not wait for
    /// those that do, and they do not wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`HandlerModule::call`].
    pub async fn call_as_candidate(&self, request: &[Bytes], id: RequestId) -> Result<Bytes, CallError> {
        self.call_for(Purpose::Candidate, request, id).await
    }

    async fn call_for(&self, purpose: Purpose, request: &[Bytes], id: RequestId) -> Result<Bytes, CallError> {
        let _permit = self.engine.admit(purpose).await?;
        Call::start(self, id).await?.answer(request).await
    }
}

/// An instance with its store, for the length of one call.
struct Call<'m> {
    module: &'m HandlerModule,
    limits: &'m Limits,
    store: Store<CallState>,
    instance: Instance,
}

impl<'m> Call<'m> {
    async fn start(module: &'m HandlerModule, request_id: RequestId) -> Result<Call<'m>, CallError> {
        let limits = module.engine.limits();
        let state = CallState {
            deadline: Instant::now() + limits.deadline,
            request_id,
            log_lines_left: limits.log_lines_max,
            log_line_max: limits.log_line_max,
            log_cut: false,
            memory_max: limits.memory_max,
            table_max: limits.table_max,
        };
        let mut store = Store::new(module.engine.wasmtime(), state);
        store.limiter(|state| state);
        deadline::arm(&mut store);
        let instance =
            module.instance.instantiate_async(&mut store).await.map_err(|error| explain(&error))?;
        let mut call = Call { module, limits, store, instance };
        if let Some(initialize) = &module.exports.initialize {
            call.invoke::<(), ()>(initialize, ()).await?;
        }
        Ok(call)
    }

    async fn answer(mut self, request: &[Bytes]) -> Result<Bytes, CallError> {
        let exports = &self.module.exports;
        let length = request.iter().map(Bytes::len).sum();
        let no_room = || CallError::NoRoom { length };
        let span_length = u32::try_from(length).map_err(|_| no_room())?;

        let address: u32 = self.invoke(&exports.alloc, span_length).await?;
        if address == NO_ROOM {
            return Err(no_room());
        }
        let span = Span { address, length: span_length };
        let memory = self.memory()?;
        memory::write(memory, &mut self.store, span, request)
            .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::ALLOC, cause })?;

        let packed: u64 = self.invoke(&exports.handle, (span.address, span.length)).await?;
        let span = Span::unpack(packed);
        if span.length as usize > self.limits.response_max {
            return Err(CallError::ResponseTooLong { length: span.length, limit: self.limits.response_max });
        }
        let bytes = memory::view(memory, &self.store, span)
            .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::HANDLE, cause })?;
        Ok(Bytes::copy_from_slice(bytes))
    }

    /// Calls one export of the contract.
    async fn invoke<P, R>(&mut self, export: &ModuleExport, parameters: P) -> Result<R, CallError>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        match self.invoke_raw(export, parameters).await {
            Ok(results) => Ok(results),
            Err(error) => {
                let mut failure = explain(&error);
                if let CallError::Trap { panic, .. } = &mut failure {
                    *panic = self.panic_message().await;
                }
                Err(failure)
            }
        }
    }

    async fn invoke_raw<P, R>(&mut self, export: &ModuleExport, parameters: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        let function = self.instance.get_module_export(&mut self.store, export);
        let function = function.and_then(|export| export.into_func());
        let function = function.ok_or_else(|| wasmtime::Error::msg("an export is not a function"))?;
        function.typed::<P, R>(&self.store)?.call_async(&mut self.store, parameters).await
    }

    fn memory(&mut self) -> Result<Memory, CallError> {
        let export = self.instance.get_module_export(&mut self.store, &self.module.exports.memory);
        let memory = export.and_then(|export| export.into_memory());
        memory.ok_or_else(|| explain(&wasmtime::Error::msg("an export is not a memory")))
    }

    /// After a trap: what the module has to say about it. This is the last call
    /// into the instance, and what it says is for the log alone.
    async fn panic_message(&mut self) -> Option<String> {
        let export = self.module.exports.panic_message.as_ref()?;
        let packed: u64 = self.invoke_raw(export, ()).await.ok()?;
        let memory = self.memory().ok()?;
        let bytes = memory::view(memory, &self.store, Span::unpack(packed)).ok()?;
        let text = String::from_utf8_lossy(bytes);
        (!text.is_empty()).then(|| quoted(&text, self.limits.log_line_max).to_string())
    }
}

/// What wasmtime's error means here.
fn explain(error: &wasmtime::Error) -> CallError {
    if error.is::<DeadlinePassed>() {
        return CallError::Deadline;
    }
    let trap = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => quoted(&error.root_cause().to_string(), MESSAGE_MAX).to_string(),
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], |backtrace| backtrace.frames());
    let frames = frames.iter().take(FRAMES_MAX).map(|frame| match frame.func_name() {
        Some(name) => quoted(&format!("{:#}", rustc_demangle::demangle(name)), FRAME_MAX).to_string(),
        None => format!("function {}", frame.func_index()),
    });
    CallError::Trap { trap, panic: None, frames: frames.collect() }
}

impl wasmtime::ResourceLimiter for CallState {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.memory_max)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_max)
    }
}
