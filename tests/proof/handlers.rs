//! Handlers that differ in one thing, as WebAssembly text.

use std::fmt::Write;

use crate::harness::modules::escaped;

/// Address of the first answer.
const ANSWERS: usize = 1024;

/// Address of the texts to compare requests with.
const STARTS: usize = 65_536;

/// Address at which an answer is put together.
const ROOM: usize = 131_072;

/// Address of the first request or value.
const FREE: usize = 262_144;

/// What a handler does with a request.
#[derive(Clone, Copy)]
pub enum Does {
    /// Answers with these bytes.
    Says(&'static str),
    /// Answers with the request, behind these bytes.
    Echoes(&'static str),
    /// Answers with the text of its first value, whose name has three letters, behind these
    /// bytes.
    Tells(&'static str),
    /// Answers with 8 random bytes, behind these bytes.
    Draws(&'static str),
    /// Takes as many pages of memory, and answers with these bytes.
    Grows(u32, &'static str),
    /// Counts to so many millions, and answers with these bytes.
    Counts(u32, &'static str),
    /// Answers with these bytes, but traps if the request ends in an exclamation mark.
    Shuns(&'static str),
    /// Traps. Its message is its values.
    Traps,
    /// Says in the log that it was entered, and never ends.
    Loops,
}

/// A handler, as text once it is complete.
#[derive(Clone)]
pub struct Handler {
    otherwise: Does,
    /// What it does with requests that begin with a text; later ones come first.
    rules: Vec<(String, Does)>,
    comment: &'static str,
}

impl Handler {
    pub fn new(otherwise: Does) -> Handler {
        Handler { otherwise, rules: Vec::new(), comment: "" }
    }

    /// Returns the same handler except for requests that begin so: `GET /about `.
    pub fn but(&self, start: impl Into<String>, does: Does) -> Handler {
        let mut other = self.clone();
        other.rules.push((start.into(), does));
        other
    }

    /// Returns the same handler in other bytes.
    pub fn again(&self, comment: &'static str) -> Handler {
        Handler { comment, ..self.clone() }
    }

    pub fn text(&self) -> String {
        let (mut code, mut data) = (String::new(), Data::default());
        for (start, does) in self.rules.iter().rev() {
            let (at, length) = data.start(start);
            let action = does.action(&mut data);
            let _ = writeln!(
                code,
                "(if (call $begins (local.get $request) (i32.const {at}) (i32.const {length}))
                   (then {action}))"
            );
        }
        let otherwise = self.otherwise.action(&mut data);
        let does = self.rules.iter().map(|(_, does)| does).chain([&self.otherwise]);
        let draws = { does }.any(|does| matches!(does, Does::Draws(_)));
        let random = if draws { "(import \"host\" \"random\" (func $random (result i64)))" } else { "" };
        let (data, comment) = (data.text, self.comment);
        format!(
            ";; {comment}
             (module {random}
               (import \"host\" \"log\" (func $log (param i32 i32 i32)))
               (memory (export \"memory\") 8)
               (data (i32.const 0) \"{comment}\") (data (i32.const 512) \"entered\")
               {data}
               (global $free (mut i32) (i32.const {FREE}))
               (global $values (mut i32) (i32.const 0))
               (global $values_length (mut i32) (i32.const 0))
               (func (export \"alloc\") (param $length i32) (result i32)
                 (global.get $free)
                 (global.set $free (i32.add (global.get $free) (local.get $length))))
               (func (export \"configure\") (param $at i32) (param $length i32)
                 (global.set $values (local.get $at))
                 (global.set $values_length (local.get $length)))
               (func (export \"panic_message\") (result i64)
                 (call $span (global.get $values) (global.get $values_length)))
               (func $span (param $at i32) (param $length i32) (result i64)
                 (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
                   (i64.extend_i32_u (local.get $length))))
               ;; Returns some bytes, and others behind them.
               (func $joined (param $at i32) (param $length i32) (param $more i32) (param $count i32) (result i64)
                 (memory.copy (i32.const {ROOM}) (local.get $at) (local.get $length))
                 (memory.copy (i32.add (i32.const {ROOM}) (local.get $length)) (local.get $more) (local.get $count))
                 (call $span (i32.const {ROOM}) (i32.add (local.get $length) (local.get $count))))
               ;; Returns whether the bytes at two addresses are equal.
               (func $begins (param $one i32) (param $other i32) (param $length i32) (result i32)
                 (loop $next
                   (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
                   (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                   (br_if $next (i32.eq
                     (i32.load8_u (i32.add (local.get $one) (local.get $length)))
                     (i32.load8_u (i32.add (local.get $other) (local.get $length))))))
                 (i32.const 0))
               (func (export \"handle\") (param $request i32) (param $length i32) (result i64)
                 (local $left i32)
                 {code}
                 {otherwise}
                 unreachable))"
        )
    }
}

impl Does {
    /// Returns the instructions, which return from `handle` or trap.
    fn action(self, data: &mut Data) -> String {
        let mut bytes = |text: &str| {
            let (at, length) = data.answer(text);
            format!("(i32.const {at}) (i32.const {length})")
        };
        match self {
            Does::Says(text) => format!("(return (call $span {}))", bytes(text)),
            Does::Echoes(text) => {
                format!("(return (call $joined {} (local.get $request) (local.get $length)))", bytes(text))
            }
            Does::Tells(text) => format!(
                "(return (call $joined {} (i32.add (global.get $values) (i32.const 4))
                   (i32.sub (global.get $values_length) (i32.const 5))))",
                bytes(text)
            ),
            Does::Draws(text) => format!(
                "(i64.store (i32.const 768) (call $random))
                 (return (call $joined {} (i32.const 768) (i32.const 8)))",
                bytes(text)
            ),
            Does::Grows(pages, text) => format!(
                "(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable))
                 (return (call $span {}))",
                bytes(text)
            ),
            Does::Counts(millions, text) => format!(
                "(local.set $left (i32.mul (i32.const {millions}) (i32.const 1000000)))
                 (loop $again (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                 (return (call $span {}))",
                bytes(text)
            ),
            Does::Shuns(text) => format!(
                "(if (i32.eq (i32.const 33)
                     (i32.load8_u (i32.sub (i32.add (local.get $request) (local.get $length)) (i32.const 1))))
                   (then unreachable))
                 (return (call $span {}))",
                bytes(text)
            ),
            Does::Traps => "unreachable".into(),
            Does::Loops => {
                "(call $log (i32.const 2) (i32.const 512) (i32.const 7)) (loop $ever (br $ever))".into()
            }
        }
    }
}

/// Data of a module.
#[derive(Default)]
struct Data {
    text: String,
    answers: usize,
    starts: usize,
}

impl Data {
    /// Adds an answer, and returns its address and its length.
    fn answer(&mut self, text: &str) -> (usize, usize) {
        let at = ANSWERS + self.answers;
        self.answers += text.len();
        self.add(at, text)
    }

    /// Adds the start of a request, and returns its address and its length.
    fn start(&mut self, text: &str) -> (usize, usize) {
        let at = STARTS + self.starts;
        self.starts += text.len();
        self.add(at, text)
    }

    fn add(&mut self, at: usize, text: &str) -> (usize, usize) {
        let _ = writeln!(self.text, "(data (i32.const {at}) \"{}\")", escaped(text.as_bytes()));
        (at, text.len())
    }
}
