//! Limits on heads and on streams, to the byte: the same as over HTTP/1.1.

use super::case::{Case, all_answered, answered, ended, is_reset, too_long};
use super::client::H2;
use super::frames::{
    CANCEL, END, ENHANCE_YOUR_CALM, HEADERS, LARGEST, REFUSED_STREAM, WHOLE, continuation, data, frame, get,
    headers, request, reset,
};
use super::hpack::{block, integer, literal};
use crate::harness::{Server, wait_until};

/// Flags of the server of the cases of heads.
pub const FLAGS: [&str; 6] = ["--target-max", "50", "--head-max", "300", "--fields-max", "6"];

const HEAD: usize = 300;

/// Returns a request whose head has this length in the form of HTTP/1.1.
fn head(length: usize) -> Vec<u8> {
    let around = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
    headers(3, END, request("GET", "/", &[("x", &"y".repeat(length - around))]))
}

/// Returns a request with this many fields, of which `:authority` is one.
fn fields(count: usize) -> Vec<u8> {
    headers(3, END, request("GET", "/", &[("x", "y")].repeat(count - 1)))
}

fn target(length: usize) -> Vec<u8> {
    headers(3, END, request("GET", &format!("/{}", "a".repeat(length - 1)), &[]))
}

#[rustfmt::skip]
pub fn heads() -> Vec<Case> {
    let in_pieces = |block: &[u8], count: usize| {
        let (first, rest) = block.split_at(block.len().div_ceil(count));
        let mut pieces: Vec<_> = rest.chunks(first.len()).collect();
        let last = pieces.pop().unwrap();
        let between = pieces.iter().flat_map(|piece| continuation(3, 0, piece)).collect();
        [frame(HEADERS, END, 3, first), between, continuation(3, WHOLE, last)].concat()
    };
    let long = request("GET", "/", &[("x", &"y".repeat(3 * HEAD))]);
    vec![
        answered("9110 4.1", 200, "a target below the limit", target(49)),
        answered("9110 4.1", 200, "the longest target", target(50)),
        answered("9110 15.5.15", 414, "a target of a byte more", target(51)),
        answered("9110 15.5.15", 414, "a query of a byte more",
            headers(3, END, request("GET", &format!("/?{}", "a".repeat(49)), &[]))),
        answered("9110 15.5.15", 414, "a long target", target(250)),
        answered("6585 5", 200, "a head below the limit", head(HEAD - 1)),
        answered("6585 5", 200, "the longest head", head(HEAD)),
        answered("6585 5", 431, "a head of a byte more", head(HEAD + 1)),
        answered("6585 5", 200, "fewer fields than the limit", fields(5)),
        answered("6585 5", 200, "the most fields", fields(6)),
        answered("6585 5", 431, "a field more", fields(7)),
        answered("6585 5", 431, "cookies that are too long together",
            headers(3, END, request("GET", "/", &[("cookie", &"c".repeat(140)), ("cookie", &"d".repeat(140))]))),
        answered("9113 8.2.3", 200, "split cookies are one field",
            headers(3, END, request("GET", "/", &[("cookie", "c")].repeat(10)))),
        answered("9110 15.6.2", 200, "the longest method", headers(3, END, request(&"A".repeat(64), "/", &[]))),
        answered("9110 15.6.2", 501, "a method of a byte more", headers(3, END, request(&"A".repeat(65), "/", &[]))),
        too_long("9113 10.5.1", "a head of thrice the length", headers(3, END, &long)),
        too_long("9113 10.5.1", "a head of thrice the length in pieces", in_pieces(&long, 4)),
        too_long("9113 10.5.1", "a head of many fields", headers(3, END, request("GET", "/", &[("x", "y")].repeat(30)))),
        too_long("9113 10.5.1", "a head of a request with a body",
            [headers(3, 0, &long), data(3, 0, b"hello"), data(3, END, b"")].concat()),
        ended("9113 10.5.1", ENHANCE_YOUR_CALM, "a head of ten thousand bytes",
            headers(3, END, request("GET", "/", &[("x", &"y".repeat(10_000))]))),
        // The table holds the value, and each further byte of the block stands for all of it.
        ended("9113 10.5.1", ENHANCE_YOUR_CALM, "a small block that becomes a large head",
            headers(3, END, [get("/"), b"\x40\x01x".to_vec(), integer(0, 7, 200), vec![b'y'; 200], vec![0xbe; 10_000]].concat())),
        ended("9113 10.5.1", ENHANCE_YOUR_CALM, "a head without an end",
            [frame(HEADERS, END, 3, get("/")), continuation(3, 0, literal(b"x", &[b'y'; 100])).repeat(200)].concat()),
    ]
}

#[rustfmt::skip]
pub fn streams() -> Vec<Case> {
    let opens = |stream| headers(stream, 0, request("POST", "/", &[]));
    // The stream that waits is one of the three.
    let full = [opens(3), opens(5)].concat();
    vec![
        all_answered("9113 5.1.2", &[(3, 200), (5, 200)], "as many streams as there may be",
            [full.clone(), data(3, END, b""), data(5, END, b"")].concat()),
        is_reset("9113 5.1.2", REFUSED_STREAM, "a stream more", [full.clone(), headers(7, END, get("/")),
            data(3, END, b""), data(5, END, b"")].concat()).on(7).also(&[3, 5]),
        all_answered("9113 5.1.2", &[(3, 200), (7, 200)], "a stream that was reset makes room",
            [full.clone(), reset(5, CANCEL), headers(7, END, get("/")), data(3, END, b"")].concat()),
        all_answered("9113 5.1.2", &[(LARGEST, 200)], "streams that are opened and reset",
            [(3..9).step_by(2).flat_map(|stream| [opens(stream), reset(stream, CANCEL)].concat()).collect(),
                headers(LARGEST, END, get("/"))].concat()).without_more(),
    ]
}

/// Sends fields that do not end to one connection, and checks how much memory the server takes.
#[test]
fn fields_without_an_end_take_little_memory() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    let address = server.addresses[0];
    assert_eq!(H2::connect(address).ask(1, "/").status, 200);
    let before = server.resources().resident_kib;
    // 4 MiB in each of the ways in which a head can grow.
    let name = [b"\0\x7f\x81\xff\xff\x01".to_vec(), vec![b'n'; 16_000]].concat();
    let value = [b"\0\x01x\x7f\x81\xff\xff\x01".to_vec(), vec![b'v'; 16_000]].concat();
    let many = block(&[("x", "y")]).repeat(3_000);
    for (what, begin, next) in [
        ("a name", name, vec![b'n'; 16_000]),
        ("a value", value, vec![b'v'; 16_000]),
        ("fields", many.clone(), many),
        ("empty pieces", get("/"), Vec::new()),
    ] {
        let mut client = H2::connect(address);
        client.send(frame(HEADERS, END, 1, begin));
        let piece = continuation(1, 0, next);
        client.send(piece.repeat(((4 << 20) / piece.len()).min(10_000)));
        client.ends();
        assert!(
            client.goaways.iter().all(|(last, code)| *last == 0 && *code > 0),
            "{what}: {}",
            client.shown()
        );
        assert_eq!(client.goaways.len(), 1, "{what}");
    }
    wait_until("little memory", || server.resources().resident_kib < before + 4_096);
    assert_eq!(H2::connect(address).ask(1, "/").status, 200);
}
