//! Builds the components of the fixtures, once for all tests, by the Cargo that runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{scratch, wire};

/// Target of Rust for components.
const TARGET: &str = "wasm32-wasip2";

/// Returns the path of the component that answers each request with one word.
pub fn hello() -> String {
    built("hello")
}

/// Returns the path of the component that does what may go wrong.
pub fn probe() -> String {
    built("probe")
}

fn built(name: &str) -> String {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(build);
    folder.join(format!("{name}.wasm")).into_os_string().into_string().unwrap()
}

fn build() -> PathBuf {
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let library = library.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    assert!(
        library.is_ok_and(|library| Path::new(&library).is_dir()),
        "the tests of components need the Rust target {TARGET}: run `rustup target add {TARGET}`"
    );
    // Another target folder, because the Cargo that runs the tests may have locked the usual one.
    let target = scratch().join("components");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--release", "--target", TARGET, "--target-dir"])
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .current_dir(wire::tests().join("fixtures/components"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join(TARGET).join("release")
}
