//! Request ids, which appear in the log, in the response and in the request that the handler gets.
//!
//! An id such as `2b-3-9c07b2e41f3a55d0` consists of the number of the connection, the number of
//! the request on that connection, and a keyed hash of both. The numbers show which requests shared
//! a connection. Each process has a random key for the hash, so that ids of different processes
//! differ, and a client that has seen some ids cannot guess others.

use std::fmt::{self, Write};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Generator of connection numbers. Creates a [`RequestIds`] for each connection.
pub struct ConnectionIds {
    /// Random keys of SipHash, a keyed pseudorandom function.
    keys: RandomState,
    next: AtomicU64,
}

/// Generator of the request ids of one connection.
pub struct RequestIds {
    keys: RandomState,
    connection: u64,
    /// Start of every id of the connection: its number and a hyphen.
    prefix: RequestId,
    /// Hexadecimal digits of a keyed hash of the number of the connection.
    hash: [u8; HASH_DIGITS as usize],
    next: AtomicU64,
}

/// Length of the longest id in bytes: three numbers of 64 bits in hexadecimal, and two hyphens.
const LENGTH_MAX: usize = 16 + 1 + 16 + 1 + 16;

/// Number of hexadecimal digits of the hash at the end of an id.
const HASH_DIGITS: u32 = 16;

/// For each byte, its two hexadecimal digits.
#[allow(clippy::indexing_slicing, reason = "the loop ends below 256")]
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 0xF]];
        byte += 1;
    }
    table
};

/// Id of one request. The text is stored in place, because copying it costs less than reference
/// counting.
#[derive(Clone, Copy, Debug)]
pub struct RequestId {
    text: [u8; LENGTH_MAX],
    length: usize,
}

/// Returns the 16 hexadecimal digits of a number. Faster than `{:016x}`.
pub(crate) fn digits(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    let (pairs, _) = text.as_chunks_mut();
    for (digits, byte) in pairs.iter_mut().zip(number.to_be_bytes()) {
        *digits = HEX.get(usize::from(byte)).copied().unwrap_or_default();
    }
    text
}

impl ConnectionIds {
    /// Creates a generator with random keys.
    #[allow(clippy::new_without_default, reason = "two defaults are not equal")]
    pub fn new() -> Self {
        // The standard library draws these keys from the system's generator.
        ConnectionIds { keys: RandomState::new(), next: AtomicU64::new(1) }
    }

    /// Returns the generator for the next connection.
    pub fn connection(&self) -> RequestIds {
        let connection = self.next.fetch_add(1, Relaxed);
        let prefix = RequestId::of(format_args!("{connection:x}-"));
        let (keys, hash) = (self.keys.clone(), digits(self.keys.hash_one(connection)));
        RequestIds { keys, connection, prefix, hash, next: AtomicU64::new(1) }
    }
}

impl RequestIds {
    /// Returns the id of the connection's next request.
    pub fn request(&self) -> RequestId {
        let number = self.next.fetch_add(1, Relaxed);
        let mut id = self.prefix;
        id.push_hex(number, 1);
        id.push(b'-');
        id.push_hex(self.keys.hash_one((self.connection, number)), HASH_DIGITS);
        id
    }

    /// Returns the 16 hexadecimal digits of a keyed hash of the number of the connection.
    pub(crate) fn hash_digits(&self) -> [u8; HASH_DIGITS as usize] {
        self.hash
    }

    /// Returns the number of request ids that the generator has returned.
    pub fn count(&self) -> u64 {
        self.next.load(Relaxed) - 1
    }
}

impl RequestId {
    /// Returns the id `-`, for calls that are not caused by the request of a client.
    pub fn none() -> RequestId {
        RequestId::of(format_args!("-"))
    }

    /// Length of the longest id in bytes.
    pub const LENGTH_MAX: usize = LENGTH_MAX;

    /// Parses an id: 1 to [`RequestId::LENGTH_MAX`] visible ASCII characters.
    pub fn parse(text: &str) -> Option<RequestId> {
        let fits = (1..=LENGTH_MAX).contains(&text.len());
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && is_visible).then(|| RequestId::of(format_args!("{text}")))
    }

    fn of(text: fmt::Arguments<'_>) -> RequestId {
        let mut id = RequestId { text: [0; LENGTH_MAX], length: 0 };
        id.write_fmt(text).unwrap_or_else(|_| unreachable!("an id has at most {LENGTH_MAX} bytes"));
        id
    }

    /// Appends a number in hexadecimal, with at least `digits_min` digits. Faster than `{:x}`.
    fn push_hex(&mut self, number: u64, digits_min: u32) {
        let text = digits(number);
        let count = (u64::BITS - number.leading_zeros()).div_ceil(4).max(digits_min) as usize;
        let text = text.get(text.len().saturating_sub(count)..).unwrap_or_default();
        if let Some(place) = self.text.get_mut(self.length..self.length + text.len()) {
            place.copy_from_slice(text);
            self.length += text.len();
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Returns the last 16 bytes of the id: the hash digits of an id that the host has generated.
    /// Returns zero digits if the id is shorter.
    pub(crate) fn hash_digits(&self) -> [u8; HASH_DIGITS as usize] {
        self.as_bytes().last_chunk().copied().unwrap_or([b'0'; HASH_DIGITS as usize])
    }

    /// Returns the id as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.split_at(self.length).0
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_else(|_| unreachable!("an id is ASCII"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Write for RequestId {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.get_mut(self.length..).and_then(|room| room.get_mut(..text.len()));
        room.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionIds, Relaxed};

    #[test]
    fn an_id_tells_connection_and_request() {
        let ids = ConnectionIds::new();
        let (first, second) = (ids.connection(), ids.connection());
        let all = [first.request(), first.request(), second.request()];
        let numbers: Vec<_> = all.iter().map(|id| &id.as_str()[..4]).collect();
        assert_eq!(numbers, ["1-1-", "1-2-", "2-1-"]);
        assert!(all.iter().all(|id| id.as_str().len() == 20));
    }

    /// On average, two hashes differ in half of their 64 bits. They differ in fewer than 8 bits
    /// with a probability below 10^-10.
    #[test]
    fn an_id_does_not_tell_the_next_one() {
        let hash = |id: &str| u64::from_str_radix(&id[id.len() - 16..], 16).unwrap();
        let ids = ConnectionIds::new();
        let connection = ids.connection();
        let (one, next) = (connection.request(), connection.request());
        let neighbour = ids.connection().request();
        let elsewhere = ConnectionIds::new().connection().request();
        for other in [next, neighbour, elsewhere] {
            let bits = (hash(one.as_str()) ^ hash(other.as_str())).count_ones();
            assert!(bits >= 8, "{one} and {other} differ in {bits} bits");
        }
    }

    #[test]
    fn numbers_are_hexadecimal() {
        let ids = ConnectionIds::new().connection();
        for number in [0, 1, 9, 10, 15, 16, 0xABC, 0x1234_5678_9ABC_DEF0, u64::MAX - 1] {
            ids.next.store(number, Relaxed);
            assert!(ids.request().as_str().starts_with(&format!("1-{number:x}-")), "{number}");
        }
    }

    #[test]
    fn the_longest_id_fits() {
        let ids = ConnectionIds::new();
        ids.next.store(u64::MAX - 1, Relaxed);
        let ids = ids.connection();
        ids.next.store(u64::MAX - 1, Relaxed);
        assert!(ids.request().as_str().starts_with("fffffffffffffffe-fffffffffffffffe-"));
    }
}
