//! Is this file a handler? Reads WebAssembly, binary or text, compiles it and
//! holds it against the contract.

use std::borrow::Cow;

use handler_sdk::abi;
use thiserror::Error;
use wasmtime::{ExternType, InstancePre, Module, ModuleExport, ValType};

use super::engine::Engine;
use super::import;
use super::instance::{CallState, MESSAGE_MAX};
use crate::quote::quoted;

/// The size in bytes of one page, the unit of a memory's size.
const PAGE: u64 = 65_536;

/// The longest name of an import that is told, in bytes.
const NAME_MAX: usize = 100;

/// A compiled module that meets the contract.
pub struct HandlerModule {
    pub(super) engine: Engine,
    pub(super) instance: InstancePre<CallState>,
    pub(super) exports: Exports,
}

/// Where a module's exports are, so that no name is looked up for a request.
pub(super) struct Exports {
    pub(super) memory: ModuleExport,
    pub(super) alloc: ModuleExport,
    pub(super) handle: ModuleExport,
    pub(super) initialize: Option<ModuleExport>,
    pub(super) panic_message: Option<ModuleExport>,
}

/// Why a file cannot be the handler. All of these are the file's fault.
#[derive(Debug, Error)]
pub enum ModuleError {
    /// Nothing in it.
    #[error("it is empty; expected a WebAssembly module")]
    Empty,
    /// Past the limit on files.
    #[error("it is larger than {limit} bytes (the limit is --module-max)")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// A component, which is another kind of WebAssembly binary.
    #[error(
        "it is a WebAssembly component; expected a core module (build for wasm32-unknown-unknown, and do not wrap it)"
    )]
    Component,
    /// Text, but not WebAssembly's.
    #[error(
        "it is a text file that is not WebAssembly text; expected a module that begins with \\0asm, or with (module"
    )]
    OtherText,
    /// Neither binary nor text.
    #[error("it is not WebAssembly: it begins with the bytes {start}; expected \\0asm")]
    NotWasm {
        /// The first bytes, in hexadecimal.
        start: String,
    },
    /// WebAssembly text with a mistake in it.
    #[error("its WebAssembly text is wrong: {0}")]
    Text(String),
    /// A binary that is damaged, or needs what is not offered.
    #[error("it is not a valid WebAssembly module: {0}")]
    Invalid(String),
    /// Valid, but more than an instance may have.
    #[error("it needs more than an instance may have (--memory-max, --table-max): {0}")]
    TooDemanding(String),
    /// Something of the contract is not there.
    #[error("it has no export `{name}`; expected {expected}")]
    ExportMissing {
        /// The export's name.
        name: &'static str,
        /// What the contract wants there.
        expected: String,
    },
    /// Something of the contract is there, but is something else.
    #[error("its export `{name}` is {found}; expected {expected}")]
    ExportType {
        /// The export's name.
        name: &'static str,
        /// What the contract wants there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It wants something that no host of this contract has.
    #[error("it imports `{name}` from `{module}`, which is not offered; the only import there is: {offered}")]
    ImportUnknown {
        /// The module that it wants to import from.
        module: String,
        /// What it wants to import.
        name: String,
        /// What it could import.
        offered: String,
    },
    /// It wants something that there is, as something else.
    #[error("it imports `{name}` from `{module}` as {found}; expected {expected}")]
    ImportType {
        /// The module that it imports from.
        module: String,
        /// What it imports.
        name: String,
        /// What is offered.
        expected: String,
        /// What it takes it for.
        found: String,
    },
    /// It starts with more memory than an instance may have.
    #[error(
        "its memory starts at {minimum} bytes, more than the {limit} bytes an instance may have (--memory-max)"
    )]
    MemoryTooLarge {
        /// In bytes.
        minimum: u64,
        /// In bytes.
        limit: usize,
    },
}

impl ModuleError {
    /// Whether the module is sound WebAssembly, and only does not meet the
    /// contract.
    pub fn is_about_the_contract(&self) -> bool {
        use ModuleError as E;
        match self {
            E::ExportMissing { .. } | E::ExportType { .. } | E::MemoryTooLarge { .. } => true,
            E::ImportUnknown { .. } | E::ImportType { .. } => true,
            E::Empty | E::TooLarge { .. } | E::Component | E::OtherText => false,
            E::NotWasm { .. } | E::Text(_) | E::Invalid(_) | E::TooDemanding(_) => false,
        }
    }
}

impl HandlerModule {
    /// Reads a module from the bytes of a file, compiles it and checks it.
    ///
    /// Compiling takes milliseconds for each 10 KB of module, so this is
    /// never called on a thread that serves.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub fn new(engine: &Engine, file: &[u8]) -> Result<HandlerModule, ModuleError> {
        let limits = engine.limits();
        if file.len() > limits.module_max {
            return Err(ModuleError::TooLarge { limit: limits.module_max });
        }
        let binary = read(file)?;
        let module = Module::from_binary(engine.wasmtime(), &binary).map_err(|error| {
            // Sound WebAssembly can still need more than the pool of instances
            // has for it.
            match Module::validate(engine.wasmtime(), &binary) {
                Ok(()) => ModuleError::TooDemanding(one_line(&format!("{error:#}"))),
                Err(error) => invalid(&error),
            }
        })?;
        check_imports(&module)?;
        let exports = find_exports(&module, limits.memory_max)?;
        let instance = engine.linker().instantiate_pre(&module).map_err(|error| invalid(&error))?;
        Ok(HandlerModule { engine: engine.clone(), instance, exports })
    }
}

/// The binary form, or what this is instead of WebAssembly.
fn read(file: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    if file.is_empty() {
        return Err(ModuleError::Empty);
    }
    let binary = match wat::Detect::from_bytes(file) {
        wat::Detect::WasmBinary => Cow::Borrowed(file),
        wat::Detect::WasmText => {
            wat::parse_bytes(file).map_err(|error| ModuleError::Text(one_line(&error)))?
        }
        wat::Detect::Unknown if is_text(file) => return Err(ModuleError::OtherText),
        wat::Detect::Unknown => {
            let start: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return Err(ModuleError::NotWasm { start: start.join(" ") });
        }
    };
    // Behind the magic come a version and a layer, of 16 bits each: layer 0 is
    // for core modules and 1 for components.
    match binary.get(6) {
        Some(1) => Err(ModuleError::Component),
        _ => Ok(binary),
    }
}

/// Whether a person would call it text.
fn is_text(file: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || c.is_ascii_whitespace();
    std::str::from_utf8(file).is_ok_and(|text| text.chars().all(plain))
}

fn invalid(error: &wasmtime::Error) -> ModuleError {
    ModuleError::Invalid(one_line(&format!("{error:#}")))
}

/// Messages that draw the place of a mistake below them, cut to what they say
/// and where: `expected ... at 1:12`.
fn one_line(message: &impl ToString) -> String {
    let text = message.to_string();
    let mut lines = text.lines().map(str::trim);
    let what = quoted(lines.next().unwrap_or_default(), MESSAGE_MAX);
    match lines.find_map(|line| line.strip_prefix("--> ")) {
        Some(place) => format!("{what} (at {})", quoted(place.trim_start_matches("<anon>:"), MESSAGE_MAX)),
        None => what.to_string(),
    }
}

fn check_imports(module: &Module) -> Result<(), ModuleError> {
    for import in module.imports() {
        let of_the_contract = (import.module(), import.name()) == (abi::HOST, abi::LOG);
        let [from, name] = [import.module(), import.name()].map(|name| quoted(name, NAME_MAX).to_string());
        if !of_the_contract {
            let offered = format!("`{}` from `{}`, {}", abi::LOG, abi::HOST, import::log_type());
            return Err(ModuleError::ImportUnknown { module: from, name, offered });
        }
        let found = describe(&import.ty());
        if found != import::log_type() {
            return Err(ModuleError::ImportType { module: from, name, expected: import::log_type(), found });
        }
    }
    Ok(())
}

fn find_exports(module: &Module, memory_max: usize) -> Result<Exports, ModuleError> {
    use ValType::{I32, I64};
    let exports = Exports {
        memory: find_memory(module, memory_max)?,
        alloc: find_function(module, abi::ALLOC, &[I32], &[I32])?,
        handle: find_function(module, abi::HANDLE, &[I32, I32], &[I64])?,
        initialize: find_optional(module, abi::INITIALIZE, &[], &[])?,
        panic_message: find_optional(module, abi::PANIC_MESSAGE, &[], &[I64])?,
    };
    Ok(exports)
}

fn find_memory(module: &Module, memory_max: usize) -> Result<ModuleExport, ModuleError> {
    let name = abi::MEMORY;
    let expected = || "a memory".to_owned();
    match module.get_export(name) {
        Some(ExternType::Memory(memory)) => {
            let minimum = memory.minimum().saturating_mul(PAGE);
            if minimum > memory_max as u64 {
                return Err(ModuleError::MemoryTooLarge { minimum, limit: memory_max });
            }
        }
        Some(other) => {
            return Err(ModuleError::ExportType { name, expected: expected(), found: describe(&other) });
        }
        None => {
            return Err(ModuleError::ExportMissing { name, expected: expected() });
        }
    }
    module.get_export_index(name).ok_or_else(|| ModuleError::ExportMissing { name, expected: expected() })
}

fn find_function(
    module: &Module,
    name: &'static str,
    parameters: &[ValType],
    results: &[ValType],
) -> Result<ModuleExport, ModuleError> {
    let expected = signature(parameters, results);
    find_optional(module, name, parameters, results)?.ok_or(ModuleError::ExportMissing { name, expected })
}

fn find_optional(
    module: &Module,
    name: &'static str,
    parameters: &[ValType],
    results: &[ValType],
) -> Result<Option<ModuleExport>, ModuleError> {
    let expected = signature(parameters, results);
    match module.get_export(name).map(|export| describe(&export)) {
        Some(found) if found != expected => Err(ModuleError::ExportType { name, expected, found }),
        _ => Ok(module.get_export_index(name)),
    }
}

/// A function's type as messages show it.
pub(super) fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("a function ({})", list(parameters)),
        [one] => format!("a function ({}) -> {one}", list(parameters)),
        _ => format!("a function ({}) -> ({})", list(parameters), list(results)),
    }
}

fn describe(found: &ExternType) -> String {
    match found {
        ExternType::Func(function) => {
            let parameters: Vec<_> = function.params().collect();
            let results: Vec<_> = function.results().collect();
            signature(&parameters, &results)
        }
        ExternType::Global(_) => "a global".into(),
        ExternType::Table(_) => "a table".into(),
        ExternType::Memory(_) => "a memory".into(),
        ExternType::Tag(_) => "a tag".into(),
    }
}
