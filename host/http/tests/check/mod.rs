//! Checks of what the parsers guarantee for any bytes. The tests and the fuzz targets
//! share them.

use bytes::Bytes;
use host_http::response::decode;
use host_http::wire::{MessageLimits, Messages};
use http::{HeaderMap, Method};

/// Limits of a message, small enough for inputs to exceed them.
const LIMITS: MessageLimits = MessageLimits { target_max: 64, head_max: 512, fields_max: 16, body_max: 4096 };

/// Longest head of a response, in bytes.
const HEAD_MAX: usize = 512;

/// Checks that a connection is read alike, however its bytes arrive: in one piece,
/// byte by byte, or in pieces of these lengths.
pub fn messages(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) {
    let whole = read(bytes, [bytes.len()]);
    assert!(whole.0 <= bytes.len());
    assert_eq!(whole, read(bytes, std::iter::repeat_n(1, bytes.len())), "{}", bytes.escape_ascii());
    assert_eq!(whole, read(bytes, pieces), "{}", bytes.escape_ascii());
}

/// Returns how many bytes pass, and whether the rest is refused.
fn read(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> (usize, bool) {
    let mut messages = Messages::new(LIMITS);
    let (mut passed, mut arrived) = (0, 0);
    let mut pieces = pieces.into_iter();
    while arrived < bytes.len() {
        arrived = bytes.len().min(arrived + pieces.next().unwrap_or(bytes.len()).max(1));
        loop {
            match messages.admit(&bytes[passed..arrived]) {
                Ok(0) => break,
                Ok(more) => passed += more,
                Err(_) => return (passed, true),
            }
            assert!(passed <= arrived, "more has passed than arrived");
        }
    }
    (passed, false)
}

/// Checks that a response is either refused, or one that HTTP allows.
pub fn response(bytes: &[u8]) {
    for method in [Method::GET, Method::HEAD, Method::CONNECT] {
        let Ok(response) = decode(Bytes::copy_from_slice(bytes), &method, HEAD_MAX, HeaderMap::new()) else {
            continue;
        };
        let status = response.status().as_u16();
        assert!((200..600).contains(&status), "{status}: {}", bytes.escape_ascii());
        assert!(method != Method::CONNECT || status >= 300, "{status}: {}", bytes.escape_ascii());
        for name in ["transfer-encoding", "connection", "keep-alive"] {
            assert!(!response.headers().contains_key(name), "{name}: {}", bytes.escape_ascii());
        }
        assert!(response.headers().get_all("content-length").iter().count() <= 1);
    }
}
