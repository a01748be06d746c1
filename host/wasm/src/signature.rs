//! Function types as messages show them.

use handler_sdk::abi::{LOG, RANDOM};
use wasmtime::ValType;

/// Returns the names of the imports that are offered, with their types for messages.
pub(super) fn offered() -> [(&'static str, String); 2] {
    use ValType::{I32, I64};
    [(LOG, signature(&[I32, I32, I32], &[])), (RANDOM, signature(&[], &[I64]))]
}

/// Formats a function type for messages.
pub(super) fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("a function ({})", list(parameters)),
        [one] => format!("a function ({}) -> {one}", list(parameters)),
        _ => format!("a function ({}) -> ({})", list(parameters), list(results)),
    }
}
