//! What is added to a module before it is compiled: exports by which the host
//! gets at the state that a request may change, so that it can be put back.
//!
//! A module's own code is not touched. Where a module may change what cannot be
//! put back from outside, nothing is added, and each request has to get a fresh
//! instance.

use std::collections::BTreeSet;
use std::ops::Range;

use wasm_encoder::{ExportKind, ExportSection, Module, RawSection};
use wasmparser::{ConstExpr, DataKind, Operator, Parser, Payload, Result, TypeRef};

/// A module with the exports added.
pub(super) struct Instrumented {
    pub(super) binary: Vec<u8>,
    /// The exports that are all the globals that can change.
    pub(super) globals: Vec<String>,
    /// The export that was the module's start function. It does not run by
    /// itself any more.
    pub(super) start: Option<String>,
    /// Where its memory may not be zero at first, in bytes.
    pub(super) data: Range<u64>,
}

/// Adds the exports; nothing comes of it when the module may change what cannot
/// be put back: its tables, or which of its segments are dropped.
///
/// # Errors
///
/// Where it is not sound WebAssembly. Not all of it is looked at here.
pub(super) fn instrument(binary: &[u8]) -> Result<Option<Instrumented>> {
    let Some(found) = survey(binary)? else {
        return Ok(None);
    };
    let prefix = found.unused_prefix();
    let globals: Vec<_> =
        found.globals.iter().map(|index| (format!("{prefix}global{index}"), *index)).collect();
    let start = found.start.map(|index| (format!("{prefix}start"), index));

    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(binary) {
        let payload = payload?;
        match &payload {
            Payload::StartSection { .. } => {}
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section.clone() {
                    let export = export?;
                    exports.export(export.name, export.kind.into(), export.index);
                }
                for (name, index) in &globals {
                    exports.export(name, ExportKind::Global, *index);
                }
                if let Some((name, index)) = &start {
                    exports.export(name, ExportKind::Func, *index);
                }
                module.section(&exports);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: binary.get(range).unwrap_or_default() });
                }
            }
        }
    }
    Ok(Some(Instrumented {
        binary: module.finish(),
        globals: globals.into_iter().map(|(name, _)| name).collect(),
        start: start.map(|(name, _)| name),
        data: found.data,
    }))
}

/// What is to be exported beside what is.
#[derive(Default)]
struct Found {
    exports: Vec<String>,
    globals: Vec<u32>,
    start: Option<u32>,
    data: Range<u64>,
}

impl Found {
    /// What no export's name begins with. Each of them takes one number at most,
    /// so it stays short.
    fn unused_prefix(&self) -> String {
        let numbers = self.exports.iter().filter_map(|name| name.strip_prefix("host")?.split(':').next());
        let taken: BTreeSet<&str> = numbers.collect();
        let free = (0..).map(|number: usize| number.to_string()).find(|number| !taken.contains(&**number));
        format!("host{}:", free.unwrap_or_default())
    }
}

fn survey(binary: &[u8]) -> Result<Option<Found>> {
    let mut found = Found::default();
    let mut index = 0;
    for payload in Parser::new(0).parse_all(binary) {
        match payload? {
            // None is offered, so such a module will be refused.
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if !matches!(import?.ty, TypeRef::Func(_)) {
                        return Ok(None);
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?.ty;
                    match global.mutable {
                        // A reference belongs to the instance that made it.
                        true if global.content_type.is_reference_type() => return Ok(None),
                        true => found.globals.push(index),
                        false => {}
                    }
                    index += 1;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    found.exports.push(export?.name.to_owned());
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let start = match &segment.kind {
                        DataKind::Active { offset_expr, .. } => constant(offset_expr)?,
                        DataKind::Passive => continue,
                    };
                    let end = start + segment.data.len() as u64;
                    found.data = match found.data.is_empty() {
                        true => start..end,
                        false => found.data.start.min(start)..found.data.end.max(end),
                    };
                }
            }
            Payload::StartSection { func, .. } => found.start = Some(func),
            Payload::CodeSectionEntry(body) => {
                let mut operators = body.get_operators_reader()?;
                while !operators.eof() {
                    if changes_for_good(&operators.read()?) {
                        return Ok(None);
                    }
                }
            }
            _ => {}
        }
    }
    // Without exports it is no handler, and nothing can be added to them.
    Ok((!found.exports.is_empty()).then_some(found))
}

/// The address that an expression gives; 0 where it has to be computed.
fn constant(expression: &ConstExpr<'_>) -> Result<u64> {
    match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Ok(u64::from(value as u32)),
        _ => Ok(0),
    }
}

/// Whether this changes a table, or drops a segment.
pub(super) fn changes_for_good(operator: &Operator<'_>) -> bool {
    use Operator as O;
    let tables = matches!(operator, O::TableSet { .. } | O::TableGrow { .. } | O::TableFill { .. })
        || matches!(operator, O::TableCopy { .. } | O::TableInit { .. });
    tables || matches!(operator, O::ElemDrop { .. } | O::DataDrop { .. } | O::MemoryDiscard { .. })
}

#[cfg(test)]
mod tests {
    use super::instrument;
    use crate::swap::EMBEDDED;

    #[test]
    fn damaged_modules_are_an_error_or_instrumented_and_never_a_panic() {
        assert!(instrument(EMBEDDED).unwrap().is_some());
        for end in (0..EMBEDDED.len()).step_by(7) {
            let _ = instrument(&EMBEDDED[..end]);
        }
        let mut module = EMBEDDED.to_vec();
        for at in 0..module.len() {
            for value in [0xff, module[at] ^ 1] {
                let whole = std::mem::replace(&mut module[at], value);
                let _ = instrument(&module);
                module[at] = whole;
            }
        }
    }

    #[test]
    fn names_that_a_module_has_taken_are_left_to_it() {
        let exports: String = (0..3).map(|n| format!("(export \"host{n}:start\" (func 0))")).collect();
        let module = wat::parse_str(format!("(module (func) {exports} (start 0))")).unwrap();
        assert_eq!(instrument(&module).unwrap().unwrap().start.as_deref(), Some("host3:start"));
    }
}
