//! Limits on the parts of a module, or of a component and all modules in it, counted in one
//! pass before anything is compiled.
//! The compile process has limits on memory and time anyway. These limits refuse known
//! compile bombs within milliseconds, and with a precise message.

use wasmparser::{BlockType, CompositeInnerType, ElementItems, FunctionBody, Operator, Parser, Payload};

use crate::module_error::ModuleError;

/// Maximum number of functions. Large programs that are compiled to WebAssembly have about a
/// thousand in each megabyte.
pub const FUNCTIONS_MAX: u64 = 200_000;

/// Maximum number of locals of all functions together.
pub const LOCALS_MAX: u64 = 4_000_000;

/// Maximum nesting depth of blocks. A `match` of a thousand arms nests a thousand blocks.
pub const NESTING_MAX: u64 = 10_000;

/// Maximum number of parameters of all blocks of one function together. The compiler's memory for
/// each block grows with the parameters of the enclosing blocks.
pub const BLOCK_PARAMETERS_MAX: u64 = 10_000;

/// Maximum number of targets of all branch tables together.
pub const BRANCH_TARGETS_MAX: u64 = 1_000_000;

/// Maximum number of types.
pub const TYPES_MAX: u64 = 100_000;
/// Maximum number of imports.
pub const IMPORTS_MAX: u64 = 10_000;
/// Maximum number of exports.
pub const EXPORTS_MAX: u64 = 100_000;
/// Maximum number of globals.
pub const GLOBALS_MAX: u64 = 10_000;
/// Maximum number of data segments.
pub const DATA_SEGMENTS_MAX: u64 = 100_000;

/// Maximum number of elements of all element segments together.
pub const ELEMENTS_MAX: u64 = 1_000_000;

/// Maximum number of elements that are written as expressions, in all element segments together.
/// The compiler stores each of them separately.
pub const ELEMENT_EXPRESSIONS_MAX: u64 = 10_000;

/// Maximum number of modules and components in a file. Compilers write about twenty.
pub const NESTED_MAX: u64 = 200;

/// Maximum depth of components inside each other.
pub const NESTED_DEPTH_MAX: u64 = 16;

/// Maximum number of items (types, imports, exports, instances and so on) of a component, without
/// those of nested components.
pub const COMPONENT_ITEMS_MAX: u64 = 100_000;

/// Checks a binary against the limits. A malformed binary passes, because the later validation
/// gives a better message.
///
/// # Errors
///
/// [`ModuleError::TooComplex`] names the part that is over its limit.
pub(super) fn check(binary: &[u8]) -> Result<(), ModuleError> {
    match Counts::default().count(binary) {
        Err(error @ ModuleError::TooComplex { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Fails if the number of a part exceeds its limit.
fn bound(what: &str, found: impl Into<u64>, limit: u64) -> Result<(), ModuleError> {
    if found.into() > limit { Err(ModuleError::TooComplex { what: what.into(), limit }) } else { Ok(()) }
}

#[derive(Default)]
struct Counts {
    /// Parameters of each function type of a module.
    parameters: Vec<u64>,
    types: u64,
    imports: u64,
    functions: u64,
    globals: u64,
    exports: u64,
    segments: u64,
    locals: u64,
    branch_targets: u64,
    elements: u64,
    expressions: u64,
    /// Number of modules and components found so far; `depth` is the number of those whose end has
    /// not been reached.
    nested: u64,
    depth: u64,
    items: u64,
}

/// Adds `found` to a number. Fails if the sum exceeds the limit.
fn add(what: &str, to: &mut u64, found: impl Into<u64>, limit: u64) -> Result<(), ModuleError> {
    *to = to.saturating_add(found.into());
    bound(what, *to, limit)
}

impl Counts {
    /// Counts the parts of a module, up to the first that is over its limit.
    fn count(&mut self, binary: &[u8]) -> Result<(), ModuleError> {
        for payload in Parser::new(0).parse_all(binary) {
            self.count_part(&payload?)?;
        }
        Ok(())
    }

    fn count_part(&mut self, payload: &Payload<'_>) -> Result<(), ModuleError> {
        match payload {
            Payload::Version { .. } => {
                self.parameters.clear();
                add("modules and components", &mut self.nested, 1_u64, NESTED_MAX)?;
                add("components inside each other", &mut self.depth, 1_u64, NESTED_DEPTH_MAX)?;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::TypeSection(types) => {
                add("types", &mut self.types, types.count(), TYPES_MAX)?;
                for group in types.clone() {
                    let parameters = group?.into_types().map(|kind| match kind.composite_type.inner {
                        CompositeInnerType::Func(function) => function.params().len() as u64,
                        _ => 0,
                    });
                    self.parameters.extend(parameters);
                }
            }
            Payload::ImportSection(imports) => {
                add("imports", &mut self.imports, imports.count(), IMPORTS_MAX)?;
            }
            Payload::FunctionSection(functions) => {
                add("functions", &mut self.functions, functions.count(), FUNCTIONS_MAX)?;
            }
            Payload::GlobalSection(globals) => {
                add("globals", &mut self.globals, globals.count(), GLOBALS_MAX)?;
            }
            Payload::ExportSection(exports) => {
                add("exports", &mut self.exports, exports.count(), EXPORTS_MAX)?;
            }
            Payload::DataSection(segments) => {
                add("data segments", &mut self.segments, segments.count(), DATA_SEGMENTS_MAX)?;
            }
            Payload::ElementSection(segments) => {
                for segment in segments.clone() {
                    self.count_elements(&segment?.items)?;
                }
            }
            Payload::CodeSectionEntry(body) => self.count_function(body)?,
            part => self.count_item(part)?,
        }
        Ok(())
    }

    /// Counts an item of a component, without the items of nested components.
    fn count_item(&mut self, part: &Payload<'_>) -> Result<(), ModuleError> {
        let count = match part {
            Payload::CoreTypeSection(items) => items.count(),
            Payload::InstanceSection(items) => items.count(),
            Payload::ComponentInstanceSection(items) => items.count(),
            Payload::ComponentAliasSection(items) => items.count(),
            Payload::ComponentTypeSection(items) => items.count(),
            Payload::ComponentCanonicalSection(items) => items.count(),
            Payload::ComponentImportSection(items) => items.count(),
            Payload::ComponentExportSection(items) => items.count(),
            _ => 0,
        };
        add("parts of a component", &mut self.items, count, COMPONENT_ITEMS_MAX)
    }

    fn count_elements(&mut self, items: &ElementItems<'_>) -> Result<(), ModuleError> {
        match items {
            ElementItems::Functions(functions) => self.elements += u64::from(functions.count()),
            ElementItems::Expressions(_, expressions) => {
                self.elements += u64::from(expressions.count());
                self.expressions += u64::from(expressions.count());
            }
        }
        bound("elements in segments", self.elements, ELEMENTS_MAX)?;
        let what = "elements in segments that are expressions";
        bound(what, self.expressions, ELEMENT_EXPRESSIONS_MAX)
    }

    fn count_function(&mut self, body: &FunctionBody<'_>) -> Result<(), ModuleError> {
        for group in body.get_locals_reader()? {
            self.locals += u64::from(group?.0);
            bound("locals in all functions", self.locals, LOCALS_MAX)?;
        }
        let (mut nesting, mut parameters): (u64, u64) = (0, 0);
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            match operators.read()? {
                Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                    nesting += 1;
                    if let BlockType::FuncType(index) = blockty {
                        // An unknown type counts as 0: validation refuses the module later.
                        parameters += self.parameters.get(index as usize).copied().unwrap_or(0);
                    }
                    bound("blocks inside each other", nesting, NESTING_MAX)?;
                    bound("block parameters in a function", parameters, BLOCK_PARAMETERS_MAX)?;
                }
                Operator::End => nesting = nesting.saturating_sub(1),
                Operator::BrTable { targets } => {
                    self.branch_targets += u64::from(targets.len());
                    bound("targets of branch tables", self.branch_targets, BRANCH_TARGETS_MAX)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_PARAMETERS_MAX, FUNCTIONS_MAX, NESTED_DEPTH_MAX, NESTED_MAX, NESTING_MAX, check};

    fn refused(text: &str, expected: &str) {
        let error = check(&wat::parse_str(text).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn ordinary_and_malformed_modules_pass() {
        let module = wat::parse_bytes(include_bytes!("../../../../tests/fixtures/echo.wat")).unwrap();
        assert!(check(&module).is_ok());
        for end in 0..module.len() {
            assert!(check(&module[..end]).is_ok());
        }
    }

    #[test]
    fn all_modules_of_a_component_count_together() {
        let functions = |count: u64| format!("(core module {})", "(func)".repeat(count as usize));
        let half = functions(FUNCTIONS_MAX / 2);
        assert!(check(&wat::parse_str(format!("(component {half} {half})")).unwrap()).is_ok());
        let more = functions(1);
        refused(&format!("(component {half} {half} {more})"), "it has more than 200000 functions");
        let modules = "(core module)".repeat(NESTED_MAX as usize);
        refused(&format!("(component {modules})"), "it has more than 200 modules and components");
        let depth = NESTED_DEPTH_MAX as usize;
        refused(
            &format!("{}{}", "(component ".repeat(depth + 1), ")".repeat(depth + 1)),
            "it has more than 16 components inside each other",
        );
    }

    #[test]
    fn the_part_over_its_limit_is_named() {
        let nested = |count: u64| {
            let count = count as usize;
            format!("(module (func {} {}))", "block ".repeat(count), "end ".repeat(count))
        };
        assert!(check(&wat::parse_str(nested(NESTING_MAX)).unwrap()).is_ok());
        refused(&nested(NESTING_MAX + 1), "it has more than 10000 blocks inside each other");
        let locals = format!("(func (local {}))", "i64 ".repeat(40_000));
        refused(
            &format!("(module {})", locals.repeat(101)),
            "it has more than 4000000 locals in all functions",
        );
        let elements = "(ref.null func)".repeat(10_001);
        refused(
            &format!("(module (table 1 funcref) (elem (i32.const 0) funcref {elements}))"),
            "it has more than 10000 elements in segments that are expressions",
        );
        let parameters = "i32 ".repeat(100);
        let blocks = BLOCK_PARAMETERS_MAX as usize / 100 + 1;
        let loops = "loop (type 0) ".repeat(blocks);
        refused(
            &format!(
                "(module (type (func (param {parameters}))) (func unreachable {loops} {}))",
                "end ".repeat(blocks)
            ),
            "it has more than 10000 block parameters in a function",
        );
    }
}
