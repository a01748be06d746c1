//! Entity tags (RFC 9110, section 8.8.3).

use crate::export::leak;
use crate::message::Message;

/// An entity tag: the name of one state of a resource.
///
/// A strong tag changes with every change of the body. A weak tag may stay the same if the change
/// does not matter to clients. Ranges and `If-Match` need strong tags.
///
/// ```
/// # use handler_sdk::ETag;
/// const VERSION: ETag<'_> = ETag::strong("v7");
/// assert!(VERSION.is_same_weakly(ETag::weak("v7")) && !VERSION.is_same_strongly(ETag::weak("v7")));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ETag<'a> {
    is_weak: bool,
    opaque: &'a [u8],
}

impl<'a> ETag<'a> {
    /// Creates a strong tag from its text without quotes.
    ///
    /// # Panics
    ///
    /// When the text has a quote, a space or a control byte; in a `const`, a compile
    /// error.
    #[track_caller]
    pub const fn strong(text: &'a str) -> Self {
        assert!(is_opaque(text.as_bytes()), "an entity tag has no quotes, spaces and control bytes");
        ETag { is_weak: false, opaque: text.as_bytes() }
    }

    /// Creates a weak tag from its text without quotes and without `W/`.
    ///
    /// # Panics
    ///
    /// Under the same conditions as [`ETag::strong`].
    #[track_caller]
    pub const fn weak(text: &'a str) -> Self {
        ETag { is_weak: true, ..ETag::strong(text) }
    }

    /// Creates a strong tag from the first half of the content's SHA-256.
    #[cfg(feature = "crypto")]
    pub fn of_content(content: &[u8]) -> ETag<'static> {
        use sha2::Digest;
        let hash = sha2::Sha256::digest(content);
        let opaque = leak(32);
        crate::crypto::write_hex(hash.get(..16).unwrap_or_default(), opaque);
        ETag { is_weak: false, opaque }
    }

    /// Returns whether both tags are strong and equal.
    pub fn is_same_strongly(self, other: ETag<'_>) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Returns whether the tags are equal, weak or not.
    pub fn is_same_weakly(self, other: ETag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Returns the tag as the value of the field `etag`, in leaked memory.
    pub(super) fn field_value(self) -> &'static [u8] {
        let room = leak(self.opaque.len() + if self.is_weak { 4 } else { 2 });
        let mut text = Message::new(room);
        text.put(if self.is_weak { b"W/\"" } else { b"\"" });
        text.put(self.opaque);
        text.put(b"\"");
        room
    }

    /// Parses a tag at the start of a text. Returns the tag and the rest of the text.
    pub(super) fn parse(text: &'a [u8]) -> Option<(ETag<'a>, &'a [u8])> {
        let (is_weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let (opaque, rest) = crate::bytes::split_once(quoted.strip_prefix(b"\"")?, b'"')?;
        is_opaque(opaque).then_some((ETag { is_weak, opaque }, rest))
    }
}

/// Iterator over a list of tags, separated by commas. Ends at the first piece that is not a tag.
pub(super) struct ETags<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for ETags<'a> {
    type Item = ETag<'a>;

    fn next(&mut self) -> Option<ETag<'a>> {
        // Empty elements are allowed (section 5.6.1.2).
        let start = self.0.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        let (tag, rest) = ETag::parse(self.0.get(start..)?)?;
        let rest = rest.trim_ascii_start();
        // Anything but a comma between two tags ends the list.
        self.0 = if rest.starts_with(b",") { rest } else { &[] };
        (rest.is_empty() || rest.starts_with(b",")).then_some(tag)
    }
}

/// Returns whether all bytes are allowed between the quotes of a tag.
const fn is_opaque(mut bytes: &[u8]) -> bool {
    while let [byte, rest @ ..] = bytes {
        if *byte <= b' ' || *byte == b'"' || *byte == 0x7f {
            return false;
        }
        bytes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::prelude::rust_2024::*;
    use std::string::String;

    use super::{ETag, ETags};

    #[test]
    fn a_list_of_tags_is_read_up_to_what_is_none() {
        for (list, expected) in [
            ("\"a\"", "a"),
            ("\"a\", W/\"b\"", "a wb"),
            (" ,, \"a\" ,\t\"b,c\",", "a b,c"),
            ("\"\"", ""),
            ("\"a\" \"b\"", ""),
            ("\"a\", b, \"c\"", "a"),
            ("w/\"a\"", ""),
            ("\"a", ""),
            ("\"a b\"", ""),
            ("\"\u{e4}\"", "\u{e4}"),
            ("*", ""),
            ("", ""),
        ] {
            let show = |tag: ETag<'_>| {
                let text = String::from_utf8_lossy(tag.opaque);
                if tag.is_weak { std::format!("w{text}") } else { text.into_owned() }
            };
            let found: Vec<String> = ETags(list.as_bytes()).map(show).collect();
            assert_eq!(found.join(" "), expected, "{list}");
        }
    }
}
