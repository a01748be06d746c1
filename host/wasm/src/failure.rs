//! Calls one function of a module, and converts errors of wasmtime to errors of calls.

use host_http::quote::quoted;
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime::{Store, TypedFunc, WasmParams, WasmResults};

use crate::bulk;
use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::deadline::{DeadlinePassed, TakesLong};
use crate::name::{FRAME_MAX, FRAMES_MAX, MESSAGE_MAX, RUNTIME_FRAMES_MAX, readable};

/// Alignment of the stack pointer in the C ABI for WebAssembly, in bytes.
const STACK_ALIGNMENT: i32 = 16;

/// Assumed maximum size of a stack frame, in bytes. A stack pointer that is at most this far below
/// 0 counts as a stack overflow.
const FRAME_SIZE_MAX: i32 = 64 << 20;

/// Parts of the names of the functions with which Rust's runtime panics or aborts, including those
/// for lack of memory.
const RUNTIME: [&str; 20] = [
    "__rustc::",
    "__rust_abort",
    "__rust_end_short_backtrace",
    "__rust_panic",
    "__rust_start_panic",
    "rust_panic",
    "rust_begin_unwind",
    "begin_panic",
    "panic_handler",
    "abort_internal",
    "core::intrinsics::abort",
    "std::process::abort",
    "core::panicking::",
    "std::panicking::",
    "core::option::unwrap_failed",
    "core::option::expect_failed",
    "core::result::unwrap_failed",
    "rust_oom",
    "alloc::alloc::handle_alloc_error",
    "alloc::raw_vec::handle_error",
];

/// Converts an error of wasmtime to the error of a call.
pub(super) fn explain(error: &wasmtime::Error) -> CallError {
    if let Some(DeadlinePassed { limit }) = error.downcast_ref() {
        return CallError::Deadline { limit: *limit, frames: frames(error) };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return CallError::no_instance(error);
    }
    let trap = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => quoted(&error.root_cause().to_string(), MESSAGE_MAX).to_string(),
    };
    CallError::Trap { trap, panic: None, frames: frames(error) }
}

/// Returns the names of at most [`FRAMES_MAX`] functions on the stack at an error, innermost first.
/// Leaves out the innermost functions of Rust's runtime, which are the same for every panic.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let all = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], |backtrace| backtrace.frames());
    let own = || all.iter().filter(|frame| frame.func_name() != Some(bulk::NAME));
    let runtime = own().take(RUNTIME_FRAMES_MAX).take_while(|frame| is_runtime(&named(frame))).count();
    // A stack of the runtime alone is better than none.
    let left_out = if runtime < own().count() { runtime } else { 0 };
    own().skip(left_out).take(FRAMES_MAX).map(named).collect()
}

fn named(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => readable(name, FRAME_MAX),
        None => format!("function {}", frame.func_index()),
    }
}

fn is_runtime(name: &str) -> bool {
    // The first is that of the C library for WASI.
    name == "abort" || RUNTIME.iter().any(|part| name.contains(part))
}

/// Returns whether a trap means that the module's own stack, which is a part of its memory,
/// overflowed. Linkers put the stack at the start of the memory, aligned to 16 bytes. It grows
/// down, so the stack pointer is below 0 after an overflow. `start` is the stack pointer before the
/// first call, and `now` the one at the trap.
pub(super) fn is_stack_overflow(trap: &str, start: Option<i32>, now: Option<i32>) -> bool {
    let is_stack = start.is_some_and(|start| start > 0 && start % STACK_ALIGNMENT == 0);
    let is_past_end = now.is_some_and(|now| (-FRAME_SIZE_MAX..0).contains(&now));
    is_stack && is_past_end && trap == Trap::MemoryOutOfBounds.to_string()
}

/// Why an attempt at a call gave no response.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The call takes long on the thread's stack, and has to be repeated on a fiber.
    TakesLong,
    Failed(CallError),
}

impl Stopped {
    /// Converts an error of wasmtime: [`TakesLong`] to [`Stopped::TakesLong`], and any other with
    /// `explain` to [`Stopped::Failed`].
    pub(super) fn by(error: &wasmtime::Error, explain: fn(&wasmtime::Error) -> CallError) -> Stopped {
        if error.is::<TakesLong>() { Stopped::TakesLong } else { Stopped::Failed(explain(error)) }
    }
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Stopped {
        Stopped::Failed(error)
    }
}

impl From<wasmtime::Error> for Stopped {
    fn from(error: wasmtime::Error) -> Stopped {
        Stopped::by(&error, explain)
    }
}

impl From<Stopped> for CallError {
    fn from(stopped: Stopped) -> CallError {
        match stopped {
            Stopped::Failed(error) => error,
            // Unreachable: on a fiber no call is stopped for taking long, and an attempt
            // on the thread's stack is repeated on a fiber before its error gets here.
            Stopped::TakesLong => CallError::no_instance("a call on a fiber was stopped for taking long"),
        }
    }
}

/// Calls a function of a module, on a fiber or on the thread's stack, as [`CallState::on_fiber`]
/// says. On the thread's stack the future is ready at its first poll.
pub(super) async fn invoke<P, R>(
    store: &mut Store<CallState>,
    function: &TypedFunc<P, R>,
    parameters: P,
) -> Result<R, Stopped>
where
    P: WasmParams + Sync,
    R: WasmResults + Sync,
{
    Ok(match store.data().on_fiber {
        true => function.call_async(store, parameters).await?,
        false => function.call(store, parameters)?,
    })
}
