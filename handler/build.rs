//! Keeps the module small in memory. The WebAssembly linker reserves a stack of 1
//! MiB by default, 16 of the module's 17 pages, and the host resets the memory of a
//! module for every request.

/// Bytes of stack in a release build, where an action here needs well under 1 KiB.
/// Past the end of the stack the module traps rather than overwrites its data.
const STACK: u32 = 16 * 1024;

/// Bytes of stack in a debug build, which keeps every variable in memory.
const DEBUG_STACK: u32 = 8 * STACK;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        let is_debug = std::env::var("PROFILE").is_ok_and(|profile| profile == "debug");
        let stack = if is_debug { DEBUG_STACK } else { STACK };
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={stack}");
    }
}
