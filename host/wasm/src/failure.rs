//! The errors of a call. Each says whose fault it is, and which flag would help.

use handler_sdk::abi::Span;
use host_http::quote::quoted;
use thiserror::Error;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::deadline::{AtTick, DeadlinePassed};
use crate::instance::Instance;
use crate::memory::BadSpan;
use crate::name::readable;
use crate::{bulk, deadline, memory};

/// Most frames of a trap's backtrace that are logged, innermost first.
pub const FRAMES_MAX: usize = 8;

/// Longest logged name of a function, in bytes. Names of generic code are longer, and
/// their beginning says enough.
pub const FRAME_MAX: usize = 120;

/// Longest logged message of wasmtime, in bytes. A message may quote the module, which
/// chooses the length.
pub const MESSAGE_MAX: usize = 500;

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// No permit came free in time, or the queue for permits is full.
    #[error(
        "no instance came free in time: {calls} long calls may run and {queue} may wait (--instances, --queue, --queue-timeout)"
    )]
    Busy {
        /// Most calls at once, apart from short ones.
        calls: usize,
        /// Most waiting calls.
        queue: usize,
    },
    /// An instance could not be created or prepared, although the limits allow it.
    #[error("cannot create an instance (the system may be short of memory): {cause}")]
    NoInstance {
        /// The message of wasmtime or of the system.
        cause: String,
    },
    /// The module trapped: it stopped itself, or broke a rule of WebAssembly.
    #[error("{}", self.describe())]
    Trap {
        /// wasmtime's message.
        trap: String,
        /// The module's own message, if it panicked.
        panic: Option<String>,
        /// The functions on the stack, innermost first.
        frames: Vec<String>,
    },
    /// The call passed its deadline.
    #[error("the call took longer than its deadline (--deadline)")]
    Deadline,
    /// `alloc` returned no memory for the request, or the request is too long for a
    /// memory.
    #[error(
        "the module has no room for a request of {length} bytes (limited by the module or by --memory-max)"
    )]
    NoRoom {
        /// The length of the whole request in bytes.
        length: usize,
    },
    /// `alloc` or `handle` returned a span outside of the module's memory.
    #[error("its export `{export}` returned a bad address: {cause}")]
    BadSpan {
        /// `alloc` or `handle`.
        export: &'static str,
        /// The span and the size of the memory.
        cause: BadSpan,
    },
    /// The response is longer than `--response-max`.
    #[error("its response is {length} bytes long, more than {limit} (--response-max)")]
    ResponseTooLong {
        /// The response's length in bytes.
        length: u32,
        /// The limit in bytes.
        limit: usize,
    },
}

impl CallError {
    pub(super) fn no_instance(error: &dyn std::fmt::Display) -> CallError {
        CallError::NoInstance { cause: error.to_string() }
    }

    /// Adds the module's panic message to a trap, by a call on a fiber. This is the last
    /// call into the instance. The message goes to the log only.
    pub(super) async fn with_panic(mut self, instance: &mut Instance) -> CallError {
        if let (CallError::Trap { panic, .. }, Some(function)) = (&mut self, &instance.panic_message) {
            instance.store.data_mut().at_tick = AtTick::GiveWay;
            let packed = function.call_async(&mut instance.store, ()).await;
            *panic = packed.ok().and_then(|packed| read_panic(instance, packed));
        }
        self
    }

    /// Adds the module's panic message to a trap, by a call on the stack of the current
    /// thread, which is ended if it takes long.
    pub(super) fn with_panic_here(mut self, instance: &mut Instance) -> CallError {
        if let (CallError::Trap { panic, .. }, Some(function)) = (&mut self, &instance.panic_message) {
            instance.store.data_mut().at_tick = AtTick::GoOn;
            deadline::rearm(&mut instance.store);
            let packed = function.call(&mut instance.store, ());
            *panic = packed.ok().and_then(|packed| read_panic(instance, packed));
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

/// Reads a panic message from the packed span; [`None`] if it is empty or invalid.
fn read_panic(instance: &Instance, packed: u64) -> Option<String> {
    let limit = instance.store.data().log_line_max;
    let bytes = memory::view(instance.memory, &instance.store, Span::unpack(packed)).ok()?;
    // One byte past the limit tells `quoted` to mark the cut. The cut may split a
    // character, which is then shown as invalid.
    let shown = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
    let line = quoted(&String::from_utf8_lossy(shown), limit).to_string();
    (!line.is_empty()).then_some(line)
}

/// Converts an error of wasmtime's.
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
    let frames = frames.iter().filter(|frame| frame.func_name() != Some(bulk::NAME)).take(FRAMES_MAX);
    let frames = frames.map(|frame| match frame.func_name() {
        Some(name) => readable(name, FRAME_MAX),
        None => format!("function {}", frame.func_index()),
    });
    CallError::Trap { trap, panic: None, frames: frames.collect() }
}
