//! Frames of HTTP/2 as a client writes them, however wrong (RFC 9113, section 6).

use super::hpack::{block, literal};

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const PRIORITY: u8 = 0x2;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PUSH_PROMISE: u8 = 0x5;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const CONTINUATION: u8 = 0x9;
/// RFC 7838, section 4.
pub const ALTSVC: u8 = 0xa;
/// RFC 8336, section 2.
pub const ORIGIN: u8 = 0xc;
/// RFC 9218, section 7.1.
pub const PRIORITY_UPDATE: u8 = 0x10;
/// A type that is not registered.
pub const UNKNOWN: u8 = 0xbe;

/// Flag END_STREAM of HEADERS and DATA.
pub const END: u8 = 0x1;
/// Flag ACK of SETTINGS and PING.
pub const ACK: u8 = 0x1;
/// Flag END_HEADERS of HEADERS and CONTINUATION.
pub const WHOLE: u8 = 0x4;
pub const PADDED: u8 = 0x8;
/// Flag PRIORITY of HEADERS.
pub const WITH_PRIORITY: u8 = 0x20;

pub const NO_ERROR: u32 = 0x0;
pub const PROTOCOL_ERROR: u32 = 0x1;
pub const INTERNAL_ERROR: u32 = 0x2;
pub const FLOW_CONTROL_ERROR: u32 = 0x3;
pub const STREAM_CLOSED: u32 = 0x5;
pub const FRAME_SIZE_ERROR: u32 = 0x6;
pub const REFUSED_STREAM: u32 = 0x7;
pub const CANCEL: u32 = 0x8;
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

pub const HEADER_TABLE_SIZE: u16 = 0x1;
pub const ENABLE_PUSH: u16 = 0x2;
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub const MAX_FRAME_SIZE: u16 = 0x5;
pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest window, and largest number of a stream.
pub const LARGEST: u32 = (1 << 31) - 1;

/// Returns a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns HEADERS with a whole block.
pub fn headers(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, flags | WHOLE, stream, block)
}

pub fn continuation(stream: u32, flags: u8, block: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CONTINUATION, flags, stream, block)
}

pub fn data(stream: u32, flags: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, 0, 0, payload)
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, code.to_be_bytes())
}

pub fn ping(bytes: [u8; 8]) -> Vec<u8> {
    frame(PING, 0, 0, bytes)
}

pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

pub fn priority(stream: u32, on: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[15]].concat())
}

pub fn push_promise(stream: u32, promised: u32) -> Vec<u8> {
    frame(PUSH_PROMISE, WHOLE, stream, [&promised.to_be_bytes()[..], &get("/")].concat())
}

/// Returns the fields of a request for `http://a` in clear text.
pub fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)];
    [block(&pseudo), block(fields)].concat()
}

pub fn get(path: &str) -> Vec<u8> {
    request("GET", path, &[])
}

/// Returns a request without a body on stream 3.
pub fn asks(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(3, END, request("GET", "/", fields))
}

/// Returns a request without a body on stream 3, whose fields are these alone.
pub fn asks_by(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(3, END, block(fields))
}

/// Returns a request without a body on stream 3, with a field of any bytes.
pub fn asks_with(name: &[u8], value: &[u8]) -> Vec<u8> {
    headers(3, END, [get("/"), literal(name, value)].concat())
}

/// Returns a request with a body in one frame on stream 3.
pub fn posts(fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    [headers(3, 0, request("POST", "/", fields)), data(3, END, body)].concat()
}
