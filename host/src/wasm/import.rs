//! What a module may ask of the host: to write a line to its log. The line
//! stands under the request's id, is bounded, and is escaped, so that it can
//! neither flood the log nor pass for a line of somebody else.

use handler_sdk::abi::{HOST, LOG, Span};
use tracing::{debug, error, info, trace, warn};
use wasmtime::{Caller, Extern, Linker, Result, ValType};

use super::instance::CallState;
use super::{memory, verify};
use crate::quote::quoted;

/// The type of the import `log`, as messages show it.
pub(super) fn log_type() -> String {
    verify::signature(&[ValType::I32, ValType::I32, ValType::I32], &[])
}

/// Offers the imports.
pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap(HOST, LOG, log)?;
    Ok(())
}

fn log(mut caller: Caller<'_, CallState>, level: u32, address: u32, length: u32) -> Result<()> {
    let state = caller.data_mut();
    let limit = state.log_line_max;
    if state.log_lines_left == 0 {
        if !state.log_cut {
            state.log_cut = true;
            let id = state.request_id.as_str();
            warn!(target: "handler", id, "more log lines were dropped (the limit is --log-lines-max)");
        }
        return Ok(());
    }
    state.log_lines_left -= 1;
    if state.log_lines_heard > 0 {
        state.log_lines_heard -= 1;
        return Ok(());
    }

    let Some(Extern::Memory(linear)) = caller.get_export(handler_sdk::abi::MEMORY) else {
        return Ok(());
    };
    // Checked whole, though only its beginning may be shown: a span outside the
    // memory is a mistake of the module either way, and it traps.
    let bytes = memory::view(linear, &caller, Span { address, length })?;
    // The cut may go through a character, whose rest is then shown as broken.
    let shown = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
    let line = String::from_utf8_lossy(shown);
    let line = quoted(&line, limit);
    let id = caller.data().request_id.as_str();
    match level {
        0 => error!(target: "handler", id, "{line}"),
        1 => warn!(target: "handler", id, "{line}"),
        2 => info!(target: "handler", id, "{line}"),
        3 => debug!(target: "handler", id, "{line}"),
        _ => trace!(target: "handler", id, "{line}"),
    }
    Ok(())
}
