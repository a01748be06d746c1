//! Frames that cost the server more than the client, over and over again: each kind has a limit.

use super::case::{Case, flooded, ignored};
use super::frames::{
    ACK, CANCEL, END, HEADERS, NO_ERROR, ORIGIN, PING, PRIORITY_UPDATE, UNKNOWN, continuation, data, frame,
    get, headers, ping, priority, request, reset, settings, update,
};

/// Flags of the server of these cases. A client sends some frames before and behind a case.
pub const FLAGS: [&str; 4] = ["--h2-control", "20", "--h2-resets", "5"];

#[rustfmt::skip]
pub fn floods() -> Vec<Case> {
    let kinds = [
        ("PING", ping([7; 8])),
        ("PING with ACK", frame(PING, ACK, 0, [7; 8])),
        ("SETTINGS", settings(&[])),
        ("PRIORITY", priority(1, 0)),
        ("PRIORITY on idle streams", priority(9, 0)),
        ("WINDOW_UPDATE of 1 on the connection", update(0, 1)),
        ("WINDOW_UPDATE of 1 on a stream", update(1, 1)),
        ("empty DATA", data(1, 0, b"")),
        ("an unknown type", frame(UNKNOWN, 0, 0, b"x")),
        ("an unknown type of no bytes", frame(UNKNOWN, 0, 1, b"")),
        ("PRIORITY_UPDATE", frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
        ("ORIGIN", frame(ORIGIN, 0, 0, b"")),
    ];
    let mut cases: Vec<Case> = kinds.iter()
        .map(|(name, frame)| flooded("9113 10.5", &format!("{name}, again and again"), frame.repeat(100))).collect();
    cases.extend(kinds.iter().map(|(name, frame)| ignored("9113 10.5", &format!("{name}, sometimes"), frame.repeat(8))));
    let reset_of = |stream| [headers(stream, 0, request("POST", "/", &[])), reset(stream, CANCEL)].concat();
    let resets = |count: u32| (0..count).flat_map(|number| reset_of(3 + 2 * number)).collect::<Vec<u8>>();
    cases.extend([
        ignored("9113 10.5", "streams that are reset, sometimes", resets(5)),
        flooded("9113 10.5", "streams that are reset, again and again", resets(6)),
        flooded("9113 10.5", "whole requests that are reset, again and again",
            (0..50).flat_map(|number| [headers(3 + 2 * number, END, get("/")), reset(3 + 2 * number, NO_ERROR)].concat())
                .collect::<Vec<u8>>()),
        flooded("9113 10.5", "RST_STREAM on one stream, again and again",
            [headers(3, 0, request("POST", "/", &[])), reset(3, CANCEL).repeat(6)].concat()),
        flooded("9113 10.5", "CONTINUATION, again and again",
            [frame(HEADERS, END, 3, get("/")), continuation(3, 0, b"").repeat(100)].concat()),
        flooded("9113 10.5", "kinds that are within the limit each", 
            [ping([7; 8]), settings(&[]), priority(1, 0), frame(UNKNOWN, 0, 0, b"x")].concat().repeat(6)),
    ]);
    cases
}
