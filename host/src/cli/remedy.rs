//! Remedies for modules that cannot serve, and for modules that could be better.

use handler_sdk::abi;
use host_wasm::{Anatomy, CallError, ModuleError};
use serde::Serialize;

/// A page of WebAssembly, in bytes.
pub(super) const PAGE: u64 = 65_536;

/// Initial pages above which there is a warning: 1 MiB, which is less than the
/// default stack that the linker gives the smallest module.
const PAGES_WITHOUT_WARNING: u64 = 16;

/// Bytes of debug information above which there is a warning.
const DEBUG_INFO_WITHOUT_WARNING: usize = 64 << 10;

const STACK: &str = "link with -zstack-size=16384, in build.rs: \
     println!(\"cargo::rustc-link-arg-cdylib=-zstack-size=16384\")";

/// Shortcoming of a module that can serve, and its remedy.
#[derive(Debug, Serialize)]
pub(super) struct Warning {
    pub(super) what: String,
    pub(super) remedy: String,
}

/// Returns the remedy for a module that cannot be compiled or breaks the contract.
pub(super) fn of_module(error: &ModuleError) -> String {
    use ModuleError as E;
    let remedy = match error {
        E::Empty => "build it again: the file was not written",
        E::TooLarge { .. } => {
            "build it with --release and strip = \"debuginfo\", or allow more by --module-max"
        }
        E::Component => "build with --target wasm32-unknown-unknown, without the step that makes a component",
        E::OtherText | E::NotWasm { .. } => {
            "name the .wasm file that cargo build --target wasm32-unknown-unknown has written"
        }
        E::Text(_) => "fix the text at that position (line:column)",
        E::Invalid(_) => "build it again, without WebAssembly features that are not supported by all engines",
        E::TooDemanding(_) => {
            "make its memory or its tables smaller, or allow more by --memory-max and --table-max"
        }
        E::TooComplex { .. } => "split the module: ordinary programs stay far below this limit",
        E::CompileMemory { .. } | E::CompilerKilled { .. } => {
            "make its largest functions smaller, or allow more by --compile-memory-max"
        }
        E::CompileTime { .. } => "make its largest functions smaller, or allow more by --compile-timeout",
        E::CodeTooLarge { .. } => "make it smaller, or allow more by --keep-bytes",
        E::Compiler(_) => "build it with another version of its compiler, and report this as a bug",
        E::NoCompiler(_) => "allow this user more processes (ulimit -u, pids.max), or free memory",
        E::MemoryTooLarge { .. } => return format!("{STACK}; or allow more by --memory-max"),
        E::ExportMissing { name, .. } if name == abi::MEMORY => {
            return format!("export it: (memory (export \"{name}\") 1) in text; linkers do so by default");
        }
        E::ExportMissing { .. } => {
            "write handler_sdk::export!(answer) in the crate that is the module, with crate-type = [\"cdylib\"]; \
             in another language, export the function of that name and type"
        }
        E::ExportType { .. } => "give the function that type, or another name",
        E::ImportUnknown { module, .. } if module.starts_with("wasi") => {
            "build for wasm32-unknown-unknown rather than WASI: a handler has no access to files, clocks or sockets"
        }
        E::ImportUnknown { module, .. } if module.contains("wbindgen") => {
            "remove wasm-bindgen and crates that need it: there is no JavaScript here"
        }
        E::ImportUnknown { .. } => {
            "find the code that declares it (extern \"C\" in Rust), and link the function or remove its use"
        }
        E::TooManyGlobals { .. } => "keep mutable data in memory, which costs nothing until it is written",
        E::ImportType { .. } => "declare the import with that type",
    };
    remedy.into()
}

/// Returns the remedy for a crate that does not build, if its compiler's errors show
/// one of the usual mistakes.
pub(super) fn of_build(errors: &str) -> Option<&'static str> {
    const REMEDIES: [(&[&str], &str); 4] = [
        (
            &["lang item `panic_impl`", "duplicate lang item"],
            "a crate links the standard library: turn on the feature `std` of handler-sdk in Cargo.toml, and \
             remove #![no_std] from src/lib.rs",
        ),
        (
            &[
                "no global memory allocator found",
                "cannot find macro `format`",
                "cannot find macro `vec`",
                "unlinked crate `alloc`",
                "TurnOnTheFeatureAllocOfHandlerSdk",
            ],
            "turn on the feature `alloc` of handler-sdk in Cargo.toml, and write use handler_sdk::prelude::*;",
        ),
        (
            &["`#[panic_handler]` function required"],
            "write handler_sdk::export!(answer) in src/lib.rs, or turn on the feature `std` of handler-sdk",
        ),
        (
            &[
                "fn pointer `for<'a> fn(handler_sdk::Request<'a>)",
                "&Request) -> Response",
                "&Request<'_>) -> Response",
                "&'a Request<'a>) -> Response<'a>",
            ],
            "an action takes the request by value: fn page(request: Request) -> Response",
        ),
    ];
    let holds = |signs: &[&str]| signs.iter().any(|sign| errors.contains(sign));
    REMEDIES.into_iter().find(|(signs, _)| holds(signs)).map(|(_, remedy)| remedy)
}

/// Returns the remedy for a module that does not start.
pub(super) fn of_start(error: &CallError) -> String {
    match error {
        CallError::Deadline => {
            format!("do less in `{}`, or allow more time by --deadline", abi::INITIALIZE)
        }
        CallError::NoInstance { .. } => "give the system more memory".into(),
        _ => format!("fix the start function or `{}` at that place", abi::INITIALIZE),
    }
}

/// Returns warnings about a module that can serve.
pub(super) fn warnings(anatomy: &Anatomy, put_back: Option<bool>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |what: String, remedy: &str| warnings.push(Warning { what, remedy: remedy.into() });
    let pages = anatomy.memory.map_or(0, |memory| memory.initial);
    if anatomy.has_default_stack {
        warn(
            format!("its stack takes 1 MiB, most of the {pages} pages that each instance starts with"),
            STACK,
        );
    } else if pages > PAGES_WITHOUT_WARNING {
        let mebibytes = (pages * PAGE) as f64 / f64::from(1 << 20);
        warn(
            format!("its memory starts at {pages} pages ({mebibytes:.1} MiB) for each instance"),
            "make large statics or the stack (-zstack-size) smaller",
        );
    }
    if anatomy.functions > 0 && anatomy.function_names == 0 {
        warn(
            "its functions have no names, so a trap reports their numbers only".into(),
            "keep the names: strip = \"debuginfo\" in the profile of Cargo.toml, rather than true or \"symbols\"",
        );
    }
    let debug_info = anatomy.debug_info();
    if debug_info > DEBUG_INFO_WITHOUT_WARNING {
        warn(
            format!("it holds {} KiB of debug information, which the host does not read", debug_info >> 10),
            "build with --release, or with strip = \"debuginfo\" in the profile of Cargo.toml",
        );
    }
    if put_back == Some(false) {
        let what = anatomy.changes_for_good.as_deref().unwrap_or("what it does");
        warn(
            format!("each request gets a new instance, which is slower: {what} cannot be reset"),
            "do not change tables or drop segments; compiled Rust does neither by default",
        );
    }
    if anatomy.exports.iter().any(|name| name == "_start" || name == "main") {
        warn(
            "it looks like a program, but its exported start function is never called".into(),
            &format!("move work that is done once to `{}`", abi::INITIALIZE),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::of_build;

    #[test]
    fn a_failed_build_names_the_remedy_of_a_usual_mistake() {
        for (errors, remedy) in [
            ("error[E0152]: found duplicate lang item `panic_impl`", "the feature `std`"),
            ("error: no global memory allocator found but one is required", "the feature `alloc`"),
            ("error: cannot find macro `format` in this scope", "the feature `alloc`"),
            ("error: `#[panic_handler]` function required, but not found", "export!(answer)"),
            ("error[E0106]: missing lifetime\nfn page(request: &Request) -> Response {", "by value"),
        ] {
            assert!(of_build(errors).is_some_and(|found| found.contains(remedy)), "{errors}");
        }
        assert_eq!(of_build("error: mismatched closing delimiter: `}`"), None);
    }
}
