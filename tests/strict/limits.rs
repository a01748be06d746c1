//! Each limit, and one byte or header past it.

use super::row::{Row, refused, served};

/// Defaults of `--target-max`, `--head-max`, `--fields-max` and `--body-max`.
const TARGET: usize = 8 << 10;
const HEAD: usize = 16 << 10;
const FIELDS: usize = 100;
const BODY: usize = 1 << 20;
/// Longest method.
const METHOD: usize = 64;

/// Most bytes of all chunk extensions and trailers of a body together.
const EXTRA: usize = 16 << 10;

pub fn heads() -> Vec<Row> {
    // Each closure returns a request with a part of this length, or with this many headers.
    let path = |length: usize| format!("/{}", "a".repeat(length - 1));
    let target = |length: usize| format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", path(length));
    let query = |length: usize| format!("GET /?{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(length - 2));
    let around = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
    let value = |length: usize| format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(length));
    let head = |length: usize| value(length - around);
    let method = |length: usize| format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "A".repeat(length));
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
    let long_fields = format!("x: {}\r\n", "y".repeat(500)).repeat(FIELDS - 10);
    // Returns a head of this length that has the longest target.
    let whole_target = |length: usize| {
        let start = format!("GET {} HTTP/1.1\r\nhost: a\r\nx: ", path(TARGET));
        format!("{start}{}\r\n\r\n", "y".repeat(length - start.len() - 4))
    };
    let endless = |start: &str| start.to_owned() + &"A".repeat(HEAD + 1 - start.len());
    vec![
        served("9110 4.1", 404, "the longest target", target(TARGET)),
        served("9110 4.1", 200, "the longest query", query(TARGET)),
        refused("9110 15.5.15", 414, "a target of a byte more", target(TARGET + 1)),
        refused("9110 15.5.15", 414, "a query of a byte more", query(TARGET + 1)),
        refused("9110 15.5.15", 414, "a target as long as a head may be", target(HEAD)),
        refused("9112 3", 414, "a target that never ends", endless("GET /")),
        refused("9112 3", 414, "a query that never ends", endless("GET /?a=")),
        refused("9112 3", 501, "a method that never ends", endless("")),
        served("9110 5.4", 200, "the longest head", head(HEAD)),
        served("9110 5.4", 404, "the longest head with the longest target", whole_target(HEAD)),
        served("9110 5.4", 200, "the most fields", fields(FIELDS)),
        served("9110 9.1", 405, "the longest method", method(METHOD)),
        refused("9110 15.6.2", 501, "a method of a byte more", method(METHOD + 1)),
        refused("9110 15.6.2", 501, "a long method", method(9000)),
        refused("6585 5", 431, "a head of a byte more", head(HEAD + 1)),
        refused("6585 5", 431, "a head of a byte more with the longest target", whole_target(HEAD + 1)),
        refused("6585 5", 431, "a head of twice the length", head(2 * HEAD)),
        refused("6585 5", 431, "a field more", fields(FIELDS + 1)),
        refused("6585 5", 431, "long fields", format!("GET / HTTP/1.1\r\nhost: a\r\n{long_fields}\r\n")),
        refused("6585 5", 431, "empty lines that never end", "\r\n".repeat(HEAD)),
        refused("6585 5", 431, "a name that never ends", endless("GET / HTTP/1.1\r\nhost: a\r\n")),
        refused("6585 5", 431, "a value that never ends", endless("GET / HTTP/1.1\r\nhost: a\r\nx: ")),
    ]
}

pub fn bodies() -> Vec<Row> {
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{body}");
    let length = |length: usize| post(&format!("content-length: {length}"), "");
    let whole = "a".repeat(BODY);
    let chunked = |chunks: &str| post("transfer-encoding: chunked", chunks);
    let sized = |size: &str| chunked(&format!("{size}\r\n"));
    let whole_chunk = |behind: &str| sized("100000") + &whole + "\r\n" + behind;
    // The length of an extension includes its semicolon. The length of a trailer includes
    // its name and line end.
    let extended = |length: usize| chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(length - 1)));
    let trailed = |length: usize| chunked(&format!("0\r\nx: {}\r\n\r\n", "a".repeat(length - 5)));
    let many_extended = |count: usize| chunked(&("1;aaaaaaaaa\r\nh\r\n".repeat(count) + "0\r\n\r\n"));
    let many_trailers = |count: usize| chunked(&format!("0\r\n{}\r\n", "x: aaaaaaaaa\r\n".repeat(count)));
    vec![
        served("9110 15.5.14", 200, "the longest body", length(BODY) + &whole).with(&*whole),
        served("9110 15.5.14", 200, "the longest body in a chunk", whole_chunk("0\r\n\r\n")).with(&*whole),
        refused("9110 15.5.14", 413, "a body of a byte more", length(BODY + 1)),
        refused("9110 15.5.14", 413, "a body of a byte more that has come", length(BODY + 1) + &whole + "a"),
        refused("9110 15.5.14", 413, "a chunk of a byte more", sized("100001")),
        refused("9110 15.5.14", 413, "a byte more in a chunk of its own", whole_chunk("1\r\n")),
        refused("9112 7.1", 413, "the largest chunk that is a number", sized("ffffffffffffffff")),
        refused("9112 7.1", 413, "a chunk that is below zero with a sign", sized("8000000000000000")),
        served("9112 7.1.1", 200, "the longest extension", extended(EXTRA)).with("hello"),
        served("9112 7.1.1", 200, "many extensions", many_extended(1000)).with("h".repeat(1000)),
        served("9112 7.1.2", 200, "a long trailer", trailed(EXTRA - 100)).with(""),
        refused("9112 7.1.1", 400, "an extension of a byte more", extended(EXTRA + 1)),
        refused("9112 7.1.1", 400, "too many extensions", many_extended(2000)),
        refused("9112 7.1.2", 400, "a trailer of a byte more than there is room for", trailed(EXTRA + 1)),
        served("9112 7.1.2", 200, "the most trailers", many_trailers(FIELDS)).with(""),
        refused("9112 7.1.2", 431, "a trailer more", many_trailers(FIELDS + 1)),
        refused("9112 7.1.2", 431, "trailers that never end", many_trailers(2000)),
    ]
}
