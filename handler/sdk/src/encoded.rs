//! Percent-encoded text. In queries and forms, `+` stands for a space.
//!
//! Decoding to bytes never fails: a `%` without two hexadecimal digits stands for
//! itself, as in browsers.

use core::fmt;
use core::str::{self, FromStr};

/// A piece of a request that may be percent-encoded: a path parameter, a name or value of a query
/// or form, or the value of a cookie.
///
/// Comparing and decoding need no allocator:
///
/// ```
/// # use handler_sdk::Request;
/// let request = Request::parse(b"GET /?name=J%C3%BCrgen+M.&page=12 HTTP/1.1\r\n\r\n").unwrap();
/// let name = request.query_value("name").unwrap();
/// assert!(name.is("Jürgen M."));
/// assert_eq!(name.raw(), b"J%C3%BCrgen+M.");
/// let mut room = [0; 64];
/// assert_eq!(name.decode_into(&mut room), Some("Jürgen M."));
/// assert_eq!(request.query_value("page").and_then(|page| page.parse()), Some(12));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a> {
    raw: &'a [u8],
    plus_is_space: bool,
}

impl<'a> Encoded<'a> {
    /// Maximum length of a decoded text that [`Encoded::parse`] reads, in bytes.
    pub const PARSE_MAX: usize = 128;

    pub(crate) const fn percent(raw: &'a [u8]) -> Self {
        Encoded { raw, plus_is_space: false }
    }

    pub(crate) const fn form(raw: &'a [u8]) -> Self {
        Encoded { raw, plus_is_space: true }
    }

    /// Returns the bytes as they were sent, without decoding.
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Iterates over the decoded bytes, which need not be UTF-8.
    pub fn decoded(self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        Decoded(self)
    }

    /// Returns whether the decoded bytes equal a text.
    pub fn is(self, text: &str) -> bool {
        self.decoded().eq(text.bytes())
    }

    /// Decodes into `room`; the length of [`Encoded::raw`] is always enough. `None`
    /// when `room` is too short or the decoded bytes are not UTF-8.
    pub fn decode_into(self, room: &mut [u8]) -> Option<&str> {
        let mut length = 0;
        for byte in self.decoded() {
            *room.get_mut(length)? = byte;
            length += 1;
        }
        str::from_utf8(room.get(..length)?).ok()
    }

    /// Parses the decoded text. `None` when parsing fails or the text is longer
    /// than [`Encoded::PARSE_MAX`].
    pub fn parse<T: FromStr>(self) -> Option<T> {
        self.decode_into(&mut [0; Encoded::PARSE_MAX])?.parse().ok()
    }

    /// Returns the decoded text, borrowed if nothing is encoded. `None` when the text is
    /// not UTF-8.
    #[cfg(feature = "alloc")]
    pub fn to_text(self) -> Option<alloc::borrow::Cow<'a, str>> {
        if self.decoded().eq(self.raw.iter().copied()) {
            return str::from_utf8(self.raw).ok().map(Into::into);
        }
        alloc::string::String::from_utf8(self.decoded().collect()).ok().map(Into::into)
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Encoded(\"{}\")", self.raw.escape_ascii())
    }
}

/// Iterator over the decoded bytes of an encoded text.
#[derive(Clone)]
struct Decoded<'a>(Encoded<'a>);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.raw.split_first()?;
        let (byte, rest) = match (first, rest) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest),
            },
            (b'+', _) if self.0.plus_is_space => (b' ', rest),
            _ => (*first, rest),
        };
        self.0.raw = rest;
        Some(byte)
    }
}

/// Returns the value of a hexadecimal digit; `None` for any other byte.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Percent-encodes a text so that it can be used anywhere in a path, a query, a form or a
/// cookie. Encodes everything except ASCII letters, digits and `-._~` (RFC 3986, section 2.3).
///
/// ```
/// let location: String = "/find?q=".chars().chain(handler_sdk::percent_encoded("a&b ü")).collect();
/// assert_eq!(location, "/find?q=a%26b%20%C3%BC");
/// ```
pub fn percent_encoded(text: &str) -> impl Iterator<Item = char> + Clone {
    text.bytes().flat_map(|byte| {
        let escape = escape(byte);
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let piece = if plain { [byte, 0, 0] } else { escape };
        piece.into_iter().take(if plain { 1 } else { 3 }).map(char::from)
    })
}

/// Returns the escape of one byte: `%` and two hexadecimal digits.
pub(crate) const fn escape(byte: u8) -> [u8; 3] {
    const fn digit(value: u8) -> u8 {
        if value < 10 { b'0' + value } else { b'A' + value - 10 }
    }
    [b'%', digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::Encoded;
    use std::prelude::rust_2024::*;

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (raw, meant) in [
            ("", ""),
            ("%", "%"),
            ("%4", "%4"),
            ("%41", "A"),
            ("%4g", "%4g"),
            ("%%41", "%A"),
            ("%2541", "%41"),
            ("%c3%BC", "ü"),
            ("a%00b", "a\0b"),
        ] {
            assert!(Encoded::percent(raw.as_bytes()).is(meant), "{raw}");
            assert_eq!(Encoded::percent(raw.as_bytes()).decode_into(&mut [0; 16]), Some(meant));
        }
        assert!(Encoded::percent(b"a+b").is("a+b") && Encoded::form(b"a+b%2B").is("a b+"));
    }

    #[test]
    fn what_is_no_text_or_too_long_is_none() {
        assert_eq!(Encoded::percent(b"%ff").decode_into(&mut [0; 16]), None);
        assert_eq!(Encoded::percent(b"%41bc").decode_into(&mut [0; 2]), None);
        assert_eq!(Encoded::percent(b"%41bc").decode_into(&mut [0; 3]), Some("Abc"));
        assert_eq!(Encoded::percent(b"%31%32").parse(), Some(12u8));
        assert_eq!(Encoded::percent(b"256").parse::<u8>(), None);
        assert_eq!(Encoded::percent(&[b'0'; 129]).parse::<u8>(), None);
    }

    #[test]
    #[cfg(feature = "alloc")]
    fn text_is_copied_only_where_it_has_to_be() {
        use alloc::borrow::Cow;
        assert!(matches!(Encoded::form(b"a%zz").to_text(), Some(Cow::Borrowed("a%zz"))));
        assert!(matches!(Encoded::form(b"a+b").to_text(), Some(Cow::Owned(text)) if text == "a b"));
        assert_eq!(Encoded::form(b"%ff").to_text(), None);
        assert_eq!(Encoded::form(b"\xff").to_text(), None);
    }
}
