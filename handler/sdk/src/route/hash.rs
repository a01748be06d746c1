//! Hashes the segments of paths, and combines the hashes of the segments that are literal in a
//! [`Shape`].

use super::pattern::{Shape, first_segment};
use crate::bytes::last_word;

/// Hasher of one segment of a path. Patterns are hashed at compile time, byte by byte, and the path
/// of a request is hashed eight bytes at a time. Both give the same result.
pub(super) struct Hasher {
    hash: u64,
    /// Up to seven bytes that are not hashed yet, with the first byte in the lowest bits.
    word: u64,
    length: u64,
}

impl Hasher {
    pub(super) const NEW: Hasher = Hasher { hash: 0, word: 0, length: 0 };

    pub(super) const fn add(&mut self, byte: u8) {
        self.word |= (byte as u64) << (8 * (self.length % 8));
        self.length += 1;
        if self.length.is_multiple_of(8) {
            self.hash = Hasher::mix(self.hash, self.word);
            self.word = 0;
        }
    }

    pub(super) const fn finish(&self) -> u64 {
        Hasher::mix(Hasher::mix(self.hash, self.word), self.length)
    }

    fn of(segment: &[u8]) -> u64 {
        let (words, tail) = segment.as_chunks::<8>();
        let hash = words.iter().fold(0, |hash, word| Hasher::mix(hash, u64::from_le_bytes(*word)));
        Hasher { hash, word: last_word(tail), length: segment.len() as u64 }.finish()
    }

    /// Mixes the next number into a hash. The factor is 2^64 divided by the golden ratio, which
    /// spreads every bit over the bits above it.
    pub(super) const fn mix(hash: u64, next: u64) -> u64 {
        (hash.rotate_left(23) ^ next).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Hashes of the segments of a path.
pub(super) struct Hashes {
    /// Combined hash of all segments in order.
    whole: u64,
    segments: [u64; Shape::SEGMENTS_MAX],
    /// Number of segments. Only the first [`Shape::SEGMENTS_MAX`] have a hash in
    /// `segments`.
    count: usize,
}

impl Hashes {
    pub(super) fn of(path: &[u8]) -> Option<Hashes> {
        let mut rest = path.strip_prefix(b"/")?;
        let mut hashes = Hashes { whole: 0, segments: [0; Shape::SEGMENTS_MAX], count: 0 };
        loop {
            let (segment, after) = first_segment(rest);
            let hash = Hasher::of(segment);
            hashes.whole = Hasher::mix(hashes.whole, hash);
            if let Some(place) = hashes.segments.get_mut(hashes.count) {
                *place = hash;
            }
            hashes.count += 1;
            match after {
                Some(after) => rest = after,
                None => return Some(hashes),
            }
        }
    }

    /// Returns the hash that a pattern with this shape has if it matches the path. `None` if the
    /// shape does not match paths with this number of segments.
    pub(super) fn in_shape(&self, shape: Shape) -> Option<u64> {
        let literal = if shape.is_literal() {
            self.whole
        } else if shape.can_have(self.count) {
            let segments = self.segments.iter().take(self.count).enumerate();
            let literal = segments.filter(|(place, _)| shape.has_literal_at(*place));
            literal.fold(0, |hash, (_, each)| Hasher::mix(hash, *each))
        } else {
            return None;
        };
        Some(Hasher::mix(literal, shape.number()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hasher, Hashes};
    use crate::route::pattern::Pattern;
    use std::prelude::rust_2024::*;

    #[test]
    fn the_compiler_and_a_module_find_the_same() {
        for length in 0..40 {
            let segment = &"a-segment-of-many-bytes.and.some.more_of_them"[..length];
            let mut hasher = Hasher::NEW;
            segment.bytes().for_each(|byte| hasher.add(byte));
            assert_eq!(hasher.finish(), Hasher::of(segment.as_bytes()));
        }
        for (pattern, path) in
            [("/", "/"), ("/a/b", "/a/b"), ("/a/{b}/c/{*d}", "/a/x/c/y/z"), ("/{a}/b/", "//b/")]
        {
            let Pattern { shape, hash } = Pattern::of(pattern);
            assert_eq!(Hashes::of(path.as_bytes()).unwrap().in_shape(shape), Some(hash), "{pattern}");
        }
    }
}
