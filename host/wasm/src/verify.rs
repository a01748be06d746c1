//! Checks the imports and exports of a module against the contract in
//! `handler_sdk::abi`, by name and type.

use handler_sdk::abi;
use host_http::quote::quoted;
use wasmtime::{ExternType, Module, ModuleExport, ValType};

use crate::instrument::PutBack;
use crate::module_error::ModuleError;
use crate::signature::{offered, signature};

/// Size of a page, the unit of a memory's size, in bytes.
const PAGE: u64 = 65_536;

/// Longest name of an import that is shown in a message, in bytes.
const NAME_MAX: usize = 100;

/// Positions of a module's exports, so that requests need no lookup by name.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) memory: ModuleExport,
    pub(super) alloc: ModuleExport,
    pub(super) handle: ModuleExport,
    pub(super) initialize: Option<ModuleExport>,
    pub(super) panic_message: Option<ModuleExport>,
    /// All mutable globals; empty if the module cannot be reset.
    pub(super) globals: Vec<ModuleExport>,
    /// The start function, if it was turned into an export.
    pub(super) start: Option<ModuleExport>,
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
            alloc: find_function(module, abi::ALLOC, &[I32], &[I32])?,
            handle: find_function(module, abi::HANDLE, &[I32, I32], &[I64])?,
            initialize: find_optional(module, abi::INITIALIZE, &[], &[])?,
            panic_message: find_optional(module, abi::PANIC_MESSAGE, &[], &[I64])?,
            globals: Vec::new(),
            start: None,
        })
    }

    /// Finds the exports that `instrument` added.
    ///
    /// # Errors
    ///
    /// [`ModuleError::Compiler`] when one is missing. A missing global could not be
    /// reset, and would leak its value into the next request.
    pub(super) fn add(&mut self, module: &Module, added: &PutBack) -> Result<(), ModuleError> {
        let find = |name: &String| {
            let missing = || ModuleError::Compiler(format!("its code lacks the added export `{name}`"));
            module.get_export_index(name).ok_or_else(missing)
        };
        self.globals = added.globals.iter().map(find).collect::<Result<_, _>>()?;
        self.start = added.start.as_ref().map(find).transpose()?;
        Ok(())
    }
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
            return Err(ModuleError::ExportType {
                name: name.into(),
                expected: expected(),
                found: describe(&other),
            });
        }
        None => {
            return Err(ModuleError::ExportMissing { name: name.into(), expected: expected() });
        }
    }
    module
        .get_export_index(name)
        .ok_or_else(|| ModuleError::ExportMissing { name: name.into(), expected: expected() })
}

fn find_function(
    module: &Module,
    name: &'static str,
    parameters: &[ValType],
    results: &[ValType],
) -> Result<ModuleExport, ModuleError> {
    let expected = signature(parameters, results);
    find_optional(module, name, parameters, results)?
        .ok_or_else(|| ModuleError::ExportMissing { name: name.into(), expected })
}

fn find_optional(
    module: &Module,
    name: &'static str,
    parameters: &[ValType],
    results: &[ValType],
) -> Result<Option<ModuleExport>, ModuleError> {
    let expected = signature(parameters, results);
    match module.get_export(name).map(|export| describe(&export)) {
        Some(found) if found != expected => {
            Err(ModuleError::ExportType { name: name.into(), expected, found })
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
        ExternType::Memory(_) => "a memory".into(),
        ExternType::Tag(_) => "a tag".into(),
    }
}
