//! One call of the handler: an instance with the state that every request starts
//! from, the request in, the response out, and every way in which that can go
//! wrong.

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use thiserror::Error;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, TypedFunc, WasmBacktrace, WasmParams, WasmResults};

use super::deadline::DeadlinePassed;
use super::engine::Purpose;
use super::handler::HandlerModule;
use super::instance::{CallState, Instance};
use super::memory::{self, BadSpan};
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

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// No instance came free in time, or too many requests wait for one already.
    #[error(
        "no instance came free in time: {instances} calls run, and {queue} may wait (--instances, --queue, --queue-timeout)"
    )]
    Busy {
        /// The limit on calls at once.
        instances: usize,
        /// The limit on those that wait.
        queue: usize,
    },
    /// There was room for another instance, and yet none could be made.
    #[error("the system gives no memory for an instance: {cause}")]
    NoInstance {
        /// What it said.
        cause: String,
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
    pub(super) fn no_instance(error: &dyn std::fmt::Display) -> CallError {
        CallError::NoInstance { cause: error.to_string() }
    }

    /// After a trap: asks the module what it has to say about it. This is the last
    /// call into the instance, and what it says is for the log alone.
    pub(super) async fn with_panic(mut self, instance: &mut Instance) -> CallError {
        let Instance { store, memory, panic_message, .. } = instance;
        if let (CallError::Trap { panic, .. }, Some(function)) = (&mut self, panic_message)
            && let Ok(packed) = function.call_async(&mut *store, ()).await
            && let Ok(bytes) = memory::view(*memory, &*store, Span::unpack(packed))
            && !bytes.is_empty()
        {
            let line_max = store.data().log_line_max;
            *panic = Some(quoted(&String::from_utf8_lossy(bytes), line_max).to_string());
        }
        self
    }

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
        let _permit = self.engine().admit(purpose).await?;
        let mut instance = self.take_instance(id).await?;
        match answer(&mut instance, request, self.engine().limits()).await {
            Ok(response) => {
                self.give_back(instance);
                Ok(response)
            }
            Err(failure) => Err(failure.with_panic(&mut instance).await),
        }
    }
}

pub(super) async fn answer(
    instance: &mut Instance,
    request: &[Bytes],
    limits: &Limits,
) -> Result<Bytes, CallError> {
    let length = request.iter().map(Bytes::len).sum();
    let no_room = || CallError::NoRoom { length };
    let span_length = u32::try_from(length).map_err(|_| no_room())?;

    let Instance { store, alloc, .. } = &mut *instance;
    let address = invoke(store, alloc, span_length).await?;
    if address == NO_ROOM {
        return Err(no_room());
    }
    let span = Span { address, length: span_length };
    memory::write(instance, span, request)?;

    let Instance { store, handle, .. } = &mut *instance;
    let span = Span::unpack(invoke(store, handle, (span.address, span.length)).await?);
    if span.length as usize > limits.response_max {
        return Err(CallError::ResponseTooLong { length: span.length, limit: limits.response_max });
    }
    let bytes = memory::view(instance.memory, &instance.store, span)
        .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::HANDLE, cause })?;
    Ok(Bytes::copy_from_slice(bytes))
}

/// Calls one function of a module.
pub(super) async fn invoke<P, R>(
    store: &mut Store<CallState>,
    function: &TypedFunc<P, R>,
    parameters: P,
) -> Result<R, CallError>
where
    P: WasmParams + Sync,
    R: WasmResults + Sync,
{
    function.call_async(store, parameters).await.map_err(|error| explain(&error))
}

/// What wasmtime's error means here.
pub(super) fn explain(error: &wasmtime::Error) -> CallError {
    if error.is::<DeadlinePassed>() {
        return CallError::Deadline;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::no_instance(error);
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
