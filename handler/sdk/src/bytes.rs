//! Classes of bytes in HTTP messages, and functions that scan for them. They process eight bytes at
//! a time, because parsing a request spends most of its time here.
//!
//! A word contains eight bytes in memory order, the first byte in the lowest bits. A subtraction
//! sets the top bit of each byte that meets a condition. A borrow may wrongly set the top bits of
//! later bytes, but never of earlier ones. So the lowest top bit that is set is always right.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES * 0x80;

/// Returns a word whose top bits mark the bytes of `word` below `bound`, which is at most 0x80.
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word
}

/// Returns a word whose top bits mark the bytes of `word` that equal `byte`.
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Returns the number of bytes before the first one that `stops` marks. `stops` gets words of eight
/// bytes, and marks bytes by setting their top bits in its result.
#[inline(always)]
fn run(bytes: &[u8], stops: impl Fn(u64) -> u64) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut length = 0;
    for word in words {
        let stop = stops(u64::from_le_bytes(*word)) & TOPS;
        if stop != 0 {
            return length + stop.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    // The padding of the tail is zeros. A match there counts as the end of the bytes.
    let stop = stops(last_word(tail)) & TOPS;
    length + tail.len().min(stop.trailing_zeros() as usize / 8)
}

/// Returns the position of the first occurrence of a byte.
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let place = run(bytes, |word| equal(word, byte));
    (place < bytes.len()).then_some(place)
}

/// Splits at the first occurrence of a byte.
pub(crate) fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let place = find(byte, bytes)?;
    Some((bytes.get(..place)?, bytes.get(place + 1..)?))
}

/// Iterator over the pieces of a slice between the occurrences of a byte.
#[derive(Clone, Debug)]
pub(crate) struct Split<'a> {
    rest: Option<&'a [u8]>,
    byte: u8,
}

impl<'a> Split<'a> {
    pub(crate) const fn new(bytes: &'a [u8], byte: u8) -> Self {
        Split { rest: Some(bytes), byte }
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (piece, rest) =
            split_once(rest, self.byte).map_or((rest, None), |(piece, rest)| (piece, Some(rest)));
        self.rest = rest;
        Some(piece)
    }
}

/// Returns the number of leading bytes that are graphic ASCII and not `stop`.
#[inline(never)]
pub(crate) fn graphic_run(bytes: &[u8], stop: u8) -> usize {
    run(bytes, |word| below(word, b'!') | word | equal(word, 0x7f) | equal(word, stop))
}

/// Returns whether all bytes are allowed in a field value: no control bytes except
/// tab (RFC 9110, section 5.5).
pub(crate) fn is_field_value(mut bytes: &[u8]) -> bool {
    loop {
        let length = run(bytes, |word| below(word, b' ') | equal(word, 0x7f));
        match bytes.get(length..) {
            Some([b'\t', rest @ ..]) => bytes = rest,
            Some([_, ..]) => return false,
            _ => return true,
        }
    }
}

/// Loads fewer than eight bytes as a word, padded with zeros.
pub(crate) fn last_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Returns whether a byte is allowed in a token, such as a method or field name
/// (RFC 9110, section 5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    /// Set of the bytes that a token may have, with one bit for each ASCII byte.
    const BITS: [u64; 2] = {
        let mut bits = 0u128;
        let mut byte = 0;
        while byte < 128 {
            bits |= ((byte as u8).is_ascii_alphanumeric() as u128) << byte;
            byte += 1;
        }
        let mut rest: &[u8] = b"!#$%&'*+-.^_`|~";
        while let [byte, after @ ..] = rest {
            bits |= 1 << *byte;
            rest = after;
        }
        [bits as u64, (bits >> 64) as u64]
    };
    let bits = if byte < 64 { BITS[0] } else { BITS[1] };
    byte < 128 && bits >> (byte % 64) & 1 == 1
}

/// Returns whether a text is a token.
pub(crate) const fn is_token(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        if !is_token_byte(*byte) {
            return false;
        }
        rest = after;
    }
    !text.is_empty()
}

#[cfg(test)]
mod tests {
    use std::prelude::rust_2024::*;

    use super::{find, graphic_run, is_field_value, is_token_byte};

    /// Tries every byte at every position in two words and a tail, between bytes that make the
    /// subtractions borrow.
    #[test]
    fn eight_bytes_together_are_judged_like_each_alone() {
        for place in 0..19 {
            for around in [b'!', b'a', 0x7e] {
                for byte in 0..=u8::MAX {
                    let mut bytes = [around; 19];
                    bytes[place] = byte;
                    let plain = byte.is_ascii_graphic() && byte != b'?';
                    assert_eq!(graphic_run(&bytes, b'?'), if plain { 19 } else { place }, "{bytes:?}");
                    let text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
                    assert_eq!(is_field_value(&bytes), text, "{bytes:?}");
                }
            }
            for (around, byte) in [(0u8, 1), (1, 0), (b'\n', 0x0b), (0x0b, b'\n'), (0xff, 0x7f), (0, 0x80)] {
                let mut bytes = [around; 19];
                bytes[place] = byte;
                assert_eq!(find(byte, &bytes), Some(place), "{bytes:?}");
                assert_eq!(find(around, &bytes[place..]), (place < 18).then_some(1), "{bytes:?}");
                assert_eq!(find(2, &bytes), None, "{bytes:?}");
            }
        }
    }

    #[test]
    fn tokens_are_those_of_rfc_9110() {
        let tokens: Vec<u8> = (0..=u8::MAX).filter(|byte| is_token_byte(*byte)).collect();
        let punctuation = *b"!#$%&\'*+-.^_`|~";
        let expected: Vec<u8> =
            (0..=u8::MAX).filter(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(byte)).collect();
        assert_eq!(tokens, expected);
    }
}
