//! Lists the parts of a module's file and their sizes, for the tools of handler
//! authors. Nothing here decides whether a module may serve.

use std::collections::HashMap;

use host_http::quote::quoted;
use wasmparser::{
    ConstExpr, ExternalKind, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload,
    ProducersSectionReader, Result, TypeRef,
};

use crate::kind::Kind;
use crate::module_error;
use crate::name::{MESSAGE_MAX, readable};
use crate::restorable::changes_for_good;

/// Size in bytes of the stack of a module that was linked with the default settings.
const STACK_BY_DEFAULT: u32 = 1 << 20;

/// Maximum number of producers that are kept. Compilers name fewer than ten.
const PRODUCERS_MAX: usize = 32;

/// The parts of a module's file.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Anatomy {
    /// Kind of the handler.
    pub kind: Kind,
    /// Names of the exports.
    pub exports: Vec<String>,
    /// Imports, each as module name and name. Those of a component have no module name.
    pub imports: Vec<(String, String)>,
    /// Size of the memory, in pages of 64 KiB; of a component, that of all memories.
    pub memory: Option<Size>,
    /// Sizes of the tables, in elements.
    pub tables: Vec<Size>,
    /// Names of the sections in their order, with their sizes in bytes.
    pub sections: Vec<(String, usize)>,
    /// Languages and compilers that the producers section names.
    pub producers: Vec<String>,
    /// Number of defined functions.
    pub functions: usize,
    /// Number of functions that the name section names.
    pub function_names: usize,
    /// Whether the stack has the linker's default size.
    pub has_default_stack: bool,
    /// The first instruction or global that makes a reset impossible, with its
    /// function.
    pub changes_for_good: Option<String>,
}

/// Initial and maximum size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Initial size.
    pub initial: u64,
    /// Maximum size, if the module states one.
    pub maximum: Option<u64>,
}

impl Anatomy {
    /// Returns the size of all debug sections, in bytes.
    pub fn debug_info(&self) -> usize {
        self.sections.iter().filter(|(name, _)| name.starts_with(".debug_")).map(|(_, size)| size).sum()
    }
}

/// Lists the parts of a file, binary or text. For an invalid file, lists the parts
/// before the first mistake.
pub fn inspect(file: &[u8]) -> Anatomy {
    let mut found = Anatomy::default();
    if let Ok(binary) = module_error::read(file) {
        found.kind = Kind::of(&binary);
        let _ = match found.kind {
            Kind::Module => found.read(&binary),
            Kind::Component => found.read_component(&binary),
        };
    }
    found
}

impl Anatomy {
    fn read(&mut self, binary: &[u8]) -> Result<()> {
        let mut imported = 0;
        let mut globals = 0;
        let mut names = HashMap::new();
        let mut change = None;
        for payload in Parser::new(0).parse_all(binary) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                let name = match &payload {
                    Payload::CustomSection(section) => quoted(section.name(), MESSAGE_MAX).to_string(),
                    _ => section_name(id).to_owned(),
                };
                self.sections.push((name, range.len()));
            }
            match payload {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        imported += u32::from(matches!(import.ty, TypeRef::Func(_)));
                        self.imports.push((import.module.to_owned(), import.name.to_owned()));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            names.entry(export.index).or_insert_with(|| export.name.to_owned());
                        }
                        self.exports.push(export.name.to_owned());
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let memory = memory?;
                        self.memory = Some(Size { initial: memory.initial, maximum: memory.maximum });
                    }
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        let table = table?.ty;
                        self.tables.push(Size { initial: table.initial, maximum: table.maximum });
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        let global = global?;
                        // Compilers keep the stack pointer in the first global.
                        let is_stack = globals == 0 && global.ty.mutable;
                        self.has_default_stack |= is_stack && is_default_stack(&global.init_expr);
                        globals += 1;
                        if global.ty.mutable && global.ty.content_type.is_reference_type() {
                            change.get_or_insert((None, "a global that is a reference"));
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let index = imported + self.functions as u32;
                    self.functions += 1;
                    let mut operators = body.get_operators_reader()?;
                    while !operators.eof() && change.is_none() {
                        change = changes_for_good(&operators.read()?).map(|name| (Some(index), name));
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(section) = section.as_known() {
                        // Only a hint, so a damaged list is ignored.
                        let _ = self.read_producers(section);
                    }
                    if let KnownCustom::Name(section) = section.as_known() {
                        // Names are optional, so a damaged list of names is ignored.
                        let _ = self.read_names(section, &mut names);
                    }
                }
                _ => {}
            }
        }
        self.changes_for_good =
            change.map(|(function, what)| match function.map(|index| (index, names.get(&index))) {
                Some((_, Some(name))) => format!("{what} in {}", readable(name, MESSAGE_MAX)),
                Some((index, None)) => format!("{what} in function {index}"),
                None => what.to_owned(),
            });
        Ok(())
    }

    pub(super) fn read_producers(&mut self, section: ProducersSectionReader<'_>) -> Result<()> {
        for field in section {
            for value in field?.values {
                let value = value?;
                if self.producers.len() < PRODUCERS_MAX {
                    self.producers.push(quoted(value.name, MESSAGE_MAX).to_string());
                }
            }
        }
        Ok(())
    }

    fn read_names(&mut self, section: NameSectionReader<'_>, names: &mut HashMap<u32, String>) -> Result<()> {
        for subsection in section {
            if let Name::Function(functions) = subsection? {
                for function in functions {
                    let function = function?;
                    self.function_names += 1;
                    names.insert(function.index, function.name.to_owned());
                }
            }
        }
        Ok(())
    }
}

fn is_default_stack(value: &ConstExpr<'_>) -> bool {
    let first = value.get_operators_reader().read();
    matches!(first, Ok(Operator::I32Const { value }) if value as u32 == STACK_BY_DEFAULT)
}

fn section_name(id: u8) -> &'static str {
    let names =
        "custom type import function table memory global export start element code data data-count tag";
    names.split(' ').nth(usize::from(id)).unwrap_or("unknown")
}
