//! Bodies of requests: lengths that disagree, padding, and limits (RFC 9113, sections 6.1 and 8.1.1).

use super::case::{Case, answered, cut, ended, is_reset, shown};
use super::client::H2;
use super::frames::{
    DATA, END, NO_ERROR, PADDED, PROTOCOL_ERROR, asks, data, frame, headers, posts, request,
};
use crate::harness::Server;
use crate::strict::passed_on::kept;

/// Flags of the server of these cases.
pub const FLAGS: [&str; 2] = ["--body-max", "100"];

/// Returns a request whose body comes in pieces.
fn pieces(fields: &[(&str, &str)], pieces: &[&[u8]]) -> Vec<u8> {
    let bodies = pieces.iter().flat_map(|piece| data(3, 0, piece));
    [headers(3, 0, request("POST", "/", fields)), bodies.collect(), data(3, END, b"")].concat()
}

#[rustfmt::skip]
pub fn lengths() -> Vec<Case> {
    let seen = "POST / HTTP/1.1|host: a|content-length: 5||hello";
    vec![
        shown("9113 8.1.1", "a body and its length", posts(&[("content-length", "5")], b"hello"), seen),
        shown("9113 8.1.1", "a body without a length", posts(&[], b"hello"), seen),
        shown("9113 8.1.1", "a body in pieces", pieces(&[("content-length", "5")], &[b"he", b"", b"llo"]), seen),
        shown("9113 8.1.1", "an empty body", pieces(&[], &[]), "POST / HTTP/1.1|host: a||"),
        shown("9113 8.1.1", "an empty body of a stated length", pieces(&[("content-length", "0")], &[]),
            "POST / HTTP/1.1|host: a||"),
        shown("9110 8.6", "a body of GET", [headers(3, 0, request("GET", "/", &[])), data(3, END, b"hello")].concat(),
            "GET / HTTP/1.1|host: a|content-length: 5||hello"),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "a body that is shorter than its length",
            posts(&[("content-length", "6")], b"hello")),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "a body that is longer than its length",
            posts(&[("content-length", "4")], b"hello")),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "a body that is longer than its length in pieces",
            pieces(&[("content-length", "4")], &[b"hell", b"o"])),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "an empty body that was to be longer",
            pieces(&[("content-length", "1")], &[])),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "a length without a body", asks(&[("content-length", "5")])),
        is_reset("9113 8.1.1", PROTOCOL_ERROR, "trailers in place of the rest of a body",
            [headers(3, 0, request("POST", "/", &[("content-length", "6")])), data(3, 0, b"hello"),
                headers(3, END, [])].concat()),
        is_reset("9110 8.6", PROTOCOL_ERROR, "two lengths", posts(&[("content-length", "5"), ("content-length", "6")], b"hello")),
        answered("9110 8.6", 400, "one length twice", posts(&[("content-length", "5"), ("content-length", "5")], b"hello")),
        is_reset("9110 8.6", PROTOCOL_ERROR, "two lengths in one field", posts(&[("content-length", "5, 5")], b"hello")),
        is_reset("9110 8.6", PROTOCOL_ERROR, "a length with a sign", posts(&[("content-length", "+5")], b"hello")),
        is_reset("9110 8.6", PROTOCOL_ERROR, "a length below zero", posts(&[("content-length", "-5")], b"hello")),
        is_reset("9110 8.6", PROTOCOL_ERROR, "a length in words", posts(&[("content-length", "five")], b"hello")),
        is_reset("9110 8.6", PROTOCOL_ERROR, "a length of 64 bits and one more",
            posts(&[("content-length", "18446744073709551621")], b"hello")),
        shown("9110 8.6", "a length with zeros before it", posts(&[("content-length", "005")], b"hello"), seen),
    ]
}

#[rustfmt::skip]
pub fn limits() -> Vec<Case> {
    let at = [b'x'; 100];
    let begins = |length: &str| headers(3, 0, request("POST", "/", &[("content-length", length)]));
    vec![
        answered("9110 15.5.14", 200, "the longest body", posts(&[], &at)),
        answered("9110 15.5.14", 200, "the longest body of a stated length", posts(&[("content-length", "100")], &at)),
        cut("9110 15.5.14", 413, "a stated length of a byte more", begins("101")),
        cut("9110 15.5.14", 413, "the largest length that is a number", begins("9223372036854775807")),
        cut("9110 15.5.14", 413, "a byte more without a stated length",
            [headers(3, 0, request("POST", "/", &[])), data(3, 0, at), data(3, 0, b"x")].concat()),
        answered("9110 15.5.14", 413, "a whole body that is too long", posts(&[], &[b'x'; 101])),
        answered("9110 15.5.14", 413, "a whole body of a stated length that is too long",
            posts(&[("content-length", "101")], &[b'x'; 101])),
    ]
}

/// A client that asks whether to send its body is told so, or learns at once that it need not.
#[test]
fn a_client_may_wait_to_be_asked_for_a_body() {
    let server = Server::of_with("show.wat", &[&["--h2c"], &FLAGS[..]].concat());
    let mut client = H2::connect(server.addresses[0]);
    let waits = |stream, length| {
        let fields = [("expect", "100-continue"), ("content-length", length)];
        headers(stream, 0, request("POST", "/", &fields))
    };
    client.send([headers(1, 0, request("POST", "/", &[])), waits(3, "5"), waits(5, "101")].concat());
    client.until("an interim response", |client| client.answer(3).interim == [100]);
    client.until("RST_STREAM", |client| client.answer(5).reset.is_some());
    let answer = client.answer(5);
    assert_eq!((answer.interim, answer.status, answer.reset), (Vec::new(), 413, Some(NO_ERROR)));
    client.send([data(3, END, b"hello"), data(1, END, b"")].concat());
    let answer = client.reply(3);
    assert_eq!(kept(&answer.body), "POST / HTTP/1.1|host: a|content-length: 5||hello");
    assert_eq!((answer.interim, client.reply(1).interim), (vec![100], Vec::new()));
}

/// What comes of a body behind the answer to its request is ignored.
#[test]
fn a_body_may_go_on_after_its_answer() {
    let server = Server::of_with("show.wat", &[&["--h2c"], &FLAGS[..]].concat());
    let mut client = H2::connect(server.addresses[0]);
    client.send(headers(1, 0, request("POST", "/", &[("content-length", "60000")])));
    client.until("RST_STREAM", |client| client.answer(1).reset.is_some());
    client.send([data(1, 0, [b'x'; 16_000]).repeat(3), data(1, END, [b'x'; 12_000])].concat());
    // The window of the connection is as wide as before.
    client.send(headers(3, 0, request("POST", "/", &[])));
    client.send_body(3, &[b'x'; 100], true);
    assert_eq!(client.reply(3).status, 200);
    client.settle();
    assert!(client.goaways.is_empty() && client.answer(1).status == 413, "{}", client.shown());
}

#[rustfmt::skip]
pub fn padding() -> Vec<Case> {
    let padded = |payload: &[u8]| [headers(3, 0, request("POST", "/", &[])), frame(DATA, END | PADDED, 3, payload)].concat();
    let seen = "POST / HTTP/1.1|host: a|content-length: 5||hello";
    vec![
        shown("9113 6.1", "padding", padded(b"\x03hello\0\0\0"), seen),
        shown("9113 6.1", "padding of no bytes", padded(b"\0hello"), seen),
        shown("9113 6.1", "padding that is not zero", padded(b"\x02helloxx"), seen),
        shown("9113 6.1", "padding alone", padded(b"\x02xx"), "POST / HTTP/1.1|host: a||"),
        ended("9113 6.1", PROTOCOL_ERROR, "padding longer than the frame", padded(b"\x06hello")).last(3),
        ended("9113 6.1", PROTOCOL_ERROR, "padding as long as the frame", padded(b"\x06\0\0\0\0\0")).last(3),
        ended("9113 6.1", PROTOCOL_ERROR, "padding without its length", padded(b"")).last(3),
    ]
}
