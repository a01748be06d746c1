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
//!
//! Compiled code gives way only where functions and loops begin. Other instructions
//! that the host carries out, of which a function may have any number in a row, get
//! such a place by a call to a function that does nothing.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, NameMap, NameSection};
use wasmparser::{BinaryReader, Operator, Result};

use super::survey::{Body, Found, Site, Unfit};

/// Bytes that are written in one step at the most. That takes microseconds, a
/// hundred where all of it is touched for the first time.
pub(super) const CHUNK: u32 = 64 << 10;

/// The longest constant size of an instruction that compiled code carries out itself,
/// in bytes, and which so is as short as any.
pub(super) const INLINE: u32 = 128;

/// Most instructions in a function that may be carried out without giving way, if
/// they are small. Past it each of them goes to a function first.
const IN_A_ROW: usize = 64;

/// What the functions are called where they have to have a name. They are left out
/// of messages.
pub(super) const NAME: &str = "host:bulk";

/// Types as a module has them: `(i32, i32, i32) -> (i32, i32, i32)`, which is what
/// the functions have; the same of which the last parameter is no parameter yet; and
/// that of the function that does nothing.
const TYPES: [&[u8]; 3] = [
    &[0x60, 3, 0x7f, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f],
    &[0x60, 2, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f],
    &[0x60, 0, 0],
];

/// An instruction that is split, or before which compiled code gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    Fill,
    Copy,
    Init {
        segment: u32,
    },
    /// It cannot be split: it works on a table, grows the memory, or calls the host.
    Other,
}

impl Bulk {
    /// What an instruction is, in a module that imports so many functions.
    pub(super) fn from(operator: &Operator<'_>, imports: u32) -> Option<Bulk> {
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

/// How an instruction is come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As it is.
    Direct,
    /// By the function if it is large. Most are small, and a call would take longer
    /// than they do.
    BySize {
        /// Holds the size.
        local: u32,
    },
    /// By the function.
    ByFunction,
}

impl Way {
    fn of(body: &Body, site: &Site) -> Way {
        match body.next_local.filter(|_| body.sites.len() <= IN_A_ROW && site.bulk != Bulk::Other) {
            None => Way::ByFunction,
            Some(_) if site.is_small => Way::Direct,
            Some(local) => Way::BySize { local },
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
        let sites = found.bodies.iter().flat_map(|body| body.sites.iter().map(move |site| (body, site)));
        let needed = sites.filter(|(body, site)| Way::of(body, site) != Way::Direct);
        let needed = needed.map(|(_, site)| (site.bulk, 0));
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
        for bulk in self.indices.keys() {
            let kind = if *bulk == Bulk::Other { 2 } else { 0 };
            (self.found.types + kind).encode(&mut added);
        }
        extended(section, self.indices.len(), &added)
    }

    /// The section of code, which stands in the module at `start`, with what is
    /// split and the functions.
    pub(super) fn code(&self, binary: &[u8], start: usize, end: usize) -> Result<Vec<u8>, Unfit> {
        let outside = || Unfit::Inconsistent("a function body is outside of its module");
        let raw = |from: usize, to: usize| binary.get(from..to).ok_or_else(outside);
        let mut code = Vec::with_capacity(end - start + 1024);
        let mut copied = start;
        for body in &self.found.bodies {
            code.extend_from_slice(raw(copied, body.entry)?);
            self.split(body, raw)?[..].encode(&mut code);
            copied = body.end;
        }
        code.extend_from_slice(raw(copied, end)?);
        let mut added = Vec::new();
        for bulk in self.indices.keys() {
            self.function(*bulk).encode(&mut added);
        }
        Ok(extended(&code, self.indices.len(), &added)?)
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
    fn split<'b>(
        &self,
        body: &Body,
        raw: impl Fn(usize, usize) -> Result<&'b [u8], Unfit>,
    ) -> Result<Vec<u8>, Unfit> {
        let mut bytes = Vec::with_capacity(body.end - body.locals + 32 * body.sites.len());
        match body.next_local {
            Some(_) => {
                (body.groups + 1).encode(&mut bytes);
                bytes.extend_from_slice(raw(body.groups_at, body.code)?);
                bytes.extend_from_slice(&[1, 0x7f]);
            }
            None => bytes.extend_from_slice(raw(body.locals, body.code)?),
        }
        let mut copied = body.code;
        for site in &body.sites {
            bytes.extend_from_slice(raw(copied, site.at)?);
            copied = site.at;
            let missing = || Unfit::Inconsistent("an instruction has no function to be split by");
            let function = || self.indices.get(&site.bulk).copied().ok_or_else(missing);
            let mut code = InstructionSink::new(&mut bytes);
            match Way::of(body, site) {
                Way::Direct => continue,
                Way::BySize { local: size } => code
                    .local_tee(size)
                    .i32_const(CHUNK as i32)
                    .i32_gt_u()
                    .if_(BlockType::FunctionType(self.found.types + 1))
                    .local_get(size)
                    .call(function()?)
                    .else_()
                    .local_get(size)
                    .end(),
                Way::ByFunction => code.call(function()?),
            };
        }
        bytes.extend_from_slice(raw(copied, body.end)?);
        Ok(bytes)
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
        if bulk == Bulk::Other {
            code.end();
            return function;
        }

        code.block(BlockType::Empty);
        // Out of bounds it traps at once.
        past_end(&mut code, TO, SIZE);
        memory_size(&mut code).i64_gt_u().br_if(0);
        match bulk {
            Bulk::Fill | Bulk::Other => {}
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
            Bulk::Fill | Bulk::Other => code.memory_fill(0),
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
    let entries = reader.read_bytes(reader.bytes_remaining())?;
    let mut bytes = Vec::with_capacity(section.len() + added.len() + 5);
    total.encode(&mut bytes);
    bytes.extend_from_slice(entries);
    bytes.extend_from_slice(added);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::IN_A_ROW;
    use crate::wasm::instrument::instrument;
    use wasmparser::{Operator, Parser, Payload};

    /// How many calls and tests there are in a function with this code then, and how
    /// many functions.
    fn instrumented(code: &str) -> (usize, usize, usize) {
        let module = format!(
            "(module (import \"host\" \"log\" (func)) (memory 1) (table 1 funcref) (data \"a\")
               (func (export \"f\") (local i32) {code}))"
        );
        let binary = instrument(&wat::parse_str(module).unwrap()).unwrap().binary;
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(&binary) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
                bodies.push(operators.collect::<Vec<_>>());
            }
        }
        let count = |is: fn(&Operator<'_>) -> bool| bodies[0].iter().filter(|operator| is(operator)).count();
        let calls = count(|operator| matches!(operator, Operator::Call { .. }));
        (calls, count(|operator| matches!(operator, Operator::If { .. })), bodies.len())
    }

    fn fills(count: usize, size: &str) -> String {
        format!("(memory.fill (i32.const 0) (i32.const 1) {size})").repeat(count)
    }

    #[test]
    fn what_is_small_stays_as_it_is_and_what_may_be_large_is_tested() {
        assert_eq!(instrumented(&fills(IN_A_ROW, "(i32.const 65536)")), (0, 0, 1));
        assert_eq!(instrumented(&fills(IN_A_ROW, "(local.get 0)")), (IN_A_ROW, IN_A_ROW, 2));
        assert_eq!(instrumented(&fills(2, "(i32.const 65537)")), (2, 2, 2));
        assert_eq!(instrumented("(memory.init 0 (i32.const 0) (i32.const 0) (local.get 0))"), (0, 0, 1));
    }

    #[test]
    fn many_in_a_row_give_way_before_each() {
        let many = IN_A_ROW + 1;
        assert_eq!(instrumented(&fills(many, "(i32.const 65536)")), (many, 0, 2));
        assert_eq!(instrumented(&fills(many, "(local.get 0)")), (many, 0, 2));
        assert_eq!(instrumented(&fills(many, "(i32.const 128)")), (0, 0, 1));
    }

    #[test]
    fn what_else_the_host_does_gives_way_before_each() {
        for code in [
            "(drop (memory.grow (i32.const 0)))",
            "(drop (table.grow (ref.null func) (i32.const 0)))",
            "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
            "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
        ] {
            assert_eq!(instrumented(&code.repeat(3)), (3, 0, 2), "{code}");
        }
        // Beside the call itself.
        assert_eq!(instrumented("(call 0)"), (2, 0, 2));
    }
}
