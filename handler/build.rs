//! Makes the module small in memory. The linker's own choice for WebAssembly is
//! a stack of 1 MiB, that is 16 of the module's 17 pages, and what a module
//! owns is what its host must make fresh for every request.

/// Bytes of stack. An action here needs well under 1 KiB in a release build;
/// past the end of the stack the module traps rather than overwrites its data.
const STACK: u32 = 16 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
