//! Links the module with a small stack. The WebAssembly linker reserves a stack of 1 MiB by
//! default, which is 16 of the module's 17 pages of memory, and the host resets this memory for
//! every request.

/// Size of the module's stack in bytes. An action of the default handler needs well under 1 KiB in
/// a release build. When the stack is used up, the module traps rather than overwrites its data.
const STACK: u32 = 16 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
