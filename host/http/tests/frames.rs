//! Tests the handling of HTTP/2 frames from clients, with example connections and random changes of
//! them. The seed is fixed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[path = "frames/mod.rs"]
mod check;
#[allow(dead_code, reason = "another test uses the rest")]
mod inputs;

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Returns a frame in the format of the inputs: type, flags, stream, length of the payload,
/// payload.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, flags, stream, payload.len() as u8], payload].concat()
}

/// Returns a field in HPACK encoding, with a literal name and a literal value.
fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// HPACK encoding of the head of `GET http://a/b`, without its last byte, `b`.
const GET: [u8; 8] = [0x82, 0x86, 0x41, 1, b'a', 0x44, 2, b'/'];

fn get(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<u8> = fields.iter().flat_map(|(name, value)| field(name, value)).collect();
    [&GET[..], b"b", &fields].concat()
}

fn inputs() -> Vec<Vec<u8>> {
    let whole = END_STREAM | END_HEADERS;
    let cookies = get(&[("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2")]);
    let (first, second) = cookies.split_at(20);
    vec![
        frame(HEADERS, whole, 1, &get(&[])),
        [frame(HEADERS, END_STREAM, 1, first), frame(9, END_HEADERS, 1, second)].concat(),
        [
            frame(HEADERS, END_HEADERS, 1, &get(&[("content-length", "3")])),
            frame(0, END_STREAM, 1, b"abc"),
            frame(HEADERS, whole, 3, &get(&[("host", "a"), ("expect", "100-continue")])),
        ]
        .concat(),
        [
            frame(HEADERS, END_HEADERS, 1, &get(&[("te", "trailers")])),
            frame(0, 8, 1, b"\x02abc\0\0"),
            frame(HEADERS, whole, 1, &field("x-end", "1")),
        ]
        .concat(),
        [
            frame(4, 0, 0, &[0, 4, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]),
            frame(6, 0, 0, b"12345678"),
            frame(8, 0, 0, &[0, 0, 1, 0]),
            frame(HEADERS, 0x20 | whole, 1, &[&[0, 0, 0, 0, 9], &get(&[])[..]].concat()),
            frame(3, 0, 1, &[0, 0, 0, 8]),
            frame(2, 0, 3, &[0, 0, 0, 0, 9]),
            frame(7, 0, 0, &[0; 8]),
        ]
        .concat(),
        frame(HEADERS, whole, 1, &[&[0x3F, 0xE1, 0x1F, 0x40], &field("x", "y")[1..], &get(&[])[..]].concat()),
    ]
}

#[test]
fn what_a_client_sends_is_one_request_for_every_reader() {
    let whole = check::connection(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get(&[])), [7]);
    assert_eq!(whole.len(), 1);
    assert!(whole[0].starts_with(b"GET /b HTTP/1.1\r\nhost: a\r\n"), "{}", whole[0].escape_ascii());
    let [all] = &check::connection(&inputs()[1], [7])[..] else { panic!("one request") };
    assert!(all.windows(19).any(|part| part == b"cookie: a=1; b=2\r\nx"), "{}", all.escape_ascii());
    inputs::changed(&inputs(), 5_000, |bytes, below| {
        let pieces: Vec<usize> = (0..16).map(|_| 1 + below(40)).collect();
        check::connection(bytes, pieces);
    });
}
