//! Every way in which a call can go wrong, told so that whose fault it is and what
//! would help can be seen.

use handler_sdk::abi::Span;
use host_http::quote::quoted;
use thiserror::Error;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::deadline::{AtTick, DeadlinePassed};
use crate::instance::Instance;
use crate::memory::BadSpan;
use crate::name::readable;
use crate::{bulk, deadline, memory};

/// Most frames of a trap's backtrace that are told, innermost first.
pub const FRAMES_MAX: usize = 8;

/// The longest name of a function that is told, in bytes: those that compilers
/// make of generic code are longer, and their beginning says enough.
pub const FRAME_MAX: usize = 120;

/// The longest message of wasmtime's that is told, in bytes: it may quote the
/// module.
pub const MESSAGE_MAX: usize = 500;

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// No instance came free in time, or too many requests wait for one already.
    #[error(
        "no instance came free in time: {calls} calls run, and {queue} may wait (--instances, --queue, --queue-timeout)"
    )]
    Busy {
        /// How many may run at once, short ones left out.
        calls: usize,
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
        if let (CallError::Trap { panic, .. }, Some(function)) = (&mut self, &instance.panic_message) {
            instance.store.data_mut().at_tick = AtTick::GiveWay;
            let packed = function.call_async(&mut instance.store, ()).await;
            *panic = packed.ok().and_then(|packed| read_panic(instance, packed));
        }
        self
    }

    /// The same on the stack of the thread, which waits for it, but not for long.
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

/// What a module says about its trap, if it says anything.
fn read_panic(instance: &Instance, packed: u64) -> Option<String> {
    let limit = instance.store.data().log_line_max;
    let bytes = memory::view(instance.memory, &instance.store, Span::unpack(packed)).ok()?;
    // One byte more shows that there is more. The cut may go through a character,
    // whose rest is then shown as broken.
    let shown = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
    let line = quoted(&String::from_utf8_lossy(shown), limit).to_string();
    (!line.is_empty()).then_some(line)
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
    let frames = frames.iter().filter(|frame| frame.func_name() != Some(bulk::NAME)).take(FRAMES_MAX);
    let frames = frames.map(|frame| match frame.func_name() {
        Some(name) => readable(name, FRAME_MAX),
        None => format!("function {}", frame.func_index()),
    });
    CallError::Trap { trap, panic: None, frames: frames.collect() }
}
