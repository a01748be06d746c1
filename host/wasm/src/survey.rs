//! Validates a module and collects what `instrument` needs. Validation comes first, because the
//! additions of `instrument` could make an invalid module valid.

use std::mem;

use wasmparser::{
    ConstExpr, DataKind, FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, Result, TypeRef,
    ValidPayload, Validator,
};
use wasmparser::{FuncValidator, WasmModuleResources};

use crate::proposals;
use crate::restorable::changes_for_good;

/// The size of one page of a memory, in bytes.
const PAGE: u64 = 65_536;

/// wasmparser's limit on the locals of a function, parameters included.
const LOCALS_MAX: u32 = 50_000;

/// Maximum number of bytes that an instruction writes without yielding. Writing them takes a few
/// microseconds, or about a hundred if the kernel has to provide all of that memory.
pub(super) const CHUNK: u32 = 64 << 10;

/// Maximum size in bytes of a copy or fill of constant size that compiled code carries out inline.
/// Such an instruction takes no longer than others, so it is not changed.
const INLINE: u32 = 128;

/// The kind of an instruction that may need a helper function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    Fill,
    Copy,
    Init {
        segment: u32,
    },
    /// An instruction that cannot be split: it works on a table, grows the memory, or calls an
    /// import.
    Other,
}

impl Bulk {
    /// Classifies an instruction of a module with `imports` imported functions; [`None`] if the
    /// instruction needs no helper.
    fn from(operator: &Operator<'_>, imports: u32) -> Option<Bulk> {
        match operator {
            Operator::MemoryFill { .. } => Some(Bulk::Fill),
            Operator::MemoryCopy { .. } => Some(Bulk::Copy),
            Operator::MemoryInit { data_index, .. } => Some(Bulk::Init { segment: *data_index }),
            Operator::TableFill { .. } | Operator::TableCopy { .. } | Operator::TableInit { .. } => {
                Some(Bulk::Other)
            }
            Operator::TableGrow { .. } | Operator::MemoryGrow { .. } => Some(Bulk::Other),
            Operator::Call { function_index } if *function_index < imports => Some(Bulk::Other),
            _ => None,
        }
    }
}

/// The parts of a module that matter for instrumentation.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) exports: Vec<&'a str>,
    /// Indices of the mutable globals.
    pub(super) globals: Vec<u32>,
    pub(super) start: Option<u32>,
    pub(super) segments: Vec<Segment<'a>>,
    /// Function bodies to be changed, in order.
    pub(super) bodies: Vec<Body>,
    pub(super) types: u32,
    /// Number of imported and defined functions.
    pub(super) functions: u32,
    /// Number of imported functions.
    imports: u32,
    /// Whether something in the module cannot be reset: changes of tables, dropped
    /// segments, globals that are references, segments at unknown addresses, or the
    /// effects of unknown instructions.
    changes_for_good: bool,
    /// Initial size of the memory, in bytes.
    memory: u64,
}

/// A data segment.
pub(super) struct Segment<'a> {
    /// The address of an active segment; [`None`] for a passive one.
    pub(super) address: Option<u32>,
    pub(super) data: &'a [u8],
}

/// A function body with instructions that need a helper function. All positions are
/// offsets in the module.
pub(super) struct Body {
    /// Position of the body's size.
    pub(super) entry: usize,
    /// Position of the number of groups of locals.
    pub(super) locals: usize,
    /// Number of groups of locals.
    pub(super) groups: u32,
    /// Position of the groups.
    pub(super) groups_at: usize,
    /// Start of the code.
    pub(super) code: usize,
    /// End of the code and the body.
    pub(super) end: usize,
    /// Index that a further local variable would have; [`None`] if the function is at the limit on
    /// locals.
    pub(super) next_local: Option<u32>,
    pub(super) sites: Vec<Site>,
}

/// A bulk instruction in a function body, before which a call of a helper function may be inserted.
pub(super) struct Site {
    /// Position of the instruction.
    pub(super) at: usize,
    pub(super) bulk: Bulk,
    /// Whether the size is known to be at most [`CHUNK`].
    pub(super) is_small: bool,
}

impl<'a> Found<'a> {
    /// Validates a module and collects its parts.
    ///
    /// # Errors
    ///
    /// When the module is invalid, or uses a proposal that is off.
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
                    let body = found.visit_body(entry, &body, &mut validator)?;
                    entry = body.end;
                    // Sizes for `memory.init` are known only after the data section.
                    bodies.extend((!body.sites.is_empty()).then_some(body));
                    allocations = validator.into_allocations();
                }
                _ => found.visit_payload(payload, &mut entry)?,
            }
        }
        for site in bodies.iter_mut().flat_map(|body| &mut body.sites) {
            site.is_small |= match site.bulk {
                Bulk::Init { segment } => found.length_for_init(segment) <= CHUNK,
                Bulk::Fill | Bulk::Copy | Bulk::Other => false,
            };
        }
        found.bodies = bodies;
        Ok(found)
    }

    /// Returns whether everything that the module may change can be reset.
    pub(super) fn can_be_reset(&self) -> bool {
        // A segment that does not fit must trap at instantiation, so the module is left
        // as it is.
        let fits = |segment: &Segment<'_>| {
            let end = |start: u32| u64::from(start) + segment.data.len() as u64;
            segment.address.is_none_or(|start| end(start) <= self.memory)
        };
        // Exports are added to the existing section. A module without one is no handler.
        !self.changes_for_good && !self.exports.is_empty() && self.segments.iter().all(fits)
    }

    /// Returns the number of bytes that a segment has for `memory.init`. An active segment has
    /// none, because instantiation drops it.
    pub(super) fn length_for_init(&self, segment: u32) -> u32 {
        let segment = self.segments.get(segment as usize).filter(|segment| segment.address.is_none());
        segment.map_or(0, |segment| u32::try_from(segment.data.len()).unwrap_or(u32::MAX))
    }

    fn visit_payload(&mut self, payload: Payload<'a>, entry: &mut usize) -> Result<()> {
        match payload {
            Payload::TypeSection(types) => self.types = types.count(),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) => self.imports += 1,
                        // Only functions are offered, so the module is refused later.
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
                        // A reference belongs to one instance and cannot be copied.
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
                    // The host cannot write a segment whose address is known only at
                    // instantiation.
                    self.changes_for_good |= address == Some(None);
                    self.segments.push(Segment { address: address.flatten(), data: segment.data });
                }
            }
            Payload::CodeSectionStart { range, size, .. } => *entry = range.end - size as usize,
            _ => {}
        }
        Ok(())
    }

    fn visit_body(
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
        // The value of the previous instruction if that is a constant: for a bulk
        // instruction, its size.
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
            self.changes_for_good |= changes_for_good(&operator).is_some();
            constant = match operator {
                Operator::I32Const { value } => Some(value as u32),
                _ => None,
            };
        }
        operators.finish()?;
        Ok(Body { entry, locals: start, groups, groups_at, code, end, next_local, sites })
    }
}

/// Evaluates the constant expression of a segment's address; [`None`] if it has anything but
/// constants and arithmetic.
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
