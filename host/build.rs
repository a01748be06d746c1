//! Builds the default handler for WebAssembly, which the host embeds, so that
//! `cargo run -p host` needs no other step.
//!
//! The inner Cargo build has a target folder of its own, because the outer build holds
//! the lock of the usual one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("..");
    let handler = root.join("handler");
    for watched in ["Cargo.toml", "build.rs", "src", "sdk/Cargo.toml", "sdk/src"] {
        println!("cargo::rerun-if-changed={}", handler.join(watched).display());
    }
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
    println!("cargo::rerun-if-changed=build.rs");

    let out = PathBuf::from(variable("OUT_DIR")?);
    list_sdk(&handler.join("sdk/src"), &out.join("sdk.rs"))
        .map_err(|error| format!("cannot list the sources of the SDK: {error}"))?;

    install_target()?;
    let target_dir = out.join("handler");
    run(inner(variable("CARGO")?)
        .args(["build", "--release", "--locked", "--package", "handler"])
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(&root))?;
    let built = target_dir.join(TARGET).join("release/handler.wasm");
    let embedded = out.join("handler.wasm");
    fs::copy(&built, &embedded)
        .map_err(|error| format!("cannot copy {} to {}: {error}", built.display(), embedded.display()))?;
    Ok(())
}

/// Writes a Rust file that embeds the sources of the SDK. `host new` copies them into new crates.
fn list_sdk(sources: &Path, list: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    let mut folders = vec![sources.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    // Sorted, so that the same sources give the same program.
    files.sort();
    let mut text = "static SDK: &[(&str, &str)] = &[\n".to_owned();
    for file in files {
        let name = file.strip_prefix(sources).unwrap_or(&file);
        let file = fs::canonicalize(&file)?;
        text.push_str(&format!("    ({name:?}, include_str!({file:?})),\n"));
    }
    text.push_str("];\n");
    fs::write(list, text)
}

/// Installs the standard library of Rust for WebAssembly, unless it is installed already.
fn install_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    let answer = inner(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    if Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir() {
        return Ok(());
    }
    // rustup sets this variable for the Cargo that it starts, so the target is
    // added to the toolchain of this build.
    let Ok(toolchain) = variable("RUSTUP_TOOLCHAIN") else {
        return Err(format!(
            "the Rust target {TARGET} is missing and rustup is not there to add it; install it with \
             the tool that installed rustc (Debian's package is libstd-rust-dev-wasm32)"
        ));
    };
    let mut rustup = inner("rustup".into());
    rustup.args(["target", "add", TARGET, "--toolchain"]).arg(toolchain);
    run(&mut rustup).map_err(|error| {
        format!("the Rust target {TARGET} is missing: run `rustup target add {TARGET}` ({error})")
    })
}

/// Creates a command without the environment variables by which the outer Cargo passes its flags,
/// compiler wrappers (such as clippy) and target. These are meant for the host, and would break a
/// build for WebAssembly.
fn inner(program: OsString) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_the_outer_build = ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"].contains(&&*text)
            || ["CARGO_ENCODED_", "CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_CFG_"]
                .iter()
                .any(|prefix| text.starts_with(prefix));
        if of_the_outer_build {
            command.env_remove(name);
        }
    }
    // Set to empty rather than removed: without the variable, Cargo would take
    // flags from the user's configuration, which are meant for the host.
    command.env("CARGO_ENCODED_RUSTFLAGS", "");
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    // Cargo shows standard error when the script fails, and with `cargo build -vv`.
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?} failed with {}; its output is below", output.status))
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("Cargo did not set {name}"))
}
