//! Makes small modules as WebAssembly text, which differ in one value, such as their response.

use super::Random;

/// Returns a handler that answers every request with these bytes.
pub fn answering(response: &[u8]) -> String {
    let span = format!("(i64.const {})", response.len());
    handler(&format!("(data (i32.const 0) \"{}\")", escaped(response)), "(i32.const 32768)", &span)
}

/// Escapes bytes for a string in WebAssembly text.
pub fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// Returns a handler that traps in a function of this name.
pub fn trapping_in(name: &str) -> String {
    let function = format!("(func $f (@name \"{name}\") unreachable)");
    handler(&function, "(i32.const 8)", "(call $f) (i64.const 0)")
}

/// Returns a handler that answers every request with this word.
pub fn saying(word: &str) -> String {
    answering(format!("HTTP/1.1 200 OK\n\n{word}").as_bytes())
}

/// Returns a handler that answers with this word, and traps for targets that begin with `/` and
/// this letter.
pub fn trapping_at(letter: char, word: &str) -> String {
    let response = format!("HTTP/1.1 200 OK\n\n{word}");
    let data = format!("(data (i32.const 0) \"{}\")", escaped(response.as_bytes()));
    // The request begins with `GET /`.
    let letter = format!("(i32.eq (i32.load8_u offset=5 (local.get 0)) (i32.const {}))", u32::from(letter));
    let handle = format!("(if {letter} (then unreachable)) (i64.const {})", response.len());
    handler(&data, "(i32.const 32768)", &handle)
}

/// Returns a handler whose `handle` returns this address and length.
pub fn returning(address: u32, length: u32) -> String {
    let packed = u64::from(address) << 32 | u64::from(length);
    handler("", "(i32.const 32768)", &format!("(i64.const {packed})"))
}

/// Returns a handler whose `alloc` returns this address.
pub fn allocating_at(address: u32) -> String {
    handler("", &format!("(i32.const {address})"), "(i64.const 0)")
}

/// Returns a handler with these bodies of `alloc` and `handle`. `fields` are further parts of the
/// module, such as data segments.
pub fn handler(fields: &str, alloc: &str, handle: &str) -> String {
    format!(
        "(module (memory (export \"memory\") 1) {fields}
           (func (export \"alloc\") (param i32) (result i32) {alloc})
           (func (export \"handle\") (param i32 i32) (result i64) {handle}))"
    )
}

/// Returns a target for `mixed.wat` and the expected status. About one request in three
/// traps, fills much memory or, rarely, loops for ever.
pub fn mixed_request(random: &mut Random) -> (&'static str, u16) {
    match random.below(90) {
        0 => ("/l", 504),
        1..15 => ("/t", 500),
        15..30 => ("/h", 200),
        _ => ("/fine", 200),
    }
}
