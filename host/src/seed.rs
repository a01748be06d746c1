//! Seeds for the random bits that a module draws. Each request has its own seed. A recorded request
//! contains its seed, so that a replay draws the same bits.

use crate::hex::hex;

/// Seed that `host call` was given for its request. It is stored among the extensions of the
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(pub(crate) [u8; 32]);

/// Draws a seed from the system's generator. Returns `None` when the generator fails; without a
/// seed, a module that draws random bits traps.
pub(crate) fn draw() -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).is_ok().then_some(seed)
}

/// Formats a seed as 64 hexadecimal digits.
pub(crate) fn format(seed: &[u8; 32]) -> String {
    hex(seed)
}

/// Parses a seed of 64 hexadecimal digits.
///
/// # Errors
///
/// One line that quotes the invalid text.
pub(crate) fn parse(text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("expected a seed of 64 hexadecimal digits, found `{text}`");
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> = text.as_bytes().iter().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let (pairs, _) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::{draw, format, parse};

    #[test]
    fn a_seed_is_read_as_it_was_written() {
        let seed = draw().unwrap();
        assert_eq!(parse(&format(&seed)), Ok(seed));
        assert_eq!(parse(&"aF".repeat(32)), Ok([0xaf; 32]));
        for text in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"\u{e4}".repeat(32)] {
            assert!(parse(text).unwrap_err().starts_with("expected a seed of 64 hexadecimal digits"));
        }
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(draw(), draw());
    }
}
