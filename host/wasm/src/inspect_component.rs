//! Lists the parts of a component's file, for the tools of handler authors: what it imports and
//! exports itself, and what all modules in it have together.

use host_http::quote::quoted;
use wasmparser::{KnownCustom, Name, NameSectionReader, Parser, Payload, Result};

use crate::inspect::{Anatomy, Size};
use crate::name::MESSAGE_MAX;

impl Anatomy {
    pub(super) fn read_component(&mut self, binary: &[u8]) -> Result<()> {
        // 1 in the component itself.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(binary) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ModuleSection { unchecked_range, .. } if depth == 1 => {
                    self.sections.push(("core module".into(), unchecked_range.len()));
                }
                Payload::ComponentSection { unchecked_range, .. } if depth == 1 => {
                    self.sections.push(("component".into(), unchecked_range.len()));
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        self.imports.push((String::new(), import?.name.name.to_owned()));
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        self.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let before = self.memory.map_or(0, |memory| memory.initial);
                        let initial = before.saturating_add(memory?.initial);
                        self.memory = Some(Size { initial, maximum: None });
                    }
                }
                Payload::FunctionSection(functions) => self.functions += functions.count() as usize,
                Payload::CustomSection(section) => {
                    let name = quoted(section.name(), MESSAGE_MAX).to_string();
                    if depth == 1 || name.starts_with(".debug_") {
                        self.sections.push((name, section.range().len()));
                    }
                    // Both are only hints, so damaged ones are ignored.
                    match section.as_known() {
                        KnownCustom::Producers(section) => _ = self.read_producers(section),
                        KnownCustom::Name(section) => _ = self.count_names(section),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn count_names(&mut self, section: NameSectionReader<'_>) -> Result<()> {
        for subsection in section {
            if let Name::Function(functions) = subsection? {
                self.function_names += functions.count() as usize;
            }
        }
        Ok(())
    }
}
