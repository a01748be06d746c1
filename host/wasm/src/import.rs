//! The imports that a module may have: `log` and `random`.
//!
//! `log` writes one line to the log. Each line carries the id of the request. The number
//! of lines and their length are limited, so a module cannot flood the log. The log
//! formatter quotes the line, so it cannot pass for fields or for another line.
//!
//! `random` returns random bits that follow from the seed of the request, so that a
//! recorded request can be replayed exactly.

use handler_sdk::abi::{HOST, LOG, RANDOM, Span};
use host_http::quote::cut_for_log;
use sha2::{Digest, Sha256};
use tracing::{debug, error, info, trace, warn};
use wasmtime::{Caller, Extern, Linker, Result};

use crate::call_state::CallState;
use crate::memory;

/// Defines the imports `log` and `random` in a linker.
pub(super) fn define(linker: &mut Linker<CallState>) -> Result<()> {
    linker.func_wrap(HOST, LOG, log)?;
    linker.func_wrap(HOST, RANDOM, random)?;
    Ok(())
}

/// Implements the import `random`. Returns the next 64 bits: the first 8 bytes of SHA-256 of the
/// seed and a counter.
///
/// # Errors
///
/// Traps if the call has no seed, which is so while a module starts: bits drawn during the start
/// would be the same for all requests.
fn random(mut caller: Caller<'_, CallState>) -> Result<u64> {
    let state = caller.data_mut();
    let Some(seed) = state.seed else {
        return Err(wasmtime::Error::msg(
            "host.random was called while the module starts; expected calls while a request is handled",
        ));
    };
    let count = state.drawn;
    state.drawn += 1;
    let hash = Sha256::new().chain_update(seed).chain_update(count.to_le_bytes()).finalize();
    Ok(hash.iter().take(8).rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
}

fn log(mut caller: Caller<'_, CallState>, level: u32, address: u32, length: u32) -> Result<()> {
    let state = caller.data_mut();
    let limit = state.log_line_max;
    if state.log_lines_left == 0 {
        if !std::mem::replace(&mut state.log_cut, true) && state.log_lines_heard == 0 {
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
    let shown = caller.data().masked(bytes, limit.saturating_add(1));
    let line = cut_for_log(String::from_utf8_lossy(&shown).into_owned(), limit);
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
