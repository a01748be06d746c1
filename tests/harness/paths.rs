//! Paths of the program under test, of fixtures and of temporary files. Cargo passes them
//! to the tests of package `host` only. The benches, which are another package, derive
//! them from the path of their own executable.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::wire;

/// Returns the path of the program under test. In a bench, builds the program first, in
/// the profile of the bench, so that no outdated program is measured.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| option_env!("CARGO_BIN_EXE_host").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        name => name.expect("a folder named after its profile"),
    };
    let arguments = ["build", "--locked", "--package", "host", "--bin", "host", "--profile", profile];
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).arg("--target-dir").arg(folder.parent().expect("a target folder"));
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("Cargo");
    let program = folder.join("host");
    assert!(
        built.success() && program.is_file(),
        "there is no program at {}; build it by `cargo {}`",
        program.display(),
        arguments.join(" ")
    );
    program
}

/// Returns the folder in the target folder in which Cargo built this executable, such as
/// `target/debug`.
fn profile_folder() -> PathBuf {
    let own = env::current_exe().expect("a path");
    own.ancestors().nth(2).expect("two folders above").to_owned()
}

/// Returns the folder for temporary files, in the target folder.
pub fn scratch() -> PathBuf {
    match option_env!("CARGO_TARGET_TMPDIR") {
        Some(folder) => folder.into(),
        None => profile_folder().with_file_name("tmp"),
    }
}

/// Returns the text of a module among the fixtures.
pub fn fixture_text(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

/// Returns the path of a module among the fixtures.
pub fn fixture(name: &str) -> String {
    wire::tests().join("fixtures").join(name).into_os_string().into_string().unwrap()
}
