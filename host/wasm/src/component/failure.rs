//! Says why a call of a component gave no response.

use std::fmt::{self, Write as _};

use bytesize::ByteSize;
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::FieldMapError;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::call_error::CallError;
use crate::component::state::{RESOURCES_MAX, State};
use crate::deadline::DeadlinePassed;
use crate::failure;

/// Maximum length of an error code as text, in bytes.
const CODE_MAX: usize = 1 << 10;

/// Returns whether a guest ended by calling `exit` without an error, which counts as a normal
/// return.
pub(super) fn is_exit(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(I32Exit(0)))
}

/// Converts an error of wasmtime to the error of a call.
pub(super) fn explain(error: &wasmtime::Error, state: &State) -> CallError {
    let mut found = failure::explain(error);
    if let CallError::Trap { trap, panic, .. } = &mut found {
        if let Some(cause) = own_cause(error, state) {
            *trap = cause;
        }
        if state.is_memory_full {
            let limit = ByteSize(state.memory_max as u64);
            *trap = format!("the memory reached its limit of {limit} (--memory-max); {trap}");
        }
        *trap = state.values.mask(trap).into_owned();
        *panic = state.stdio.panic();
    }
    found
}

/// Returns the cause of an error that the host itself raised; [`None`] for any other error.
fn own_cause(error: &wasmtime::Error, state: &State) -> Option<String> {
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return Some(format!("it ended by wasi:cli/exit with status {status}"));
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) = error.downcast_ref() {
        let limit = state.response_head_max;
        return Some(format!("its fields take more than the {limit} bytes of a head (--response-head-max)"));
    }
    matches!(error.downcast_ref(), Some(ResourceTableError::Full)).then(|| {
        format!(
            "it holds more than {RESOURCES_MAX} streams, bodies, field lists and waits at a time (this limit is fixed)"
        )
    })
}

/// Converts the error of an instantiation: a trap or deadline is the component's fault, anything
/// else is the system's.
pub(super) fn instantiation_failed(error: &wasmtime::Error, state: &State) -> CallError {
    let is_own = error.is::<Trap>() || error.is::<DeadlinePassed>() || state.is_memory_full;
    match is_own || error.is::<wasmtime::WasmBacktrace>() {
        true => explain(error, state),
        false => CallError::no_instance(error),
    }
}

/// Returns the beginning of an error code as text. The guest chooses how long the texts in the code
/// are, and formatting all of a long one would hold the thread up.
pub(super) fn shown(code: &ErrorCode) -> String {
    let mut text = Beginning(String::new());
    // Ends with an error when the text is full.
    let _ = write!(text, "{code:?}");
    text.0
}

/// Text of at most [`CODE_MAX`] bytes, which refuses more.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = CODE_MAX.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

    use super::{CODE_MAX, shown};

    #[test]
    fn of_a_long_error_code_only_the_beginning_is_shown() {
        assert_eq!(shown(&ErrorCode::ConfigurationError), "ErrorCode::ConfigurationError");
        let long = shown(&ErrorCode::InternalError(Some("\u{e4}\u{1}".repeat(1 << 20))));
        assert!(long.starts_with("ErrorCode::InternalError(") && long.len() <= CODE_MAX);
    }
}
