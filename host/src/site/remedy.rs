//! Remedies: what to change in modules that cannot serve, or that could be better.

use handler_sdk::abi;
use host_wasm::{Anatomy, CallError, Kind, ModuleError};
use serde::Serialize;

/// Cause of the rejection of a module that cannot take configuration values, although some are set
/// for it (`--var`, `--secret`).
pub const NO_CONFIGURE: &str = "there are values for the module, but it exports no function `configure`";

/// Remedy for the rejection with the cause [`NO_CONFIGURE`].
pub const TAKE_VALUES: &str =
    "in a Rust crate, write export!(answer, values); or give it no values (--var, --secret, vars, secrets)";

/// Size of a WebAssembly page in bytes.
pub(crate) const PAGE: u64 = 65_536;

/// Maximum number of initial memory pages without a warning: 1 MiB, which the default stack of the
/// linker alone takes.
const PAGES_WITHOUT_WARNING: u64 = 16;

/// Maximum size of debug information without a warning, in bytes.
const DEBUG_INFO_WITHOUT_WARNING: usize = 64 << 10;

/// Language in which a module was written, as far as the file shows. Decides what remedies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    AssemblyScript,
    C,
    Nim,
    Rust,
    TinyGo,
    Zig,
    Unknown,
}

impl Language {
    /// Detects the language from the compilers that the file names, and from exports and imports
    /// that only one compiler generates.
    pub(crate) fn of(anatomy: &Anatomy) -> Language {
        // A compiler that also names another, which it builds on, comes first.
        let known = [
            ("tinygo", Language::TinyGo),
            ("zig", Language::Zig),
            ("assemblyscript", Language::AssemblyScript),
            ("rust", Language::Rust),
            ("clang", Language::C),
            ("c11", Language::C),
            ("c99", Language::C),
            ("c_plus_plus", Language::C),
        ];
        let producers: Vec<_> = anatomy.producers.iter().map(|name| name.to_lowercase()).collect();
        let named = known.iter().find(|(name, _)| producers.iter().any(|each| each.starts_with(name)));
        let has = |export: &str| anatomy.exports.iter().any(|each| each == export);
        let aborts = anatomy.imports.iter().any(|(module, name)| module == "env" && name == "abort");
        match named {
            _ if has("NimMain") => Language::Nim,
            Some((_, language)) => *language,
            None if aborts || has("__pin") || has("__rtti_base") => Language::AssemblyScript,
            None => Language::Unknown,
        }
    }

    fn stack(self) -> &'static str {
        match self {
            Language::Rust | Language::Unknown => {
                "link with -zstack-size=16384, in build.rs: \
                 println!(\"cargo::rustc-link-arg-cdylib=-zstack-size=16384\")"
            }
            Language::C => "link with -Wl,-z,stack-size=16384,--stack-first",
            Language::Zig => "build with --stack 16384",
            Language::Nim => "link with --passL:-Wl,-z,stack-size=16384,--stack-first",
            Language::TinyGo => "link with -z stack-size=16384, in the ldflags of the target's file",
            Language::AssemblyScript => "build with a smaller --initialMemory, in pages of 64 KiB",
        }
    }

    fn export(self) -> &'static str {
        match self {
            Language::Rust => {
                "write handler_sdk::export!(answer) in the crate that is the module, with crate-type = [\"cdylib\"]"
            }
            Language::C => "export the function: __attribute__((export_name(\"NAME\")))",
            Language::Zig => "write export fn, and build with -rdynamic or --export=NAME",
            Language::Nim => "give the function {.exportc.}, and link with --passL:-Wl,--export=NAME",
            Language::TinyGo => "write //go:wasmexport NAME above the function",
            Language::AssemblyScript => "write export function NAME in the entry file",
            Language::Unknown => {
                "write handler_sdk::export!(answer) in the crate that is the module, with crate-type = [\"cdylib\"]; \
                 in another language, export the function of that name and type"
            }
        }
    }

    fn names(self) -> &'static str {
        match self {
            Language::Rust | Language::Unknown => {
                "keep the names: strip = \"debuginfo\" in the profile of Cargo.toml, rather than true or \"symbols\""
            }
            Language::AssemblyScript => "keep the names: build with --debug",
            Language::Zig => "keep the names: build without -fstrip",
            Language::TinyGo => "keep the names: build without -no-debug",
            Language::C | Language::Nim => "keep the names: link without -s and --strip-all",
        }
    }

    fn debug_info(self) -> &'static str {
        match self {
            Language::Rust | Language::Unknown => {
                "build with --release, or with strip = \"debuginfo\" in the profile of Cargo.toml"
            }
            Language::C => "build without -g, or link with -Wl,--strip-debug",
            Language::Nim => "build without --debugger:native, or link with --passL:-Wl,--strip-debug",
            Language::Zig => "build with -O ReleaseSmall",
            Language::TinyGo => "build with -no-debug",
            Language::AssemblyScript => "build without --debug",
        }
    }
}

/// Shortcoming of a module that can serve, and its remedy.
#[derive(Debug, Serialize)]
pub(crate) struct Warning {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// Returns the remedy for a module that cannot be compiled or breaks the contract.
pub(crate) fn of_module(error: &ModuleError, language: Language) -> String {
    use ModuleError as E;
    let remedy = match error {
        E::Empty => "build it again: the file was not written",
        E::Incomplete { .. } => "build it or copy it again: the file was not written to its end",
        E::TooLarge { .. } if language != Language::Rust && language != Language::Unknown => {
            "build it for size, without debug information, or allow more by --module-max"
        }
        E::TooLarge { .. } => {
            "build it with --release and strip = \"debuginfo\", or allow more by --module-max"
        }
        E::OtherText | E::NotWasm { .. } => {
            "name the .wasm file that cargo build --target wasm32-unknown-unknown has written"
        }
        E::Text(_) => "fix the text at that position (line:column)",
        E::Invalid(cause) if is_limit(cause) => {
            "make the part that is named smaller: WebAssembly itself has this limit, and no flag changes it"
        }
        E::Invalid(_) | E::InvalidComponent(_) => {
            "build it again, without WebAssembly features that are not supported by all engines"
        }
        E::TooDemanding(_) => {
            "make its memory or its tables smaller, or allow more by --memory-max and --table-max"
        }
        E::TooComplex { .. } => "split the module: ordinary programs stay far below this limit",
        E::CompileMemory { .. } | E::CompilerKilled { .. } => {
            "make its largest functions smaller, or allow more by --compile-memory-max"
        }
        E::CompileMemoryLeft { .. } => {
            "make its largest functions smaller, or give the machine or the cgroup more memory"
        }
        E::CompileTime { .. } => "make its largest functions smaller, or allow more by --compile-timeout",
        E::CodeTooLarge { .. } => "make it smaller, or allow more by --keep-bytes",
        E::PastLimit(_) => "make the module smaller: the engine has this limit, and no flag changes it",
        E::NotMapped(cause) | E::NoCompiler(cause) if lacks_descriptors(cause) => {
            "allow this process more open files (ulimit -n, LimitNOFILE= of systemd), or lower --connections"
        }
        E::NotMapped(_) => "give the system more memory, or more mappings (vm.max_map_count)",
        E::Compiler(cause) if is_limit(cause) => {
            "make its largest functions smaller: the compiler has this limit, and no flag changes it"
        }
        E::Compiler(_) => "build it with another version of its compiler, and report this as a bug",
        E::NoCompiler(_) => "allow this user more processes (ulimit -u, pids.max), or free memory",
        E::MemoryTooLarge { minimum, .. } if *minimum <= PAGE => {
            "allow at least one page of memory: --memory-max 64KiB"
        }
        E::MemoryTooLarge { .. } => return format!("{}; or allow more by --memory-max", language.stack()),
        E::ExportMissing { name, .. } if name == abi::MEMORY => {
            return format!("export it: (memory (export \"{name}\") 1) in text; linkers do so by default");
        }
        E::ExportMissing { name, .. } if name.starts_with("wasi:") => {
            "build a component of the world wasi:http/proxy, in Rust by wasi::http::proxy::export!(...) and --target wasm32-wasip2; \
             or a module for wasm32-unknown-unknown, which is no component"
        }
        E::ExportMissing { .. } => language.export(),
        E::NotGranted { .. } => {
            "remove what uses it: a component gets WASI 0.2 as wasi:http/proxy has it, and nothing else"
        }
        E::Unfit(_) => "build it for a release of WASI 0.2, with an up-to-date version of its tools",
        E::ExportType { .. } => "give the function that type, or another name",
        E::ImportUnknown { module, .. } if module.starts_with("wasi") => {
            "build for wasm32-unknown-unknown rather than WASI: a handler has no access to files, clocks or sockets"
        }
        E::ImportUnknown { module, .. } if module.contains("wbindgen") => {
            "remove wasm-bindgen and crates that need it: there is no JavaScript here"
        }
        E::ImportUnknown { name, .. } if name.starts_with("__getrandom_") => {
            "turn on the feature `getrandom` of handler-sdk, which draws random bytes from the host"
        }
        E::ImportUnknown { module, name, .. } if language == Language::AssemblyScript && module == "env" => {
            return format!(
                "compile with --use {name}= (nothing behind the =), which turns it into nothing, or link a function"
            );
        }
        E::ImportUnknown { .. } => {
            "find the code that declares it (extern \"C\" in Rust), and link the function or remove its use"
        }
        E::TooManyGlobals { .. } => "keep mutable data in memory, which costs nothing until it is written",
        E::ImportType { .. } => "declare the import with that type",
    };
    remedy.into()
}

/// Returns the remedy for a module that does not start. `lacks_values` says whether the module
/// takes configuration values, but was given none.
pub(crate) fn of_start(kind: Kind, error: &CallError, lacks_values: bool) -> String {
    match error {
        CallError::Deadline { .. } if kind == Kind::Component => {
            "do less while it is instantiated, or allow more time by --deadline".into()
        }
        CallError::Deadline { .. } => {
            format!(
                "do less in `{}` or `{}`, or allow more time by --deadline",
                abi::INITIALIZE,
                abi::CONFIGURE
            )
        }
        CallError::NoInstance { cause } if lacks_descriptors(cause) => {
            "allow this process more open files (ulimit -n, LimitNOFILE= of systemd)".into()
        }
        CallError::Busy { .. } | CallError::CandidatesBusy { .. } => {
            "try again when the others are done".into()
        }
        CallError::NoInstance { .. } => "give the system more memory".into(),
        _ if kind == Kind::Component => {
            "fix what runs while it is instantiated, or allow more memory by --memory-max".into()
        }
        _ => {
            let values = if lacks_values { ", or give it its values (--var, --secret)" } else { "" };
            let (initialize, configure) = (abi::INITIALIZE, abi::CONFIGURE);
            format!("fix the start function, `{initialize}` or `{configure}` at that place{values}")
        }
    }
}

/// Returns whether an error message of a compiler or a parser is about a fixed limit.
fn is_limit(cause: &str) -> bool {
    ["limit", "too large", "too big", "exceeds"].iter().any(|word| cause.contains(word))
}

/// Returns whether an error message of the system says that no file descriptor is left (EMFILE or
/// ENFILE).
fn lacks_descriptors(cause: &str) -> bool {
    ["os error 24", "os error 23"].iter().any(|error| cause.contains(error))
}

/// Returns warnings about a module that can serve, but could be better. `put_back` says whether an
/// instance can be reset after a request and used again; [`None`] if that is unknown.
pub(crate) fn warnings(anatomy: &Anatomy, put_back: Option<bool>) -> Vec<Warning> {
    let language = Language::of(anatomy);
    let is_component = anatomy.kind == Kind::Component;
    let mut warnings = Vec::new();
    let mut warn = |what: String, remedy: &str| warnings.push(Warning { what, remedy: remedy.into() });
    let pages = anatomy.memory.map_or(0, |memory| memory.initial);
    // The stack of a component is that of the libraries for WASI.
    if anatomy.has_default_stack && !is_component {
        warn(
            format!("its stack takes 1 MiB, most of the {pages} pages that each instance starts with"),
            language.stack(),
        );
    } else if pages > PAGES_WITHOUT_WARNING && !is_component {
        let mebibytes = (pages * PAGE) as f64 / f64::from(1 << 20);
        warn(
            format!("its memory starts at {pages} pages ({mebibytes:.1} MiB) for each instance"),
            "make large statics or the stack (-zstack-size) smaller",
        );
    }
    if anatomy.functions > 0 && anatomy.function_names == 0 {
        warn("its functions have no names, so a trap reports their numbers only".into(), language.names());
    }
    let debug_info = anatomy.debug_info();
    if debug_info > DEBUG_INFO_WITHOUT_WARNING {
        warn(
            format!("it holds {} KiB of debug information, which the host does not read", debug_info >> 10),
            language.debug_info(),
        );
    }
    if put_back == Some(false) && !is_component {
        let what = anatomy.changes_for_good.as_deref().unwrap_or("what it does");
        warn(
            format!("each request gets a new instance, which is slower: {what} cannot be reset"),
            "do not change tables or drop segments; compiled Rust does neither by default",
        );
    }
    if !is_component && anatomy.exports.iter().any(|name| name == "_start" || name == "main") {
        warn(
            "it looks like a program, but its exported start function is never called".into(),
            &format!("move work that is done once to `{}`", abi::INITIALIZE),
        );
    }
    warnings
}
