//! What a module may ask of the host: to write a line to its log. The line
//! stands under the request's id, is bounded as it is shown, and is quoted where
//! the line is made, so that it can neither flood the log nor pass for fields or
//! for a line of somebody else.

use handler_sdk::abi::{HOST, LOG, Span};
use host_http::quote::cut_for_log;
use tracing::{debug, error, info, trace, warn};
use wasmtime::{Caller, Extern, Linker, Result, ValType};

use crate::instance::CallState;
use crate::{memory, verify};

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
            let id = &state.request_id;
            warn!(target: "handler", %id, "more log lines were dropped (the limit is --log-lines-max)");
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
    // No character is shown in fewer bytes than it has. The cut may go through
    // one, whose rest is cut off in the next step.
    let shown = bytes.get(..limit.saturating_add(1)).unwrap_or(bytes);
    let line = cut_for_log(String::from_utf8_lossy(shown).into_owned(), limit);
    let id = &caller.data().request_id;
    match level {
        0 => error!(target: "handler", %id, "{line}"),
        1 => warn!(target: "handler", %id, "{line}"),
        2 => info!(target: "handler", %id, "{line}"),
        3 => debug!(target: "handler", %id, "{line}"),
        _ => trace!(target: "handler", %id, "{line}"),
    }
    Ok(())
}
