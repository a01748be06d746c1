//! Converts wasmtime's errors to those of a call.

use host_http::quote::quoted;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::bulk;
use crate::call_error::CallError;
use crate::deadline::DeadlinePassed;
use crate::name::{FRAME_MAX, FRAMES_MAX, MESSAGE_MAX, readable};

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
