//! Frames of every type on streams in every state (RFC 9113, section 5.1), and within fields.

use super::case::Before::{Closed, HalfClosed, Reset};
use super::case::{Case, all_answered, answered, ended, ignored, is_reset};
use super::frames::{
    ACK, CANCEL, CONTINUATION, DATA, END, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, LARGEST,
    PING, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, UNKNOWN, WHOLE,
    WINDOW_UPDATE, continuation, data, frame, get, goaway, headers, ping, priority, push_promise, request,
    reset, settings, update,
};

#[rustfmt::skip]
pub fn connection() -> Vec<Case> {
    vec![
        ended("9113 6.1", PROTOCOL_ERROR, "DATA on the connection", data(0, 0, b"x")),
        ended("9113 6.2", PROTOCOL_ERROR, "HEADERS on the connection", headers(0, END, get("/"))),
        ended("9113 6.3", PROTOCOL_ERROR, "PRIORITY on the connection", priority(0, 1)),
        ended("9113 6.4", PROTOCOL_ERROR, "RST_STREAM on the connection", reset(0, CANCEL)),
        ended("9113 6.6", PROTOCOL_ERROR, "PUSH_PROMISE on the connection", push_promise(0, 2)),
        ended("9113 6.10", PROTOCOL_ERROR, "CONTINUATION on the connection", continuation(0, WHOLE, get("/"))),
        ended("9113 6.5", PROTOCOL_ERROR, "SETTINGS on a stream", frame(SETTINGS, 0, 1, [])),
        ended("9113 6.5", PROTOCOL_ERROR, "SETTINGS with ACK on a stream", frame(SETTINGS, ACK, 1, [])),
        ended("9113 6.7", PROTOCOL_ERROR, "PING on a stream", frame(PING, 0, 1, [0; 8])),
        ended("9113 6.7", PROTOCOL_ERROR, "PING on an idle stream", frame(PING, 0, 5, [0; 8])),
        ended("9113 6.8", PROTOCOL_ERROR, "GOAWAY on a stream", frame(GOAWAY, 0, 1, [0; 8])),
        ignored("9113 5.5", "an unknown type on the connection", frame(UNKNOWN, 0xff, 0, b"anything")),
    ]
}

#[rustfmt::skip]
pub fn idle() -> Vec<Case> {
    vec![
        ended("9113 5.1", PROTOCOL_ERROR, "DATA on an idle stream", data(3, 0, b"x")),
        ended("9113 5.1", PROTOCOL_ERROR, "an end on an idle stream", data(3, END, b"")),
        ended("9113 5.1", PROTOCOL_ERROR, "RST_STREAM on an idle stream", reset(3, CANCEL)),
        ended("9113 5.1", PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream", update(3, 1)),
        ended("9113 5.1", PROTOCOL_ERROR, "CONTINUATION on an idle stream", continuation(3, WHOLE, get("/"))),
        ended("9113 8.4", PROTOCOL_ERROR, "PUSH_PROMISE on an idle stream", push_promise(3, 2)),
        ignored("9113 6.3", "PRIORITY on an idle stream", priority(3, 1)),
        ignored("9113 6.3", "PRIORITY on a stream of the server", priority(2, 1)),
        ignored("9113 5.5", "an unknown type on an idle stream", frame(UNKNOWN, 0, 3, b"x")),
        ended("9113 5.1.1", PROTOCOL_ERROR, "HEADERS on a stream of the server", headers(2, END, get("/"))),
        ended("9113 5.1.1", PROTOCOL_ERROR, "DATA on a stream of the server", data(2, END, b"x")),
        ended("9113 5.1.1", PROTOCOL_ERROR, "WINDOW_UPDATE on a stream of the server", update(2, 1)),
        ended("9113 5.1.1", PROTOCOL_ERROR, "RST_STREAM on a stream of the server", reset(2, CANCEL)),
        ended("9113 5.1.1", PROTOCOL_ERROR, "a stream below another that was used",
            [headers(5, 0, request("POST", "/", &[])), headers(3, END, get("/"))].concat()).last(5),
        answered("9113 5.1.1", 200, "numbers of streams may be left out", headers(77, END, get("/"))).on(77),
        answered("9113 5.1.1", 200, "the last number of a stream", headers(LARGEST, END, get("/")))
            .on(LARGEST).without_more(),
        ended("9113 5.1.1", PROTOCOL_ERROR, "a number behind the last one",
            [headers(LARGEST, 0, request("POST", "/", &[])), headers(3, END, get("/"))].concat()).last(LARGEST),
        answered("9113 4.1", 200, "the reserved bit of a number", headers(3 | 1 << 31, END, get("/"))),
        all_answered("9113 5.1", &[(3, 200), (5, 200), (7, 200)], "streams side by side",
            [headers(3, END, get("/")), headers(5, END, get("/")), headers(7, END, get("/"))].concat()),
    ]
}

#[rustfmt::skip]
pub fn half_closed() -> Vec<Case> {
    vec![
        ended("9113 5.1", CLOSED, "DATA behind the end", data(3, 0, b"x")).after(HalfClosed),
        ended("9113 5.1", CLOSED, "an end behind the end", data(3, END, b"")).after(HalfClosed),
        ended("9113 5.1", CLOSED, "HEADERS behind the end", headers(3, END, get("/"))).after(HalfClosed),
        ended("9113 6.10", PROTOCOL_ERROR, "CONTINUATION behind the end", continuation(3, WHOLE, get("/")))
            .after(HalfClosed),
        ended("9113 8.4", PROTOCOL_ERROR, "PUSH_PROMISE behind the end", push_promise(3, 2)).after(HalfClosed),
        ignored("9113 5.1", "PRIORITY behind the end", priority(3, 1)).after(HalfClosed),
        ignored("9113 5.1", "RST_STREAM behind the end", reset(3, CANCEL)).after(HalfClosed),
        ignored("9113 5.5", "an unknown type behind the end", frame(UNKNOWN, 0, 3, b"x")).after(HalfClosed),
        answered("9113 5.1", 200, "WINDOW_UPDATE behind the end", update(3, 1000)).after(HalfClosed),
    ]
}

#[rustfmt::skip]
pub fn closed() -> Vec<Case> {
    vec![
        is_reset("9113 5.1", STREAM_CLOSED, "DATA on a stream that was answered", data(3, 0, b"x")).after(Closed),
        ended("9113 5.1.1", PROTOCOL_ERROR, "HEADERS on a stream that was answered", headers(3, END, get("/")))
            .after(Closed),
        ended("9113 5.1", PROTOCOL_ERROR, "CONTINUATION on a stream that was answered",
            continuation(3, WHOLE, get("/"))).after(Closed),
        ended("9113 8.4", PROTOCOL_ERROR, "PUSH_PROMISE on a stream that was answered", push_promise(3, 2))
            .after(Closed),
        ignored("9113 5.1", "PRIORITY on a stream that was answered", priority(3, 1)).after(Closed),
        ignored("9113 5.1", "RST_STREAM on a stream that was answered", reset(3, CANCEL)).after(Closed),
        ignored("9113 5.1", "WINDOW_UPDATE on a stream that was answered", update(3, 1)).after(Closed),
        ignored("9113 5.5", "an unknown type on a stream that was answered", frame(UNKNOWN, 0, 3, b"x"))
            .after(Closed),
        is_reset("9113 5.1", STREAM_CLOSED, "DATA on a stream that was reset", data(3, 0, b"x")).after(Reset),
        ended("9113 5.1.1", PROTOCOL_ERROR, "HEADERS on a stream that was reset", headers(3, END, get("/")))
            .after(Reset),
        ended("9113 5.1", PROTOCOL_ERROR, "CONTINUATION on a stream that was reset",
            continuation(3, WHOLE, get("/"))).after(Reset),
        ignored("9113 5.1", "PRIORITY on a stream that was reset", priority(3, 1)).after(Reset),
        ignored("9113 5.1", "RST_STREAM on a stream that was reset", reset(3, CANCEL)).after(Reset),
        ignored("9113 5.1", "WINDOW_UPDATE on a stream that was reset", update(3, 1)).after(Reset),
        ignored("9113 5.1", "RST_STREAM ends a request",
            [headers(3, 0, request("POST", "/", &[])), reset(3, CANCEL)].concat()),
    ]
}

/// Returns frames of each type between HEADERS and CONTINUATION.
pub fn within_fields() -> Vec<Case> {
    let block = get("/");
    let (begin, rest) = block.split_at(block.len() / 2);
    let around =
        |between: &[u8]| [&frame(HEADERS, END, 3, begin), between, &continuation(3, WHOLE, rest)].concat();
    let broken = |name: &str, between: Vec<u8>| {
        ended("9113 4.3", PROTOCOL_ERROR, &format!("{name} within fields"), around(&between))
    };
    vec![
        broken("DATA", data(1, 0, b"x")),
        broken("DATA of the stream", data(3, 0, b"x")),
        broken("HEADERS of the stream", headers(3, END, get("/"))),
        broken("HEADERS of another stream", headers(5, END, get("/"))),
        broken("PRIORITY", priority(3, 1)),
        broken("RST_STREAM of the stream", reset(3, CANCEL)),
        broken("RST_STREAM of another stream", reset(1, CANCEL)),
        broken("SETTINGS", settings(&[(INITIAL_WINDOW_SIZE, 1)])),
        broken("SETTINGS with ACK", frame(SETTINGS, ACK, 0, [])),
        broken("PUSH_PROMISE", push_promise(3, 2)),
        broken("PING", ping([0; 8])),
        broken("GOAWAY", goaway(0, 0)),
        broken("WINDOW_UPDATE", update(0, 1)),
        broken("CONTINUATION of another stream", continuation(1, 0, b"")),
        broken("CONTINUATION of the connection", continuation(0, 0, b"")),
        broken("an unknown type", frame(UNKNOWN, 0, 3, b"x")),
        // The crate forgets the head at the first malformed piece, so the next one stands alone.
        ended(
            "9113 5.4.1",
            PROTOCOL_ERROR,
            "a field of the connection in the first of two pieces",
            [
                frame(HEADERS, END, 3, request("GET", "/", &[("connection", "close")])),
                continuation(3, WHOLE, b""),
            ]
            .concat(),
        ),
        answered("9113 6.10", 200, "fields in three pieces", around(&continuation(3, 0, b""))),
        answered(
            "9113 6.10",
            200,
            "fields in single bytes",
            [frame(HEADERS, END, 3, []), continuation(3, 0, begin), continuation(3, WHOLE, rest)].concat(),
        ),
        ended(
            "9113 6.10",
            PROTOCOL_ERROR,
            "CONTINUATION behind whole fields",
            [headers(3, 0, request("POST", "/", &[])), continuation(3, WHOLE, b"")].concat(),
        )
        .last(3),
    ]
}

/// What the RFC calls FRAME_SIZE_ERROR, the crate calls PROTOCOL_ERROR where the length is not above the
/// limit of all frames. Both end the connection.
const TOO_SHORT: u32 = PROTOCOL_ERROR;

/// What the RFC calls STREAM_CLOSED, the crate calls PROTOCOL_ERROR, and makes it an error of the
/// connection, which a server may (section 5.4.1).
const CLOSED: u32 = PROTOCOL_ERROR;

#[rustfmt::skip]
pub fn sizes() -> Vec<Case> {
    let large = vec![0; (16 << 10) + 1];
    vec![
        ended("9113 4.2", FRAME_SIZE_ERROR, "DATA above the limit", data(1, 0, &large)),
        ended("9113 4.2", FRAME_SIZE_ERROR, "HEADERS above the limit", headers(3, END, &large)),
        ended("9113 4.2", FRAME_SIZE_ERROR, "an unknown type above the limit", frame(UNKNOWN, 0, 0, &large)),
        ignored("9113 4.2", "an unknown type at the limit", frame(UNKNOWN, 0, 0, &large[1..])),
        ended("9113 4.2", FRAME_SIZE_ERROR, "a head of a frame that names the largest length",
            [0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1]),
        ended("9113 6.3", TOO_SHORT, "PRIORITY of four bytes", frame(PRIORITY, 0, 1, [0; 4])),
        ended("9113 6.3", TOO_SHORT, "PRIORITY of six bytes", frame(PRIORITY, 0, 1, [0; 6])),
        ended("9113 6.4", TOO_SHORT, "RST_STREAM of three bytes", frame(RST_STREAM, 0, 1, [0; 3])),
        ended("9113 6.4", TOO_SHORT, "RST_STREAM of five bytes", frame(RST_STREAM, 0, 1, [0; 5])),
        ended("9113 6.5", TOO_SHORT, "SETTINGS of five bytes", frame(SETTINGS, 0, 0, [0; 5])),
        ended("9113 6.5", TOO_SHORT, "SETTINGS with ACK and a setting", frame(SETTINGS, ACK, 0, [0; 6])),
        ended("9113 6.7", TOO_SHORT, "PING of seven bytes", frame(PING, 0, 0, [0; 7])),
        ended("9113 6.7", TOO_SHORT, "PING of nine bytes", frame(PING, 0, 0, [0; 9])),
        ended("9113 6.7", TOO_SHORT, "PING with ACK of no bytes", frame(PING, ACK, 0, [])),
        ended("9113 6.8", TOO_SHORT, "GOAWAY of seven bytes", frame(GOAWAY, 0, 0, [0; 7])),
        ended("9113 6.9", TOO_SHORT, "WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, [0; 3])),
        ended("9113 6.9", TOO_SHORT, "WINDOW_UPDATE of five bytes", frame(WINDOW_UPDATE, 0, 1, [0; 5])),
        ended("9113 6.6", PROTOCOL_ERROR, "PUSH_PROMISE of three bytes", frame(PUSH_PROMISE, WHOLE, 1, [0; 3])),
        ended("9113 6.10", PROTOCOL_ERROR, "CONTINUATION of no bytes", frame(CONTINUATION, WHOLE, 1, [])),
    ]
}
