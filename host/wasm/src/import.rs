//! The only import that a module may have: `log`, which writes one line to the log.
//! Each line carries the id of the request. The number of lines and their length are
//! limited, so a module cannot flood the log. The log formatter quotes the line, so it
//! cannot pass for fields or for another line.

use handler_sdk::abi::{HOST, LOG, Span};
use host_http::quote::cut_for_log;
use tracing::{debug, error, info, trace, warn};
use wasmtime::{Caller, Extern, Linker, Result};

use crate::call_state::CallState;
use crate::memory;

/// Defines the imports in a linker.
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
    // The whole span is checked, even if only its beginning is shown: a span outside of
    // the memory is a mistake of the module, and traps.
    let bytes = memory::view(linear, &caller, Span { address, length })?;
    // Quoting never makes a character shorter, so `limit` + 1 bytes are enough to fill
    // the line. A character split here is removed by `cut_for_log`.
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
