//! Calls one function of a module, on a fiber or on the thread's stack.

use wasmtime::{Store, TypedFunc, WasmParams, WasmResults};

use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::deadline::TakesLong;
use crate::failure::explain;

/// Why a call on the thread's stack gave no response.
pub(super) enum Stopped {
    /// The call takes long and has to be repeated on a fiber.
    TakesLong,
    Failed(CallError),
}

impl Stopped {
    /// Converts wasmtime's error. `explain` converts all errors but [`TakesLong`].
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

/// Calls a function of a module on a fiber.
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
