//! Includes the folder `public` in the module, and links the module with a small stack.

/// Size of the module's stack in bytes; the linker's default is 1 MiB.
const STACK: u32 = 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    handler_sdk::build::static_site("public");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
    }
}
