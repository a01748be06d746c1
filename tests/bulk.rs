//! The host splits instructions that copy and fill memory, so that they can yield. Their
//! results are compared with those of plain wasmtime.

use host_wasm::Effort;

use crate::harness::oracle::{Host, compile, fresh};
use crate::harness::{Random, Server, fixture_text};

/// Size of the test module's memory, in pages.
const PAGES: usize = 9;

/// Returns `copies.wat` with additional module fields and locals of its handler.
fn module(more: &str, locals: &str) -> String {
    let large = format!("\"{}\"", "a long text".repeat(20_000));
    let text = fixture_text("copies.wat").replacen("\"a long text\"", &large, 1);
    text.replacen("(module", &format!("(module {more}"), 1).replacen(
        "(local $kind",
        &format!("{locals} (local $kind"),
        1,
    )
}

/// Picks an operand, often near the edge of a chunk or of the memory.
fn operand(random: &mut Random) -> u32 {
    let near = [0, 65_536, 131_072, 220_000, 300_000, PAGES << 16];
    let number = match random.below(8) {
        0 => return u32::MAX - random.below(3) as u32,
        1..5 => (near[random.below(near.len())] + random.below(9)).saturating_sub(4),
        _ => {
            let part = 1 + random.below(4);
            random.below((PAGES << 16) / part)
        }
    };
    number as u32
}

#[test]
fn what_is_split_does_what_the_instruction_does() {
    let host = Host::new();
    let changes_tables = "(table 1 funcref) (func $no (table.set (i32.const 0) (ref.null func)))";
    let many = "(local i32)".repeat(49_995);
    let mut random = Random::new(11);
    for (more, locals) in [("", ""), (changes_tables, ""), ("", &*many), ("", "(local i64 f32)")] {
        let wat = module(more, locals);
        let reference = compile(&wat);
        let module = host.start(wat.as_bytes(), Effort::Quick).unwrap();
        assert_eq!(module.resets_instances(), more.is_empty());
        for number in 0..120 {
            let mut request = vec![random.below(6) as u8];
            let mut operands = [operand(&mut random), operand(&mut random), operand(&mut random)];
            if random.below(2) == 0 {
                // Makes the ranges overlap, by less or by more than a chunk of a split
                // instruction.
                operands[1] = operands[0].wrapping_add(random.below(140_000) as u32).wrapping_sub(70_000);
            }
            operands.iter().for_each(|operand| request.extend(operand.to_le_bytes()));
            let (expected, found) = (fresh(&reference, &request), host.call(&module, &request));
            assert_eq!(expected, found, "request {number}, {request:?}");
        }
    }
}

#[test]
fn a_trap_is_told_where_the_instruction_stands() {
    let module = "(module (memory (export \"memory\") 4)
        (func (export \"alloc\") (param i32) (result i32) (i32.const 8))
        (func $fills (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
        (func (export \"handle\") (param i32 i32) (result i64) (call $fills (i32.const -1)) (i64.const 0)))";
    let mut server = Server::of_text(module);
    assert_eq!(server.connect().ask("GET", "/").status, 500);
    let line = server.log_line(&["fault=\"trap\""]);
    let cause = "cause=\"wasm trap: out of bounds memory access; in fills < function 2\"";
    assert!(line.ends_with(cause), "{line}");
}

#[test]
fn functions_of_the_host_are_in_no_backtrace() {
    // The stack can run out anywhere, even in a function that the host has added.
    let module = "(module (memory (export \"memory\") 4)
        (func (export \"alloc\") (param i32) (result i32) (i32.const 8))
        (func $fills (param i32)
          (memory.fill (i32.const 0) (i32.const 1) (i32.add (i32.const 130000) (local.get 0)))
          (call $fills (i32.and (local.get 0) (i32.const 1))))
        (func (export \"handle\") (param i32 i32) (result i64) (call $fills (i32.const 1)) (i64.const 0)))";
    let mut server = Server::of_text(module);
    assert_eq!(server.connect().ask("GET", "/").status, 500);
    let line = server.log_line(&["call stack exhausted"]);
    assert!(!line.contains("host:") && line.contains("; in fills < fills < fills"), "{line}");
}

#[test]
fn others_are_answered_while_much_memory_is_filled() {
    // The code has no loop or call at which it could yield, except within the
    // instructions that the host splits. It runs for about a second.
    let fills = "(memory.fill (i32.const 65536) (i32.const 7) (local.get $size))".repeat(100);
    let copies = "(memory.copy (i32.const 65536) (i32.const 65537) (local.get $size))".repeat(60);
    for work in [fills, copies] {
        let module = format!(
            "(module (import \"host\" \"log\" (func $log (param i32 i32 i32)))
            (memory (export \"memory\") 1024) (data (i32.const 0) \"HTTP/1.1 200 OK\\0a\\0aentered\")
            (func (export \"alloc\") (param i32) (result i32) (i32.const 1024))
            (func (export \"handle\") (param i32 i32) (result i64) (local $size i32)
              (local.set $size (i32.const 0x3fe0000))
              (call $log (i32.const 2) (i32.const 17) (i32.const 7))
              {work}
              (i64.const 24)))"
        );
        let mut server = Server::of_text_with(&module, &["--threads", "1", "--deadline", "1h"]);
        let mut busy = server.asking("/long");
        server.log_line(&["entered"]);
        for _ in 0..3 {
            // The host itself answers 414, on the thread that runs the call.
            assert_eq!(server.connect().ask("GET", &format!("/{}", "a".repeat(9000))).status, 414);
        }
        assert!(busy.is_open() && !busy.has_reply(), "it was over before the others");
        assert_eq!(busy.reply_to("GET").status, 200);
    }
}
