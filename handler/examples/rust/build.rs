//! Links modules with a small stack. All examples in this folder share this build script. The
//! WebAssembly linker's default stack is 1 MiB, which every instance would need.

/// Size of a module's stack in bytes. When the stack is used up, the module traps rather than
/// overwrites its data.
const STACK: u32 = 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
