//! Function types as messages show them.

use wasmtime::ValType;

/// Returns the type of the import `log` for messages.
pub(super) fn log_type() -> String {
    signature(&[ValType::I32, ValType::I32, ValType::I32], &[])
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
