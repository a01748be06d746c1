//! Rewrites a module before it is compiled. Large memory operations are split, so that
//! no instruction takes long (see `bulk`). The mutable state is made accessible, so
//! that the host can reset an instance after each request:
//!
//! - All mutable globals are exported.
//! - The start function becomes an export, which the host calls itself.
//! - Active data segments are taken out. The host writes them, and later restores them
//!   together with what `_initialize` left in memory (see `image`).
//!
//! If a module may change something that cannot be reset from outside, its state is not
//! made accessible, and each request gets a new instance.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wasm_encoder::{ConstExpr, DataSection, Encode, ExportKind, Module, RawSection};
use wasmparser::{Parser, Payload};

use crate::bulk::{Helpers, extended};
use crate::module_error::ModuleError;
use crate::survey::Found;

/// Maximum number of mutable globals of a module. All are reset after each request, at about 20 ns
/// each. Compilers emit a handful.
pub const GLOBALS_MAX: usize = 1000;

/// A rewritten module.
pub(super) struct Instrumented {
    pub(super) binary: Vec<u8>,
    /// Content of the data segments that were taken out of the module, one after the other.
    pub(super) data: Vec<u8>,
    /// How to reset an instance; [`None`] if each request needs a new instance.
    pub(super) reset: Option<Reset>,
}

/// What the host needs to start and reset an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reset {
    /// Names of the added exports of all mutable globals.
    pub(super) globals: Vec<String>,
    /// Name of the added export of the start function, which no longer runs by itself.
    pub(super) start: Option<String>,
    /// The data segments that were taken out of the module, in the order in which the host writes
    /// them.
    pub(super) segments: Vec<Segment>,
}

/// Address and length of a data segment that was taken out of the module. The segment fits the
/// initial memory.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(super) address: u32,
    /// Length in bytes.
    pub(super) length: u32,
}

/// Validates and rewrites a module.
///
/// # Errors
///
/// [`ModuleError`] when the module is invalid, or has too many mutable globals.
pub(super) fn instrument(binary: &[u8]) -> Result<Instrumented, ModuleError> {
    let found = Found::of(binary)?;
    if found.globals.len() > GLOBALS_MAX {
        return Err(ModuleError::TooManyGlobals { found: found.globals.len(), limit: GLOBALS_MAX });
    }
    let reset = found.can_be_reset().then(|| reset_of(&found)).transpose()?;
    let helpers = Helpers::of(&found);
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(binary) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else {
            continue;
        };
        let outside = || ModuleError::Compiler("a section is outside of its module".into());
        let raw = binary.get(range.clone()).ok_or_else(outside)?;
        let changed = match (&payload, &reset) {
            (Payload::TypeSection(_), _) if helpers.are_needed() => Some(helpers.types(raw)?),
            (Payload::FunctionSection(_), _) if helpers.are_needed() => Some(helpers.functions(raw)?),
            (Payload::CodeSectionStart { .. }, _) if helpers.are_needed() => {
                Some(helpers.code(binary, range.start, range.end)?)
            }
            (Payload::ExportSection(_), Some(reset)) => Some(exports(raw, &found, reset)?),
            (Payload::DataSection(_), Some(_)) => {
                module.section(&without_data(&found));
                continue;
            }
            (Payload::StartSection { .. }, Some(_)) => continue,
            _ => None,
        };
        module.section(&RawSection { id, data: changed.as_deref().unwrap_or(raw) });
    }
    if helpers.are_needed() {
        module.section(&helpers.names());
    }
    let taken_out = found.segments.iter().filter(|segment| segment.address.is_some() && reset.is_some());
    let data = taken_out.flat_map(|segment| segment.data).copied().collect();
    Ok(Instrumented { binary: module.finish(), data, reset })
}

fn reset_of(found: &Found<'_>) -> Result<Reset, ModuleError> {
    let prefix = unused_prefix(&found.exports);
    let segment = |address: u32, data: &[u8]| {
        let too_long = |_| ModuleError::Compiler("a data segment is longer than 4 GiB".into());
        Ok(Segment { address, length: u32::try_from(data.len()).map_err(too_long)? })
    };
    let segments = found.segments.iter().filter_map(|found| Some(segment(found.address?, found.data)));
    Ok(Reset {
        globals: found.globals.iter().map(|index| format!("{prefix}global{index}")).collect(),
        start: found.start.map(|_| format!("{prefix}start")),
        segments: segments.collect::<Result<_, ModuleError>>()?,
    })
}

/// Returns a prefix with which no export's name begins: `host`, the lowest unused number, and a
/// colon. Each export uses at most one number, so the prefix stays short.
fn unused_prefix(exports: &[&str]) -> String {
    let numbers = exports.iter().filter_map(|name| name.strip_prefix("host")?.split(':').next());
    let taken: BTreeSet<&str> = numbers.collect();
    let mut free = 0_usize;
    while taken.contains(&*free.to_string()) {
        free += 1;
    }
    format!("host{free}:")
}

/// Returns a module's export section with the exports of the mutable globals and the start function
/// added.
fn exports(section: &[u8], found: &Found<'_>, reset: &Reset) -> wasmparser::Result<Vec<u8>> {
    let mut added = Vec::new();
    let mut export = |name: &String, kind: ExportKind, index: u32| {
        name.encode(&mut added);
        kind.encode(&mut added);
        index.encode(&mut added);
    };
    for (name, index) in reset.globals.iter().zip(&found.globals) {
        export(name, ExportKind::Global, *index);
    }
    for (name, index) in reset.start.iter().zip(found.start) {
        export(name, ExportKind::Func, index);
    }
    extended(section, reset.globals.len() + reset.start.iter().count(), &added)
}

/// Returns the data section with the content of all active segments removed. The empty segments
/// remain, so that the other segments keep their indices. The module does not notice, because
/// instantiation drops active segments anyway.
fn without_data(found: &Found<'_>) -> DataSection {
    let mut section = DataSection::new();
    for segment in &found.segments {
        match segment.address {
            Some(address) => section.active(0, &ConstExpr::i32_const(address as i32), []),
            None => section.passive(segment.data.iter().copied()),
        };
    }
    section
}

#[cfg(test)]
mod tests {
    use super::instrument;

    #[test]
    fn a_damaged_module_never_causes_a_panic() {
        let mut module =
            wat::parse_bytes(include_bytes!("../../../tests/fixtures/echo.wat")).unwrap().into_owned();
        assert!(instrument(&module).unwrap().reset.is_some());
        for end in 0..module.len() {
            let _ = instrument(&module[..end]);
        }
        for at in 0..module.len() {
            for value in [0xff, module[at] ^ 1] {
                let whole = std::mem::replace(&mut module[at], value);
                let _ = instrument(&module);
                module[at] = whole;
            }
        }
    }

    #[test]
    fn added_names_differ_from_the_names_of_the_module() {
        let exports: String = (0..3).map(|n| format!("(export \"host{n}:start\" (func 0))")).collect();
        let module = wat::parse_str(format!("(module (func) {exports} (start 0))")).unwrap();
        assert_eq!(instrument(&module).unwrap().reset.unwrap().start.as_deref(), Some("host3:start"));
    }

    #[test]
    fn additions_do_not_make_an_invalid_module_valid() {
        let fill = "(memory.fill (i32.const 0) (i32.const 0) (i32.load (i32.const 0)))";
        for wrong in ["(drop (local.get 0))", "(call 1)", "(drop (block (type 1) (unreachable)))"] {
            let module = format!("(module (memory 1) (func (export \"f\") {fill} {wrong}))");
            let Ok(module) = wat::parse_str(&module) else { continue };
            assert!(instrument(&module).is_err(), "{wrong}");
        }
    }

    #[test]
    fn active_segments_are_taken_out_and_passive_ones_stay() {
        let module = "(module (memory 1) (func (export \"f\"))
            (data (i32.const 8) \"abc\") (data \"passive\")
            (data (i32.add (i32.const 2) (i32.const 3)) \"de\"))";
        let instrumented = instrument(&wat::parse_str(module).unwrap()).unwrap();
        assert_eq!(instrumented.data, b"abcde");
        let places = instrumented.reset.unwrap().segments;
        let places: Vec<_> = places.iter().map(|segment| (segment.address, segment.length)).collect();
        assert_eq!(places, [(8, 3), (5, 2)]);
        let binary = instrumented.binary;
        assert!(binary.windows(7).any(|bytes| bytes == b"passive"));
        assert!(!binary.windows(3).any(|bytes| bytes == b"abc"));
    }

    #[test]
    fn a_segment_that_does_not_fit_is_left_to_trap() {
        let module = "(module (memory 1) (func (export \"f\")) (data (i32.const 65535) \"abc\"))";
        let instrumented = instrument(&wat::parse_str(module).unwrap()).unwrap();
        assert!(instrumented.reset.is_none() && instrumented.data.is_empty());
        assert!(instrumented.binary.windows(3).any(|bytes| bytes == b"abc"));
    }
}
