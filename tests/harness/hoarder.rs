//! Makes hoarders: modules that store parts of each request in every kind of state that WebAssembly
//! has. A hoarder answers a request with a digest of the state that it found, so the response shows
//! whether earlier requests left something behind. Equal choices give equal modules.

/// Returns a module as WebAssembly text. `below` makes the choices: it returns a number below its
/// argument, which is at least 1.
pub fn module(below: &mut dyn FnMut(usize) -> usize) -> String {
    let pages = [1, 1, 2, 17][below(4)];
    let mut hoarder = Hoarder { below, pages, globals: Vec::new(), tables: 0 };
    hoarder.choose_globals();
    // Half of the modules may change tables. The host cannot reset instances of those that
    // do, and most compilers never make such modules.
    let changes_tables = hoarder.one_in(2);
    hoarder.tables = (hoarder.below)(3);
    let mutate = hoarder.mutations(changes_tables);
    let digest = hoarder.digest();
    let globals = hoarder.global_fields();
    let tables: String = (0..hoarder.tables)
        .map(|table| format!("(table $t{table} {} 20 funcref)\n", 4 + (hoarder.below)(5)))
        .collect();
    let elements = match hoarder.tables {
        0 => "",
        _ => "(elem (table $t0) (i32.const 1) func $one) (elem $passive func $one $one)",
    };
    let or_nothing = |is_there: bool, text: &'static str| if is_there { text } else { "" };
    let start = "(func $start (call $mutate (i32.const 77))) (start $start)";
    let start = or_nothing(hoarder.one_in(3), start);
    let mutation = or_nothing(hoarder.one_in(2), "(call $mutate (i32.const 1234567))");
    // Fills enough memory that the host maps the image instead of copying it.
    let fill = "(memory.fill (i32.const 200000) (i32.const 3) (i32.const 700000))";
    let fill = or_nothing(pages == 17 && hoarder.one_in(2), fill);
    let initialize = match [mutation, fill].concat() {
        nothing if nothing.is_empty() => nothing,
        work => format!("(func (export \"_initialize\") {work})"),
    };
    let max = pages + (hoarder.below)(4);
    let request = 1024 + 16 * (hoarder.below)(3000);
    format!(
        r#"(module
  (memory (export "memory") {pages} {max})
  (data (i32.const 0) "HTTP/1.1 200 OK\0a\0a")
  (data $bytes "some bytes that may be dropped")
  (func $one)
  {globals}{tables}(elem declare func $one) {elements}
  {start}
  {initialize}
  (func $mutate (param $seed i32)
{mutate})
  (func $digest (result i64) (local $sum i64) (local $at i32)
{digest}    (local.get $sum))
  ;; Somewhere else for each length, so that what is left of a longer request
  ;; would be found.
  (func (export "alloc") (param $length i32) (result i32)
    (i32.add (i32.const {request}) (i32.shl (local.get $length) (i32.const 4))))
  (func (export "handle") (param $request i32) (param $length i32) (result i64)
    (local $seed i32)
    (i64.store (i32.const 17) (call $digest))
    ;; The target, behind `GET /`.
    (local.set $seed (i32.load (i32.add (local.get $request) (i32.const 5))))
    (call $mutate (local.get $seed))
    (if (i32.eq (i32.and (local.get $seed) (i32.const 7)) (i32.const 3)) (then unreachable))
    (i64.const 25)))
"#
    )
}

/// Type of a global, with expressions in WebAssembly text.
struct Kind {
    name: &'static str,
    /// Initial value.
    start: &'static str,
    /// Value that depends on the request.
    changed: &'static str,
    /// Expressions of type i64 that together determine the value. `GET` stands for the value.
    digests: &'static [&'static str],
}

#[rustfmt::skip]
static KINDS: [Kind; 6] = [
    Kind { name: "i32", start: "(i32.const 5)", changed: "(local.get $seed)", digests: &["(i64.extend_i32_u GET)"] },
    Kind { name: "i64", start: "(i64.const -1)", changed: "(i64.extend_i32_u (local.get $seed))", digests: &["GET"] },
    Kind { name: "f32", start: "(f32.const 0.5)", changed: "(f32.reinterpret_i32 (local.get $seed))",
        digests: &["(i64.extend_i32_u (i32.reinterpret_f32 GET))"] },
    Kind { name: "f64", start: "(f64.const nan:0x4000000000001)",
        changed: "(f64.promote_f32 (f32.reinterpret_i32 (local.get $seed)))", digests: &["(i64.reinterpret_f64 GET)"] },
    Kind { name: "v128", start: "(v128.const i64x2 1 2)", changed: "(i32x4.splat (local.get $seed))",
        digests: &["(i64x2.extract_lane 0 GET)", "(i64x2.extract_lane 1 GET)"] },
    Kind { name: "funcref", start: "(ref.null func)", changed: "(ref.func $one)",
        digests: &["(i64.extend_i32_u (ref.is_null GET))"] },
];

struct Hoarder<'a> {
    below: &'a mut dyn FnMut(usize) -> usize,
    pages: usize,
    globals: Vec<&'static Kind>,
    tables: usize,
}

impl Hoarder<'_> {
    fn one_in(&mut self, chances: usize) -> bool {
        (self.below)(chances) == 0
    }

    fn choose_globals(&mut self) {
        for _ in 0..(self.below)(6) {
            // Integers are twice as frequent as the other types.
            let kinds = [0, 1, 2, 3, 4, 0, 1, 5];
            self.globals.push(&KINDS[kinds[(self.below)(kinds.len())]]);
        }
    }

    fn global_fields(&mut self) -> String {
        let mut fields = String::new();
        for (index, Kind { name, start, .. }) in self.globals.clone().into_iter().enumerate() {
            let export = if self.one_in(3) { format!("(export \"g{index}\")") } else { String::new() };
            fields.push_str(&format!("(global $g{index} {export} (mut {name}) {start})\n  "));
        }
        fields
    }

    /// Returns code for an address at which to write: a fixed one behind the response, or
    /// one that depends on the request.
    fn address(&mut self) -> String {
        let size = self.pages * 65_536;
        let fixed = 64 + (self.below)(size - 128);
        match (self.below)(3) {
            0 => format!("(i32.const {fixed})"),
            1 => {
                let mask = 65_536 - 64 - 1;
                format!("(i32.add (i32.const 64) (i32.and (local.get $seed) (i32.const {mask})))")
            }
            // Often past the end of the memory, so that the write traps.
            _ => format!("(i32.shr_u (local.get $seed) (i32.const {}))", 6 + (self.below)(12)),
        }
    }

    fn mutations(&mut self, tables_too: bool) -> String {
        let mut lines = String::new();
        for _ in 0..1 + (self.below)(8) {
            let bit = (self.below)(30);
            let mutation = self.mutation(tables_too);
            lines.push_str(&format!(
                "    (if (i32.and (local.get $seed) (i32.const {})) (then {mutation}))\n",
                1u32 << bit | 1 << ((bit + 7) % 30)
            ));
        }
        lines
    }

    fn mutation(&mut self, tables_too: bool) -> String {
        let at = self.address();
        let length = 1 + (self.below)(200);
        let kinds = if tables_too && self.tables > 0 { 14 } else { 6 };
        match (self.below)(kinds) {
            0 => format!("(i32.store {at} (local.get $seed))"),
            1 => format!("(memory.fill {at} (local.get $seed) (i32.const {length}))"),
            2 => format!("(memory.copy {at} (i32.const 0) (i32.const {length}))"),
            3 if self.one_in(4) => "(drop (memory.grow (i32.const 1)))".into(),
            3 => format!("(memory.init $bytes {at} (i32.const 0) (i32.const 20))"),
            4 | 5 => self.set_global(),
            6 => "(data.drop $bytes)".into(),
            7 => "(elem.drop $passive)".into(),
            8 => "(table.set $t0 (i32.const 2) (ref.func $one))".into(),
            9 => "(table.set $t0 (i32.const 1) (ref.null func))".into(),
            10 => "(drop (table.grow $t0 (ref.func $one) (i32.const 2)))".into(),
            11 => "(table.fill $t0 (i32.const 0) (ref.func $one) (i32.const 3))".into(),
            12 => "(table.init $t0 $passive (i32.const 2) (i32.const 0) (i32.const 2))".into(),
            _ => "(table.copy $t0 $t0 (i32.const 0) (i32.const 1) (i32.const 2))".into(),
        }
    }

    fn set_global(&mut self) -> String {
        if self.globals.is_empty() {
            return "nop".into();
        }
        let index = (self.below)(self.globals.len());
        let value = self.globals[index].changed;
        format!("(global.set $g{index} {value})")
    }

    /// Returns code for a digest of all state: the size and every word of the memory, the
    /// globals, the sizes of the tables, and which of their first four elements are null.
    fn digest(&mut self) -> String {
        let add = |value: &str| {
            format!(
                "    (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 1099511628211)) {value}))\n"
            )
        };
        let of_int = |value: &str| format!("(i64.extend_i32_u {value})");
        let mut lines = add(&of_int("(memory.size)"));
        lines.push_str("    (loop $words\n");
        lines.push_str(&add("(i64.load (local.get $at))"));
        lines.push_str(
            "    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $words (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))\n",
        );
        for (index, kind) in self.globals.iter().enumerate() {
            let get = format!("(global.get $g{index})");
            kind.digests.iter().for_each(|digest| lines.push_str(&add(&digest.replace("GET", &get))));
        }
        for table in 0..self.tables {
            lines.push_str(&add(&of_int(&format!("(table.size $t{table})"))));
            for element in 0..4 {
                let get = format!("(table.get $t{table} (i32.const {element}))");
                lines.push_str(&add(&of_int(&format!("(ref.is_null {get})"))));
            }
        }
        lines
    }
}
