//! What is to be done about a module: one that cannot serve, and one that could
//! do better.

use handler_sdk::abi;
use host_wasm::{Anatomy, CallError, ModuleError};

use crate::cli::check::Warning;

/// A page of WebAssembly, in bytes.
const PAGE: u64 = 65_536;

/// Pages at first past which it is said: 1 MiB, less than what the linker's own
/// stack makes of the smallest module.
const PAGES_WITHOUT_A_WORD: u64 = 16;

/// Bytes of debug information past which it is said.
const DEBUG_INFO_WITHOUT_A_WORD: usize = 64 << 10;

const STACK: &str = "link with -zstack-size=16384, in build.rs: \
     println!(\"cargo::rustc-link-arg-cdylib=-zstack-size=16384\")";

/// For a module that is none, or not one of the contract.
pub(super) fn of_module(error: &ModuleError) -> String {
    use ModuleError as E;
    match error {
        E::Empty => "build it again: whatever should have written it has not".into(),
        E::TooLarge { .. } => {
            "build it with --release and strip = \"debuginfo\", or allow more by --module-max".into()
        }
        E::Component => {
            "build with --target wasm32-unknown-unknown, and leave out what makes a component of it".into()
        }
        E::OtherText | E::NotWasm { .. } => {
            "name the file that cargo build --target wasm32-unknown-unknown has made, which ends in .wasm".into()
        }
        E::Text(_) => "correct the text at that place (line:column)".into(),
        E::Invalid(_) => "build it again whole, and without features of WebAssembly that are not \
             common to all engines"
            .into(),
        E::TooDemanding(_) => "make its memory or its tables smaller, or allow more by --memory-max and --table-max".into(),
        E::TooComplex { .. } => "split the module: programs do not need as many".into(),
        E::CompileMemory { .. } | E::CompilerKilled { .. } => {
            "make its largest functions smaller, or allow more by --compile-memory-max".into()
        }
        E::CompileTime { .. } => {
            "make its largest functions smaller, or allow more by --compile-timeout".into()
        }
        E::CodeTooLarge { .. } => "make it smaller, or allow more by --keep-bytes".into(),
        E::Compiler(_) => "build it again with another version of its compiler, and report this".into(),
        E::NoCompiler(_) => "allow this user another process (ulimit -u, pids.max), or free some memory".into(),
        E::MemoryTooLarge { .. } => format!("{STACK}; or allow more by --memory-max"),
        E::ExportMissing { name, .. } if name == abi::MEMORY => {
            format!("export it: (memory (export \"{name}\") 1) in text; a linker does it unasked")
        }
        E::ExportMissing { .. } => {
            "write handler_sdk::export!(answer) in the crate that is the module, with crate-type = [\"cdylib\"]; \
             in another language, export the function of that name and type"
                .into()
        }
        E::ExportType { .. } => "give it that type, or another name".into(),
        E::ImportUnknown { module, .. } => of_import(module),
        E::TooManyGlobals { .. } => "keep what changes in memory, which costs nothing until it is written".into(),
        E::ImportType { .. } => "declare the import with that type".into(),
    }
}

fn of_import(module: &str) -> String {
    if module.starts_with("wasi") {
        return "build for wasm32-unknown-unknown rather than WASI: a handler reaches no file, clock or socket".into();
    }
    if module.contains("wbindgen") {
        return "do without wasm-bindgen and what needs it: there is no JavaScript here".into();
    }
    "find who declares it (extern \"C\" in Rust) and link it in, or do without".into()
}

/// For a module that does not start.
pub(super) fn of_start(error: &CallError) -> String {
    match error {
        CallError::Deadline => {
            format!("do less in `{}`, or allow more time by --deadline", abi::INITIALIZE)
        }
        CallError::NoInstance { .. } => "give the system more memory".into(),
        _ => format!("mend what its start function or `{}` does there", abi::INITIALIZE),
    }
}

/// For a module that can serve.
pub(super) fn warnings(anatomy: &Anatomy, put_back: Option<bool>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |what: String, remedy: &str| warnings.push(Warning { what, remedy: remedy.into() });
    let pages = anatomy.memory.map_or(0, |memory| memory.initial);
    if anatomy.has_default_stack {
        warn(format!("its stack is 1 MiB, most of the {pages} pages that each instance starts with"), STACK);
    } else if pages > PAGES_WITHOUT_A_WORD {
        let mebibytes = (pages * PAGE) as f64 / f64::from(1 << 20);
        warn(
            format!("its memory starts at {pages} pages ({mebibytes:.1} MiB), which each instance has"),
            "make large statics smaller, or the stack (-zstack-size)",
        );
    }
    if anatomy.functions > 0 && anatomy.function_names == 0 {
        warn(
            "it has no names for its functions, so a trap tells their numbers alone".into(),
            "keep the names: strip = \"debuginfo\" in the profile of Cargo.toml, rather than true or \"symbols\"",
        );
    }
    let debug_info = anatomy.debug_info();
    if debug_info > DEBUG_INFO_WITHOUT_A_WORD {
        warn(
            format!("{} KiB of it are debug information, which nothing here reads", debug_info >> 10),
            "build with --release, or with strip = \"debuginfo\" in the profile of Cargo.toml",
        );
    }
    if put_back == Some(false) {
        let what = anatomy.changes_for_good.as_deref().unwrap_or("what it does");
        warn(
            format!("each request gets a new instance, which takes longer: {what} cannot be put back"),
            "do without changing tables and dropping segments; Rust does both only when it is asked to",
        );
    }
    if anatomy.exports.iter().any(|name| name == "_start" || name == "main") {
        warn(
            "it looks like a program: what it exports as its beginning is never called".into(),
            &format!("do what is to be done once in `{}`", abi::INITIALIZE),
        );
    }
    warnings
}
