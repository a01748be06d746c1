//! Checks the imports and exports of a module against the contract in
//! `handler_sdk::abi`, by name and type.

use handler_sdk::abi;
use host_http::quote::quoted;
use wasmtime::{ExternType, MemoryType, Module, ModuleExport, ValType};

use crate::instrument::Reset;
use crate::module_error::ModuleError;

/// Size of a page, the unit of a memory's size, in bytes.
pub(super) const PAGE: u64 = 65_536;

/// Maximum length in bytes of an import's name in a message.
const NAME_MAX: usize = 100;

/// Name of a memory in messages.
const A_MEMORY: &str = "a memory";

/// Positions of a module's exports, so that requests need no lookup by name.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) memory: ModuleExport,
    pub(super) alloc: ModuleExport,
    pub(super) handle: ModuleExport,
    /// `_initialize`, and before it the start function if it was turned into an export.
    pub(super) initialisers: Vec<ModuleExport>,
    pub(super) configure: Option<ModuleExport>,
    pub(super) panic_message: Option<ModuleExport>,
    /// All mutable globals; empty if the module cannot be reset.
    pub(super) globals: Vec<ModuleExport>,
}

/// Checks that a module imports nothing but what is offered.
pub(super) fn check_imports(module: &Module) -> Result<(), ModuleError> {
    for import in module.imports() {
        let known =
            offered().into_iter().find(|(name, _)| (import.module(), import.name()) == (abi::HOST, *name));
        let [from, name] = [import.module(), import.name()].map(|name| quoted(name, NAME_MAX).to_string());
        let Some((_, expected)) = known else {
            let offered = offered().map(|(name, kind)| format!("`{name}` from `{}`, {kind}", abi::HOST));
            return Err(ModuleError::ImportUnknown { module: from, name, offered: offered.join("; and ") });
        };
        let found = describe(&import.ty());
        if found != expected {
            return Err(ModuleError::ImportType { module: from, name, expected, found });
        }
    }
    Ok(())
}

/// Returns whether a module draws random bits.
pub(super) fn draws(module: &Module) -> bool {
    module.imports().any(|import| (import.module(), import.name()) == (abi::HOST, abi::RANDOM))
}

impl Exports {
    /// Finds the exports of the contract, and checks their types and the memory's size.
    pub(super) fn find(module: &Module, memory_max: usize) -> Result<Exports, ModuleError> {
        use ValType::{I32, I64};
        Ok(Exports {
            memory: find_memory(module, memory_max)?,
            alloc: require(module, abi::ALLOC, signature(&[I32], &[I32]))?,
            handle: require(module, abi::HANDLE, signature(&[I32, I32], &[I64]))?,
            initialisers: Vec::from_iter(find(module, abi::INITIALIZE, &signature(&[], &[]))?),
            configure: find(module, abi::CONFIGURE, &signature(&[I32, I32], &[]))?,
            panic_message: find(module, abi::PANIC_MESSAGE, &signature(&[], &[I64]))?,
            globals: Vec::new(),
        })
    }

    /// Finds the exports that `instrument` added.
    ///
    /// # Errors
    ///
    /// [`ModuleError::Compiler`] when one is missing. A missing global could not be
    /// reset, and would leak its value into the next request.
    pub(super) fn add(&mut self, module: &Module, added: &Reset) -> Result<(), ModuleError> {
        let find = |name: &String| {
            let missing = || ModuleError::Compiler(format!("its code lacks the added export `{name}`"));
            module.get_export_index(name).ok_or_else(missing)
        };
        self.globals = added.globals.iter().map(find).collect::<Result<_, _>>()?;
        let start = added.start.as_ref().map(find).transpose()?;
        self.initialisers.splice(0..0, start);
        Ok(())
    }
}

fn find_memory(module: &Module, memory_max: usize) -> Result<ModuleExport, ModuleError> {
    let export = require(module, abi::MEMORY, A_MEMORY.into())?;
    check_memory(module, memory_max)?;
    Ok(export)
}

/// Checks that a module starts with no more memory than allowed.
pub(super) fn check_memory(module: &Module, memory_max: usize) -> Result<(), ModuleError> {
    let memory = module.get_export(abi::MEMORY);
    let minimum = memory.and_then(|memory| memory.memory().map(MemoryType::minimum)).unwrap_or(0);
    match minimum.saturating_mul(PAGE) {
        minimum if minimum > memory_max as u64 => {
            Err(ModuleError::MemoryTooLarge { minimum, limit: memory_max })
        }
        _ => Ok(()),
    }
}

/// Finds an export that the contract requires.
fn require(module: &Module, name: &str, expected: String) -> Result<ModuleExport, ModuleError> {
    let export = find(module, name, &expected)?;
    export.ok_or_else(|| ModuleError::ExportMissing { name: name.into(), expected })
}

/// Finds an export, which must have the expected type if there is one.
fn find(module: &Module, name: &str, expected: &str) -> Result<Option<ModuleExport>, ModuleError> {
    match module.get_export(name).map(|export| describe(&export)) {
        Some(found) if found != expected => {
            Err(ModuleError::ExportType { name: name.into(), expected: expected.into(), found })
        }
        _ => Ok(module.get_export_index(name)),
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
        ExternType::Memory(_) => A_MEMORY.into(),
        ExternType::Tag(_) => "a tag".into(),
    }
}

/// Returns the names of the imports that are offered, with their types for messages.
fn offered() -> [(&'static str, String); 2] {
    use ValType::{I32, I64};
    [(abi::LOG, signature(&[I32, I32, I32], &[])), (abi::RANDOM, signature(&[], &[I64]))]
}

/// Formats a function type for messages.
fn signature(parameters: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("a function ({})", list(parameters)),
        [one] => format!("a function ({}) -> {one}", list(parameters)),
        _ => format!("a function ({}) -> ({})", list(parameters), list(results)),
    }
}
