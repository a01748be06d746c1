//! What the host has to know of a module before it adds anything to it. The
//! module is validated on the way: what is added must not make sound what was
//! not.

use std::mem;

use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, FuncValidatorAllocations, FunctionBody, Operator, Parser,
    Payload, Result, TypeRef, ValidPayload, Validator,
};
use wasmparser::{FuncValidator, WasmModuleResources};

use super::bulk::{Bulk, CHUNK, INLINE};
use super::proposals;
use super::restorable::changes_for_good;

/// The size of one page of a memory, in bytes.
const PAGE: u64 = 65_536;

/// Most locals of a function, its parameters included, that are valid.
const LOCALS_MAX: u32 = 50_000;

/// What is in a module.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) exports: Vec<&'a str>,
    /// The globals that can change.
    pub(super) globals: Vec<u32>,
    pub(super) start: Option<u32>,
    pub(super) segments: Vec<Segment<'a>>,
    /// Functions in whose bodies something is to be changed, in order.
    pub(super) bodies: Vec<Body>,
    pub(super) types: u32,
    /// How many functions it imports and defines.
    pub(super) functions: u32,
    /// How many it imports.
    imports: u32,
    /// Whether it changes what cannot be put back: its tables, which of its
    /// segments are dropped, or what nobody knows.
    changes_for_good: bool,
    /// The size of its memory at first, in bytes.
    memory: u64,
}

/// A data segment.
pub(super) struct Segment<'a> {
    /// Where it is written to at first, unless it is passive.
    pub(super) address: Option<u32>,
    pub(super) data: &'a [u8],
}

/// A function body in which bulk memory instructions are to be split. All places
/// are offsets in the module.
pub(super) struct Body {
    /// Where its size stands.
    pub(super) entry: usize,
    /// Where the number of its groups of locals stands, and the groups.
    pub(super) locals: usize,
    pub(super) groups: u32,
    pub(super) groups_at: usize,
    /// Where its code begins and ends.
    pub(super) code: usize,
    pub(super) end: usize,
    /// The index that one more local gets, if there may be one.
    pub(super) next_local: Option<u32>,
    pub(super) sites: Vec<Site>,
}

/// An instruction that is split, or before which compiled code gives way.
pub(super) struct Site {
    /// Where it begins.
    pub(super) at: usize,
    pub(super) bulk: Bulk,
    /// Whether its size is known not to be more than a chunk.
    pub(super) is_small: bool,
}

impl<'a> Found<'a> {
    /// Validates a module, and looks at all of it.
    ///
    /// # Errors
    ///
    /// Where it is not valid, or uses a proposal that is not on.
    pub(super) fn of(binary: &'a [u8]) -> Result<Found<'a>> {
        let mut found = Found::default();
        let mut validator = Validator::new_with_features(proposals::ON);
        let mut allocations = FuncValidatorAllocations::default();
        let mut entry = 0;
        let mut bodies = Vec::new();
        let mut parser = Parser::new(0);
        parser.set_features(proposals::ON);
        for payload in parser.parse_all(binary) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::Func(function, body) => {
                    let mut validator = function.into_validator(mem::take(&mut allocations));
                    let body = found.look_into(entry, &body, &mut validator)?;
                    entry = body.end;
                    // What `memory.init` can do is known when the data have been seen.
                    bodies.extend((!body.sites.is_empty()).then_some(body));
                    allocations = validator.into_allocations();
                }
                _ => found.look_at(payload, &mut entry)?,
            }
        }
        for site in bodies.iter_mut().flat_map(|body| &mut body.sites) {
            site.is_small |= !found.may_be_large(site.bulk);
        }
        found.bodies = bodies;
        Ok(found)
    }

    /// Whether all that the module may change can be put back.
    pub(super) fn can_be_put_back(&self) -> bool {
        // Data that does not fit traps when an instance is made, as it should.
        let fits = |segment: &Segment<'_>| {
            let end = |start: u32| u64::from(start) + segment.data.len() as u64;
            segment.address.is_none_or(|start| end(start) <= self.memory)
        };
        // Without exports it is no handler.
        !self.changes_for_good && !self.exports.is_empty() && self.segments.iter().all(fits)
    }

    /// How many bytes a segment has for `memory.init`: an active one has none left.
    pub(super) fn length_for_init(&self, segment: u32) -> u32 {
        let segment = self.segments.get(segment as usize).filter(|segment| segment.address.is_none());
        segment.map_or(0, |segment| u32::try_from(segment.data.len()).unwrap_or(u32::MAX))
    }

    fn may_be_large(&self, bulk: Bulk) -> bool {
        match bulk {
            Bulk::Fill | Bulk::Copy | Bulk::Other => true,
            Bulk::Init { segment } => self.length_for_init(segment) > CHUNK,
        }
    }

    fn look_at(&mut self, payload: Payload<'a>, entry: &mut usize) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => self.types = types.count(),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) => self.imports += 1,
                        // None is offered, so such a module will be refused.
                        _ => self.changes_for_good = true,
                    }
                }
            }
            Payload::FunctionSection(functions) => self.functions = self.imports + functions.count(),
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory = memory?.initial.saturating_mul(PAGE);
                }
            }
            Payload::GlobalSection(globals) => {
                for (index, global) in (0..).zip(globals) {
                    let global = global?.ty;
                    if global.mutable {
                        self.globals.push(index);
                        // A reference belongs to the instance that made it.
                        self.changes_for_good |= global.content_type.is_reference_type();
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    self.exports.push(export?.name);
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let address = match &segment.kind {
                        DataKind::Active { offset_expr, .. } => Some(constant(offset_expr)?),
                        DataKind::Passive => None,
                    };
                    // What cannot be told before an instance is made is left alone.
                    self.changes_for_good |= address == Some(None);
                    self.segments.push(Segment { address: address.flatten(), data: segment.data });
                }
            }
            Payload::CodeSectionStart { range, size, .. } => *entry = range.end - size as usize,
            _ => {}
        }
        Ok(())
    }

    fn look_into(
        &mut self,
        entry: usize,
        body: &FunctionBody<'_>,
        validator: &mut FuncValidator<impl WasmModuleResources>,
    ) -> Result<Body> {
        validator.read_locals(&mut body.get_binary_reader())?;
        let locals = body.get_locals_reader()?;
        let (groups, groups_at) = (locals.get_count(), locals.original_position());
        let next_local = Some(validator.len_locals()).filter(|count| *count < LOCALS_MAX);
        let mut operators = body.get_operators_reader()?;
        let (start, end) = (body.range().start, body.range().end);
        let code = operators.original_position();
        let mut sites = Vec::new();
        // The size of an instruction, if the one before is that constant.
        let mut constant = None;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            validator.op(at, &operator)?;
            if let Some(bulk) = Bulk::from(&operator, self.imports) {
                let is_within = |bound| constant.is_some_and(|size| size <= bound);
                if bulk == Bulk::Other || !is_within(INLINE) {
                    sites.push(Site { at, bulk, is_small: is_within(CHUNK) });
                }
            }
            self.changes_for_good |= changes_for_good(&operator);
            constant = match operator {
                Operator::I32Const { value } => Some(value as u32),
                _ => None,
            };
        }
        operators.finish()?;
        Ok(Body { entry, locals: start, groups, groups_at, code, end, next_local, sites })
    }
}

/// The address that an expression gives, if it can be told.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>> {
    let mut operators = expression.get_operators_reader();
    let mut stack: Vec<i32> = Vec::new();
    while !operators.eof() {
        let operator = operators.read()?;
        let value = match operator {
            Operator::I32Const { value } => value,
            Operator::End => break,
            _ => {
                let (Some(b), Some(a)) = (stack.pop(), stack.pop()) else {
                    return Ok(None);
                };
                match operator {
                    Operator::I32Add => a.wrapping_add(b),
                    Operator::I32Sub => a.wrapping_sub(b),
                    Operator::I32Mul => a.wrapping_mul(b),
                    _ => return Ok(None),
                }
            }
        };
        stack.push(value);
    }
    Ok(stack.pop().map(|value| value as u32))
}

/// Why nothing is added to a module.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfit {
    /// It is not valid WebAssembly, or uses what is not on.
    #[error("{0}")]
    Invalid(#[from] BinaryReaderError),
    /// More would have to be put back after each request than is worth while.
    #[error("it has {found} globals that can change")]
    TooManyGlobals {
        /// How many it has.
        found: usize,
    },
    /// A part was found where there is none: a fault of the host, not of the module.
    #[error("{0}")]
    Inconsistent(&'static str),
}
