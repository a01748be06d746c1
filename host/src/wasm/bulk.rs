//! Splits the instructions that copy or fill memory. Each is one step for
//! compiled code, which nothing interrupts, and its size is for the module to
//! choose: 64 MiB take tens of milliseconds. So a larger one goes to a function
//! that works in chunks, and between two of them compiled code gives way as in
//! any loop.
//!
//! The function does all but the last chunk, and returns what is left for the
//! instruction itself, which stays where it is. Where the instruction would trap,
//! everything is left to it: it traps before it writes anything, and in the
//! function that it stands in.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, NameMap, NameSection};
use wasmparser::{BinaryReader, Operator, Result};

use super::survey::{Body, Found};

/// Bytes that are written in one step at the most. That takes microseconds, a
/// hundred where all of it is touched for the first time.
pub(super) const CHUNK: u32 = 64 << 10;

/// What the functions are called where they have to have a name. They are left out
/// of messages.
pub(super) const NAME: &str = "host:bulk";

/// Types as a module has them: `(i32, i32, i32) -> (i32, i32, i32)`, which is what
/// the functions have, and the same of which the last parameter is no parameter
/// yet.
const TYPES: [&[u8]; 2] =
    [&[0x60, 3, 0x7f, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f], &[0x60, 2, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f]];

/// An instruction that is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    Fill,
    Copy,
    Init { segment: u32 },
}

impl Bulk {
    pub(super) fn from(operator: &Operator<'_>) -> Option<Bulk> {
        match operator {
            Operator::MemoryFill { .. } => Some(Bulk::Fill),
            Operator::MemoryCopy { .. } => Some(Bulk::Copy),
            Operator::MemoryInit { data_index, .. } => Some(Bulk::Init { segment: *data_index }),
            _ => None,
        }
    }
}

/// The functions that a module needs, and their indices in it.
pub(super) struct Helpers<'a> {
    found: &'a Found<'a>,
    indices: BTreeMap<Bulk, u32>,
}

impl<'a> Helpers<'a> {
    pub(super) fn of(found: &'a Found<'a>) -> Helpers<'a> {
        let needed = found.bodies.iter().flat_map(|body| &body.sites).map(|(_, bulk)| (*bulk, 0));
        let mut indices: BTreeMap<_, _> = needed.collect();
        for (index, place) in (found.functions..).zip(indices.values_mut()) {
            *place = index;
        }
        Helpers { found, indices }
    }

    pub(super) fn are_needed(&self) -> bool {
        !self.indices.is_empty()
    }

    /// The section of types with those that are needed.
    pub(super) fn types(&self, section: &[u8]) -> Result<Vec<u8>> {
        extended(section, TYPES.len(), &TYPES.concat())
    }

    /// The section of functions' types with those of the functions.
    pub(super) fn functions(&self, section: &[u8]) -> Result<Vec<u8>> {
        let mut added = Vec::new();
        self.indices.values().for_each(|_| self.found.types.encode(&mut added));
        extended(section, self.indices.len(), &added)
    }

    /// The section of code, which stands in the module at `start`, with what is
    /// split and the functions.
    pub(super) fn code(&self, binary: &[u8], start: usize, end: usize) -> Result<Vec<u8>> {
        let raw = |from: usize, to: usize| binary.get(from..to).unwrap_or_default();
        let mut code = Vec::with_capacity(end - start + 1024);
        let mut copied = start;
        for body in &self.found.bodies {
            code.extend_from_slice(raw(copied, body.entry));
            self.split(body, raw)[..].encode(&mut code);
            copied = body.end;
        }
        code.extend_from_slice(raw(copied, end));
        let mut added = Vec::new();
        for bulk in self.indices.keys() {
            self.function(*bulk).encode(&mut added);
        }
        extended(&code, self.indices.len(), &added)
    }

    /// Their names, beside those that the module has.
    pub(super) fn names(&self) -> NameSection {
        let mut functions = NameMap::new();
        self.indices.values().for_each(|index| functions.append(*index, NAME));
        let mut names = NameSection::new();
        names.functions(&functions);
        names
    }

    /// A body in which larger operations go to a function first.
    fn split<'b>(&self, body: &Body, raw: impl Fn(usize, usize) -> &'b [u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(body.end - body.locals + 32 * body.sites.len());
        match body.next_local {
            Some(_) => {
                (body.groups + 1).encode(&mut bytes);
                bytes.extend_from_slice(raw(body.groups_at, body.code));
                bytes.extend_from_slice(&[1, 0x7f]);
            }
            None => bytes.extend_from_slice(raw(body.locals, body.code)),
        }
        let mut copied = body.code;
        for (at, bulk) in &body.sites {
            bytes.extend_from_slice(raw(copied, *at));
            copied = *at;
            let function = self.indices.get(bulk).copied().unwrap_or_default();
            let mut code = InstructionSink::new(&mut bytes);
            match body.next_local {
                // Most are small, and a call would take longer than they do.
                Some(size) => code
                    .local_tee(size)
                    .i32_const(CHUNK as i32)
                    .i32_gt_u()
                    .if_(BlockType::FunctionType(self.found.types + 1))
                    .local_get(size)
                    .call(function)
                    .else_()
                    .local_get(size)
                    .end(),
                None => code.call(function),
            };
        }
        bytes.extend_from_slice(raw(copied, body.end));
        bytes
    }

    /// The function for one of the instructions, with its operands: where to, what
    /// or where from, and how much.
    fn function(&self, bulk: Bulk) -> Function {
        const TO: u32 = 0;
        const FROM: u32 = 1;
        const SIZE: u32 = 2;
        let mut function = Function::new([]);
        let mut code = function.instructions();
        let chunk = CHUNK as i32;

        code.block(BlockType::Empty);
        // Out of bounds it traps at once.
        past_end(&mut code, TO, SIZE);
        memory_size(&mut code).i64_gt_u().br_if(0);
        match bulk {
            Bulk::Fill => {}
            Bulk::Copy => {
                past_end(&mut code, FROM, SIZE);
                memory_size(&mut code).i64_gt_u().br_if(0);
            }
            Bulk::Init { segment } => {
                past_end(&mut code, FROM, SIZE);
                code.i64_const(i64::from(self.found.length_for_init(segment))).i64_gt_u().br_if(0);
            }
        }
        if bulk == Bulk::Copy {
            // What overlaps is copied from that end at which nothing is overwritten
            // before it was read.
            code.local_get(TO).local_get(FROM).i32_gt_u().if_(BlockType::Empty);
            code.loop_(BlockType::Empty);
            code.local_get(SIZE).i32_const(chunk).i32_le_u().br_if(2);
            code.local_get(SIZE).i32_const(chunk).i32_sub().local_set(SIZE);
            code.local_get(TO).local_get(SIZE).i32_add();
            code.local_get(FROM).local_get(SIZE).i32_add();
            code.i32_const(chunk).memory_copy(0, 0).br(0).end().end();
        }
        code.loop_(BlockType::Empty);
        code.local_get(SIZE).i32_const(chunk).i32_le_u().br_if(1);
        code.local_get(TO).local_get(FROM).i32_const(chunk);
        match bulk {
            Bulk::Fill => code.memory_fill(0),
            Bulk::Copy => code.memory_copy(0, 0),
            Bulk::Init { segment } => code.memory_init(0, segment),
        };
        code.local_get(TO).i32_const(chunk).i32_add().local_set(TO);
        if bulk != Bulk::Fill {
            code.local_get(FROM).i32_const(chunk).i32_add().local_set(FROM);
        }
        code.local_get(SIZE).i32_const(chunk).i32_sub().local_set(SIZE);
        code.br(0).end().end();
        code.local_get(TO).local_get(FROM).local_get(SIZE).end();
        function
    }
}

/// The sum of two operands, which does not overflow.
fn past_end(code: &mut InstructionSink<'_>, start: u32, size: u32) {
    code.local_get(start).i64_extend_i32_u().local_get(size).i64_extend_i32_u().i64_add();
}

/// The size of the memory in bytes.
fn memory_size<'a, 'b>(code: &'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b> {
    code.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl()
}

/// A section that is a list, with more entries.
pub(super) fn extended(section: &[u8], count: usize, added: &[u8]) -> Result<Vec<u8>> {
    let mut reader = BinaryReader::new(section, 0);
    let total = reader.read_var_u32()? as usize + count;
    let entries = section.get(reader.original_position()..).unwrap_or_default();
    let mut bytes = Vec::with_capacity(section.len() + added.len() + 5);
    total.encode(&mut bytes);
    bytes.extend_from_slice(entries);
    bytes.extend_from_slice(added);
    Ok(bytes)
}
