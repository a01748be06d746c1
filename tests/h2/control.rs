//! Frames that bring no request: SETTINGS, PING, WINDOW_UPDATE, PRIORITY, PUSH_PROMISE, GOAWAY, and
//! those of extensions.

use super::case::{Case, answered, ended, ignored, is_reset};
use super::frames::{
    ACK, ALTSVC, CANCEL, ENABLE_PUSH, END, FLOW_CONTROL_ERROR, HEADER_TABLE_SIZE, HEADERS,
    INITIAL_WINDOW_SIZE, LARGEST, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, NO_ERROR,
    ORIGIN, PADDED, PING, PRIORITY_UPDATE, PROTOCOL_ERROR, SETTINGS, WHOLE, WITH_PRIORITY, data, frame, get,
    headers, ping, priority, push_promise, request, reset, settings, update,
};

/// Setting of RFC 8441 and of RFC 9218, and one that is not registered.
const ENABLE_CONNECT: u16 = 0x8;
const NO_PRIORITIES: u16 = 0x9;
const UNKNOWN_SETTING: u16 = 0xabcd;

/// What the RFC calls FLOW_CONTROL_ERROR, the crate calls PROTOCOL_ERROR in settings. Both end the
/// connection.
const TOO_WIDE: u32 = PROTOCOL_ERROR;

/// The same holds for FRAME_SIZE_ERROR.
const TOO_LONG: u32 = PROTOCOL_ERROR;

#[rustfmt::skip]
pub fn of_settings() -> Vec<Case> {
    vec![
        ignored("9113 6.5", "SETTINGS of nothing", settings(&[])),
        ignored("9113 6.5.2", "settings of every kind",
            settings(&[(HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (MAX_CONCURRENT_STREAMS, 0),
                (INITIAL_WINDOW_SIZE, 70_000), (MAX_FRAME_SIZE, 20_000), (MAX_HEADER_LIST_SIZE, 1)])),
        ignored("9113 6.5.2", "an unknown setting", settings(&[(UNKNOWN_SETTING, u32::MAX)])),
        ignored("9113 6.5.2", "a setting of number 0", settings(&[(0, 1)])),
        ignored("9218 2.1", "a client without priorities", settings(&[(NO_PRIORITIES, 1)])),
        ignored("8441 3", "extended CONNECT of a client", settings(&[(ENABLE_CONNECT, 1)])),
        ignored("9113 6.5", "one setting twice", settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 65_535)])),
        ignored("9113 6.5.2", "push is allowed", settings(&[(ENABLE_PUSH, 1)])),
        ended("9113 6.5.2", PROTOCOL_ERROR, "ENABLE_PUSH of 2", settings(&[(ENABLE_PUSH, 2)])),
        ended("9113 6.5.2", PROTOCOL_ERROR, "ENABLE_PUSH of the largest number", settings(&[(ENABLE_PUSH, u32::MAX)])),
        ended("9113 6.5.2", TOO_WIDE, "a window of a byte too much", settings(&[(INITIAL_WINDOW_SIZE, LARGEST + 1)])),
        ended("9113 6.5.2", TOO_WIDE, "a window of the largest number", settings(&[(INITIAL_WINDOW_SIZE, u32::MAX)])),
        ignored("9113 6.5.2", "the largest frames", settings(&[(MAX_FRAME_SIZE, (1 << 24) - 1)])),
        ended("9113 6.5.2", PROTOCOL_ERROR, "frames of a byte too few", settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)])),
        ended("9113 6.5.2", PROTOCOL_ERROR, "frames of a byte too many", settings(&[(MAX_FRAME_SIZE, 1 << 24)])),
        ended("9113 6.5.2", PROTOCOL_ERROR, "frames of no bytes", settings(&[(MAX_FRAME_SIZE, 0)])),
        ended("9113 6.5", PROTOCOL_ERROR, "a good setting before a bad one",
            settings(&[(INITIAL_WINDOW_SIZE, 1), (ENABLE_PUSH, 3)])),
        ended("9113 6.5", TOO_LONG, "ACK with a payload", frame(SETTINGS, ACK, 0, [0, 3, 0, 0, 0, 1])),
        ended("9113 6.5", PROTOCOL_ERROR, "ACK that was not asked for", frame(SETTINGS, ACK, 0, [])),
        ignored("9113 6.5", "flags that SETTINGS does not have", frame(SETTINGS, 0xfe, 0, [])),
        answered("8441 4", 200, "a request behind settings", [settings(&[(MAX_CONCURRENT_STREAMS, 0)]), headers(3, END, get("/"))].concat()),
        ended("9113 6.9.2", FLOW_CONTROL_ERROR, "settings that make a widened window too large",
            [update(1, LARGEST - 65_535), settings(&[(INITIAL_WINDOW_SIZE, 65_536)])].concat()),
    ]
}

#[rustfmt::skip]
pub fn windows() -> Vec<Case> {
    let opened = || headers(3, 0, request("POST", "/", &[]));
    vec![
        ended("9113 6.9", PROTOCOL_ERROR, "WINDOW_UPDATE of 0 on the connection", update(0, 0)),
        ended("9113 6.9", PROTOCOL_ERROR, "WINDOW_UPDATE of 0 on a stream", [opened(), update(3, 0)].concat()).last(3),
        ended("9113 6.9", PROTOCOL_ERROR, "WINDOW_UPDATE of 0 and the reserved bit", update(0, 1 << 31)),
        ignored("9113 6.9.1", "the largest window of the connection", update(0, LARGEST - 65_535)),
        ended("9113 6.9.1", FLOW_CONTROL_ERROR, "the window of the connection and a byte", update(0, LARGEST - 65_534)),
        ended("9113 6.9.1", FLOW_CONTROL_ERROR, "the window of the connection in two steps",
            [update(0, LARGEST - 65_535), update(0, 1)].concat()),
        answered("9113 6.9.1", 200, "the largest window of a stream",
            [opened(), update(3, LARGEST - 65_535), data(3, END, b"")].concat()),
        is_reset("9113 6.9.1", FLOW_CONTROL_ERROR, "the window of a stream and a byte",
            [opened(), update(3, LARGEST - 65_534)].concat()),
        is_reset("9113 6.9.1", FLOW_CONTROL_ERROR, "the window of a stream in two steps",
            [opened(), update(3, LARGEST - 65_535), update(3, 1)].concat()),
        ignored("9113 6.9", "the reserved bit of a step", update(0, 1 | 1 << 31)),
    ]
}

#[rustfmt::skip]
pub fn priorities() -> Vec<Case> {
    let depends = |on: u32, flags: u8| frame(HEADERS, END | WHOLE | WITH_PRIORITY | flags, 3,
        [&on.to_be_bytes()[..], &[200], &get("/")].concat());
    vec![
        ignored("9113 5.3", "PRIORITY", priority(1, 0)),
        ignored("9113 5.3", "PRIORITY on a stream that is idle", priority(1, 99)),
        ignored("9113 5.3", "exclusive PRIORITY", priority(1, 1 << 31)),
        answered("9113 5.3", 200, "HEADERS with a priority", depends(1, 0)),
        answered("9113 5.3", 200, "HEADERS with an exclusive priority", depends(1 | 1 << 31, 0)),
        answered("9113 5.3", 200, "HEADERS with a priority of an idle stream", depends(99, 0)),
        is_reset("9113 5.3.1", PROTOCOL_ERROR, "HEADERS with a priority of itself", depends(3, 0)),
        is_reset("9113 5.3.1", PROTOCOL_ERROR, "PRIORITY of itself",
            [headers(3, 0, request("POST", "/", &[])), priority(3, 3)].concat()),
        ended("9113 6.2", PROTOCOL_ERROR, "HEADERS too short for a priority",
            frame(HEADERS, END | WHOLE | WITH_PRIORITY, 3, [0; 4])),
        ended("9113 6.2", PROTOCOL_ERROR, "HEADERS with padding longer than the frame",
            frame(HEADERS, END | WHOLE | PADDED, 3, [&[200][..], &get("/")].concat())),
        answered("9113 6.2", 200, "HEADERS with padding",
            frame(HEADERS, END | WHOLE | PADDED, 3, [&[2][..], &get("/"), &[0, 0]].concat())),
        answered("9113 6.2", 200, "flags that HEADERS does not have",
            frame(HEADERS, END | WHOLE | 0xd2, 3, get("/"))),
        ignored("9218 7.1", "PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1, i")),
        ignored("9218 7.1", "PRIORITY_UPDATE of an idle stream", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x09u=9")),
        answered("9218 5", 200, "the field priority", headers(3, END, request("GET", "/", &[("priority", "u=0, i")]))),
    ]
}

#[rustfmt::skip]
pub fn others() -> Vec<Case> {
    vec![
        ended("9113 8.4", PROTOCOL_ERROR, "PUSH_PROMISE of a client", push_promise(1, 2)),
        ended("9113 8.4", PROTOCOL_ERROR, "PUSH_PROMISE of a stream of the client", push_promise(1, 3)),
        ignored("7838 4", "ALTSVC on the connection", frame(ALTSVC, 0, 0, b"\0\x01ah2=\":1\"")),
        ignored("7838 4", "ALTSVC on a stream", frame(ALTSVC, 0, 1, b"\0\0h2=\":1\"")),
        ignored("8336 2", "ORIGIN", frame(ORIGIN, 0, 0, b"\0\x08http://a")),
        ignored("8336 2", "ORIGIN on a stream", frame(ORIGIN, 0, 1, b"\xff\xff")),
        ignored("9113 6.7", "PING", ping(*b"8 bytes.")),
        ignored("9113 6.7", "PING with ACK that was not asked for", frame(PING, ACK, 0, *b"8 bytes.")),
        ignored("9113 6.7", "PING with flags that it does not have", frame(PING, 0xfe, 0, *b"8 bytes.")),
        ignored("9113 6.4", "RST_STREAM with an unknown code",
            [headers(3, 0, request("POST", "/", &[])), reset(3, 0xdead_beef)].concat()),
        ignored("9113 6.4", "RST_STREAM before a body",
            [headers(3, 0, request("POST", "/", &[("content-length", "5")])), reset(3, NO_ERROR)].concat()),
        ignored("9113 6.4", "RST_STREAM within a body",
            [headers(3, 0, request("POST", "/", &[])), data(3, 0, b"hel"), reset(3, CANCEL)].concat()),
    ]
}
