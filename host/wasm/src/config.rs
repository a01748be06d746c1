//! The settings of wasmtime that compiled code depends on. Compile processes and the server use
//! the same ones.

use std::num::NonZeroUsize;

use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

use crate::name::{FRAMES_MAX, RUNTIME_FRAMES_MAX};
use crate::proposals;

/// Maximum native stack of a call, in bytes. A call that needs more traps.
pub const STACK_MAX: usize = 512 << 10;

/// Returns the settings for modules.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        // Compiled code checks a counter in every loop and function, and calls the host
        // when the ticker has incremented it.
        .epoch_interruption(true)
        .max_wasm_stack(STACK_MAX)
        // Not needed: no message shows a position inside a function, and no debugger
        // unwinds the code. Both cost time to compile.
        .generate_address_map(false)
        .native_unwind_info(false)
        .wasm_features(WasmFeatures::all(), false)
        .wasm_features(proposals::ON, true)
        // A trap lists as many functions as messages show and leave out, and one helper that
        // the host may have added. Positions in the source are never looked up.
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES_MAX + RUNTIME_FRAMES_MAX + 1))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // These two settings make a request give the same response on every machine:
        // WebAssembly leaves the bits of NaNs and the results of relaxed SIMD open.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    config
}

/// Returns the settings for components.
pub(super) fn component_config() -> Config {
    let mut config = config();
    config.wasm_features(proposals::OF_COMPONENTS, true);
    config
}
