//! Splits instructions that copy or fill memory. Such an instruction cannot be interrupted, and the
//! module chooses its size: 64 MiB take tens of milliseconds. So a large operation first calls a
//! helper function, which works in chunks. Compiled code may yield between two chunks, as in any
//! loop.
//!
//! The helper does all but the last chunk. It returns the operands for the last one, which the
//! original instruction does. If the instruction would trap, the helper does nothing, so that the
//! original instruction traps before anything is written, and the backtrace shows the right
//! function.
//!
//! Compiled code yields only at the start of functions and loops. Table instructions, `memory.grow`
//! and calls of imports run in the host and cannot be split, but a function may have any number of
//! them in a row. So each of them first calls an empty helper function, at whose start compiled
//! code may yield.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, NameMap, NameSection};
use wasmparser::{BinaryReader, Result};

use crate::module_error::ModuleError;
use crate::survey::{Body, Bulk, CHUNK, Found, Site};

/// A function with at most this many bulk instructions (see [`Bulk`]) does small operations inline.
/// In a function with more, a helper is called before each bulk instruction, so that the function
/// can yield.
const IN_A_ROW: usize = 64;

/// Name of the helper functions in the name section of a module. Backtraces in messages leave out
/// functions of this name.
pub(super) const NAME: &str = "host:bulk";

/// Types that are added to a module, in binary form: `(i32, i32, i32) -> (i32, i32, i32)` for the
/// helper functions, `(i32, i32) -> (i32, i32, i32)` for the block around the call of a helper, and
/// `() -> ()` for the helper that does nothing but yield.
const TYPES: [&[u8]; 3] = [
    &[0x60, 3, 0x7f, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f],
    &[0x60, 2, 0x7f, 0x7f, 3, 0x7f, 0x7f, 0x7f],
    &[0x60, 0, 0],
];

/// Whether a helper function is called before a bulk instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HelperCall {
    /// Never: the instruction stays as it is.
    Never,
    /// Only if the operation is larger than [`CHUNK`]. Most are smaller, and take less time than
    /// the call of a helper would.
    BySize {
        /// Index of the added local variable that holds the size.
        local: u32,
    },
    /// Always: the function has too many bulk instructions or no room for another local, or the
    /// instruction cannot be split.
    Always,
}

impl HelperCall {
    fn of(body: &Body, site: &Site) -> HelperCall {
        match body.next_local.filter(|_| body.sites.len() <= IN_A_ROW && site.bulk != Bulk::Other) {
            None => HelperCall::Always,
            Some(_) if site.is_small => HelperCall::Never,
            Some(local) => HelperCall::BySize { local },
        }
    }
}

/// The helper functions that a module needs, with their indices.
pub(super) struct Helpers<'a> {
    found: &'a Found<'a>,
    indices: BTreeMap<Bulk, u32>,
}

impl<'a> Helpers<'a> {
    pub(super) fn of(found: &'a Found<'a>) -> Helpers<'a> {
        let sites = found.bodies.iter().flat_map(|body| body.sites.iter().map(move |site| (body, site)));
        let needed = sites.filter(|(body, site)| HelperCall::of(body, site) != HelperCall::Never);
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

    /// Returns a module's type section with the types of the helpers added.
    pub(super) fn types(&self, section: &[u8]) -> Result<Vec<u8>> {
        extended(section, TYPES.len(), &TYPES.concat())
    }

    /// Returns a module's function section with the helpers added.
    pub(super) fn functions(&self, section: &[u8]) -> Result<Vec<u8>> {
        let mut added = Vec::new();
        for bulk in self.indices.keys() {
            let kind = if *bulk == Bulk::Other { 2 } else { 0 };
            (self.found.types + kind).encode(&mut added);
        }
        extended(section, self.indices.len(), &added)
    }

    /// Returns the code section with the changed function bodies and the helpers. The content of
    /// the original section is `binary[start..end]`.
    pub(super) fn code(&self, binary: &[u8], start: usize, end: usize) -> Result<Vec<u8>, ModuleError> {
        let outside = || ModuleError::Compiler("a function body is outside of its module".into());
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

    /// Returns a name section with the names of the helpers. The module's own name section remains.
    pub(super) fn names(&self) -> NameSection {
        let mut functions = NameMap::new();
        self.indices.values().for_each(|index| functions.append(*index, NAME));
        let mut names = NameSection::new();
        names.functions(&functions);
        names
    }

    /// Returns a function body with a call of a helper inserted before each bulk instruction that
    /// needs it. `raw` returns a range of bytes of the module.
    fn split<'b>(
        &self,
        body: &Body,
        raw: impl Fn(usize, usize) -> Result<&'b [u8], ModuleError>,
    ) -> Result<Vec<u8>, ModuleError> {
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
            let missing = || ModuleError::Compiler("an instruction has no helper function".into());
            let function = || self.indices.get(&site.bulk).copied().ok_or_else(missing);
            let mut code = InstructionSink::new(&mut bytes);
            match HelperCall::of(body, site) {
                HelperCall::Never => continue,
                HelperCall::BySize { local: size } => code
                    .local_tee(size)
                    .i32_const(CHUNK as i32)
                    .i32_gt_u()
                    .if_(BlockType::FunctionType(self.found.types + 1))
                    .local_get(size)
                    .call(function()?)
                    .else_()
                    .local_get(size)
                    .end(),
                HelperCall::Always => code.call(function()?),
            };
        }
        bytes.extend_from_slice(raw(copied, body.end)?);
        Ok(bytes)
    }

    /// Returns the helper function for one kind of instruction. Its parameters are the operands of
    /// the instruction: the destination, the source or value, and the size. It returns the operands
    /// for the part that is left to do. The helper for [`Bulk::Other`] is empty.
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
        // If the range is out of bounds, returns at once, and the instruction traps.
        push_end(&mut code, TO, SIZE);
        push_memory_size(&mut code).i64_gt_u().br_if(0);
        if bulk != Bulk::Fill {
            push_end(&mut code, FROM, SIZE);
            match bulk {
                Bulk::Init { segment } => code.i64_const(self.found.length_for_init(segment).into()),
                _ => push_memory_size(&mut code),
            };
            code.i64_gt_u().br_if(0);
        }
        if bulk == Bulk::Copy {
            // If the destination is after the source, copies from the end, so that nothing
            // is overwritten before it was read.
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

/// Emits code that pushes the sum of two i32 locals as i64, which cannot overflow.
fn push_end(code: &mut InstructionSink<'_>, start: u32, size: u32) {
    code.local_get(start).i64_extend_i32_u().local_get(size).i64_extend_i32_u().i64_add();
}

/// Emits code that pushes the size of the memory in bytes as i64.
fn push_memory_size<'a, 'b>(code: &'a mut InstructionSink<'b>) -> &'a mut InstructionSink<'b> {
    code.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl()
}

/// Returns a section of a module with `count` entries added at its end. `added` contains the
/// encoded entries.
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
    use crate::instrument::instrument;
    use wasmparser::{Operator, Parser, Payload};

    /// Instruments a module whose only function has this code. Returns the number of calls and of
    /// `if` instructions (tests of a size) in that function, and the number of functions in the
    /// instrumented module.
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
    fn small_operations_stay_and_unknown_sizes_are_tested() {
        assert_eq!(instrumented(&fills(IN_A_ROW, "(i32.const 65536)")), (0, 0, 1));
        assert_eq!(instrumented(&fills(IN_A_ROW, "(local.get 0)")), (IN_A_ROW, IN_A_ROW, 2));
        assert_eq!(instrumented(&fills(2, "(i32.const 65537)")), (2, 2, 2));
        assert_eq!(instrumented("(memory.init 0 (i32.const 0) (i32.const 0) (local.get 0))"), (0, 0, 1));
    }

    #[test]
    fn past_the_limit_each_operation_calls_a_helper() {
        let many = IN_A_ROW + 1;
        assert_eq!(instrumented(&fills(many, "(i32.const 65536)")), (many, 0, 2));
        assert_eq!(instrumented(&fills(many, "(local.get 0)")), (many, 0, 2));
        assert_eq!(instrumented(&fills(many, "(i32.const 128)")), (0, 0, 1));
    }

    #[test]
    fn other_host_operations_always_call_a_helper() {
        for code in [
            "(drop (memory.grow (i32.const 0)))",
            "(drop (table.grow (ref.null func) (i32.const 0)))",
            "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
            "(table.copy (i32.const 0) (i32.const 0) (i32.const 1))",
        ] {
            assert_eq!(instrumented(&code.repeat(3)), (3, 0, 2), "{code}");
        }
        // Two calls: of the helper, and of the import itself.
        assert_eq!(instrumented("(call 0)"), (2, 0, 2));
    }
}
