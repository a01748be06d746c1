//! Bombs: modules that take gigabytes or minutes to compile if the compiler has no limits. All
//! except the one in WebAssembly text meet the contract, so only a limit can refuse them.

use wasm_encoder::MemArg;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementMode, ElementSection, ElementSegment, Elements,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, Instruction,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Response of every bomb, if it is accepted and serves.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\n\nlet in";

/// Index of the type of `alloc`. The next two constants are the indices of the types of `handle`,
/// and of functions without parameters and results.
const ALLOC: u32 = 0;
const HANDLE: u32 = 1;
const PLAIN: u32 = 2;

/// Sections of a module that meets the contract.
pub struct Parts {
    pub types: TypeSection,
    functions: FunctionSection,
    tables: TableSection,
    memory: MemoryType,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Parts {
    pub fn new() -> Parts {
        let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
        types.ty().function([ValType::I32], [ValType::I32]);
        types.ty().function([ValType::I32, ValType::I32], [ValType::I64]);
        types.ty().function([], []);
        functions.function(ALLOC).function(HANDLE);
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("alloc", ExportKind::Func, 0).export("handle", ExportKind::Func, 1);
        let (mut code, mut data) = (CodeSection::new(), DataSection::new());
        for result in [Instruction::I32Const(1024), Instruction::I64Const(RESPONSE.len() as i64)] {
            let mut function = Function::new([]);
            code.function(function.instruction(&result).instruction(&Instruction::End));
        }
        data.active(0, &ConstExpr::i32_const(0), RESPONSE.iter().copied());
        let memory =
            MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
        let (tables, globals, elements) = Default::default();
        Parts { types, functions, tables, memory, globals, exports, elements, code, data }
    }

    /// Adds a function that is never called.
    pub fn function(&mut self, locals: u32, body: impl IntoIterator<Item = Instruction<'static>>) {
        self.functions.function(PLAIN);
        let mut function = Function::new((locals > 0).then_some((locals, ValType::I64)));
        for instruction in body {
            function.instruction(&instruction);
        }
        self.code.function(function.instruction(&Instruction::End));
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut memories = MemorySection::new();
        memories.memory(self.memory);
        let mut module = Module::new();
        module.section(&self.types).section(&self.functions).section(&self.tables).section(&memories);
        module.section(&self.globals).section(&self.exports).section(&self.elements);
        module.section(&self.code).section(&self.data);
        module.finish()
    }
}

fn repeat(count: usize, instruction: Instruction<'static>) -> impl Iterator<Item = Instruction<'static>> {
    std::iter::repeat_n(instruction, count)
}

fn nested(count: usize, block: Instruction<'static>) -> Vec<u8> {
    let mut parts = Parts::new();
    parts.function(0, repeat(count, block).chain(repeat(count, Instruction::End)));
    parts.encode()
}

/// Returns a module with nested loops, each with a thousand parameters.
pub fn loops_with_parameters(depth: usize) -> Vec<u8> {
    let mut parts = Parts::new();
    let parameters = || vec![ValType::I64; 1000];
    parts.types.ty().function(parameters(), parameters());
    let constants = repeat(1000, Instruction::I64Const(0));
    let loops = repeat(depth, Instruction::Loop(BlockType::FunctionType(3)));
    let ends = repeat(depth, Instruction::End).chain(repeat(1000, Instruction::Drop));
    parts.function(0, constants.chain(loops).chain(ends));
    parts.encode()
}

/// Returns a module with a chain of conditions that have results. Compiling it takes
/// memory quadratic in its length.
pub fn chain_of_conditions(length: usize) -> Vec<u8> {
    let mut parts = Parts::new();
    let block = BlockType::Result(ValType::I32);
    let links = (0..length).flat_map(|_| {
        [Instruction::I32Const(1), Instruction::If(block), Instruction::I32Const(1), Instruction::Else]
    });
    let ends = repeat(length, Instruction::End).chain([Instruction::Drop]);
    parts.function(0, links.chain([Instruction::I32Const(0)]).chain(ends));
    parts.encode()
}

/// Returns a module with plain code that takes long to compile. Ten functions are about
/// 40 KB.
pub fn much_code(functions: usize) -> Vec<u8> {
    let mut parts = Parts::new();
    for _ in 0..functions {
        let steps = (0..400).flat_map(|step| {
            [
                Instruction::LocalGet(step % 16),
                Instruction::LocalGet((step * 7 + 1) % 16),
                Instruction::I64Mul,
                Instruction::I64Const(i64::from(step)),
                Instruction::I64Xor,
                Instruction::LocalSet((step * 5 + 3) % 16),
            ]
        });
        // Stores the results, so that the compiler cannot remove the code as unused.
        let stores = (0..16).flat_map(|local| {
            let place = MemArg { offset: 8 * u64::from(local), align: 3, memory_index: 0 };
            [Instruction::I32Const(2048), Instruction::LocalGet(local), Instruction::I64Store(place)]
        });
        parts.function(16, steps.chain(stores));
    }
    parts.encode()
}

/// Returns all bombs with their names.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut functions = Parts::new();
    (0..990_000).for_each(|_| functions.function(0, []));
    let mut locals = Parts::new();
    (0..2000).for_each(|_| locals.function(50_000, []));
    let mut globals = Parts::new();
    let kind = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    for _ in 0..60_000 {
        globals.globals.global(kind, &ConstExpr::i64_const(0));
    }
    let mut exports = Parts::new();
    for index in 0..500_000 {
        exports.exports.export(&format!("e{index}"), ExportKind::Func, 0);
    }
    let mut elements = Parts::new();
    let table = TableType {
        element_type: RefType::FUNCREF,
        minimum: 60_000,
        maximum: Some(60_000),
        table64: false,
        shared: false,
    };
    elements.tables.table(table);
    for _ in 0..20 {
        let nulls = vec![ConstExpr::ref_func(0); 60_000];
        elements.elements.segment(ElementSegment {
            mode: ElementMode::Active { table: None, offset: &ConstExpr::i32_const(0) },
            elements: Elements::Expressions(RefType::FUNCREF, nulls.into()),
        });
    }
    let mut data = Parts::new();
    data.memory.minimum = 1000;
    data.data.active(0, &ConstExpr::i32_const(70_000), vec![b'y'; 60_000_000]);
    let mut targets = Parts::new();
    let branches = Instruction::BrTable((0..100_000).map(|index| index % 1000).collect(), 0);
    let blocks = repeat(1000, Instruction::Block(BlockType::Empty));
    let branch = [Instruction::I32Const(0), branches].into_iter();
    targets.function(0, blocks.chain(branch).chain(repeat(1000, Instruction::End)));
    let folded =
        format!("(module (func {} {}))", "(if (i32.const 1) (then ".repeat(200_000), "))".repeat(200_000));
    vec![
        ("nested loops with parameters, small", loops_with_parameters(200)),
        ("nested loops with parameters", loops_with_parameters(400)),
        ("a chain of conditions", chain_of_conditions(5000)),
        ("a longer chain of conditions", chain_of_conditions(10_000)),
        ("two million nested blocks", nested(2_000_000, Instruction::Block(BlockType::Empty))),
        ("three hundred thousand nested loops", nested(300_000, Instruction::Loop(BlockType::Empty))),
        ("as many functions as may be", functions.encode()),
        ("functions with as many locals as may be", locals.encode()),
        ("many globals", globals.encode()),
        ("many exports", exports.encode()),
        ("long element segments", elements.encode()),
        ("a long data segment", data.encode()),
        ("a branch table with many targets", targets.encode()),
        ("nested conditions as text", folded.into_bytes()),
        ("ten megabytes of code", much_code(2500)),
    ]
}
