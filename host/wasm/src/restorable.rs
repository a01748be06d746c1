//! The list of instructions whose effects the host can undo after a request. The effects of any
//! other instruction, including a future one, count as permanent.

use wasmparser::Operator;

/// Returns whether a proposal added only instructions for computation, for control flow, and for
/// access to memories and globals, which are reset.
const fn is_restorable(proposal: &str) -> bool {
    matches!(
        proposal.as_bytes(),
        b"mvp" | b"sign_extension" | b"saturating_float_to_int" | b"tail_call" | b"simd" | b"relaxed_simd"
    )
}

macro_rules! of_restorable_proposal {
    ($( @$proposal:ident $op:ident $({ $($payload:tt)* })? => $visit:ident ($($type:tt)*) )*) => {
        fn of_restorable_proposal(operator: &Operator<'_>) -> bool {
            match operator {
                $( Operator::$op { .. } => const { is_restorable(stringify!($proposal)) }, )*
                _ => false,
            }
        }
    };
}
wasmparser::for_each_operator!(of_restorable_proposal);

/// Returns the name of an instruction whose effects cannot be undone; [`None`] for an instruction
/// whose effects can.
pub(super) fn changes_for_good(operator: &Operator<'_>) -> Option<&'static str> {
    use Operator as O;
    match operator {
        // Reference types: reading a table is harmless.
        O::TableGet { .. } | O::TableSize { .. } => None,
        O::RefNull { .. } | O::RefIsNull | O::RefFunc { .. } | O::TypedSelect { .. } => None,
        // Bulk memory: writing to memory is undone.
        O::MemoryInit { .. } | O::MemoryCopy { .. } | O::MemoryFill { .. } => None,
        operator if of_restorable_proposal(operator) => None,
        // The other instructions of these two proposals write to tables or drop segments.
        O::TableSet { .. } => Some("table.set"),
        O::TableGrow { .. } => Some("table.grow"),
        O::TableFill { .. } => Some("table.fill"),
        O::TableCopy { .. } => Some("table.copy"),
        O::TableInit { .. } => Some("table.init"),
        O::ElemDrop { .. } => Some("elem.drop"),
        O::DataDrop { .. } => Some("data.drop"),
        // A module that uses any other instruction is refused.
        _ => Some("an instruction of a proposal that is off"),
    }
}

#[cfg(test)]
mod tests {
    use super::changes_for_good;
    use wasmparser::{Parser, Payload};

    #[test]
    fn only_listed_instructions_can_be_reset() {
        for (text, expected) in [
            ("(global.set 0 (i32.const 1))", false),
            ("(drop (memory.grow (i32.const 1)))", false),
            ("(memory.fill (i32.const 1) (i32.const 1) (i32.const 1))", false),
            ("(memory.init 0 (i32.const 1) (i32.const 1) (i32.const 1))", false),
            ("(drop (i32x4.splat (i32.const 1)))", false),
            ("(drop (table.get 0 (i32.const 1)))", false),
            ("(drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 0 0)))", false),
            ("(return_call 0)", false),
            ("(drop (ref.is_null (ref.func 0)))", false),
            ("(data.drop 0)", true),
            ("(elem.drop 0)", true),
            ("(table.set 0 (i32.const 1) (ref.func 0))", true),
            ("(drop (table.grow 0 (ref.func 0) (i32.const 1)))", true),
            ("(table.fill 0 (i32.const 1) (ref.func 0) (i32.const 1))", true),
            ("(table.copy 0 0 (i32.const 1) (i32.const 1) (i32.const 1))", true),
            ("(table.init 0 0 (i32.const 1) (i32.const 1) (i32.const 1))", true),
            // Instructions of proposals that are off. If they were turned on, these would
            // still count as changing the module for good.
            ("(drop (memory.atomic.notify (i32.const 0) (i32.const 0)))", true),
            ("(throw 0)", true),
            ("(drop (struct.new_default 0))", true),
            ("(drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop", true),
        ] {
            let module = format!(
                "(module (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0)) (tag) (data \"a\") (elem func 0) (func {text}) (type (struct)))"
            );
            let module = wat::parse_str(
                module
                    .replace("struct.new_default 0", "struct.new_default $s")
                    .replace("(type (struct))", "(type $s (struct))"),
            )
            .unwrap();
            let mut found = None;
            for payload in Parser::new(0).parse_all(&module) {
                if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                    let mut operators = body.get_operators_reader().unwrap().into_iter();
                    found = operators.find_map(|operator| changes_for_good(&operator.unwrap()));
                }
            }
            assert_eq!(found.is_some(), expected, "{text}");
            assert!(found.is_none_or(|name| text.contains(name) || name.ends_with("is off")), "{text}");
        }
    }
}
