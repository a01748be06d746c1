//! Escapes and cuts texts of responses, so that reports can show them.

use std::borrow::Cow;
use std::str;

use host_http::quote::quoted;

/// Maximum number of bytes of a text that are shown, counted after escaping and without the `…` of
/// a cut.
pub(super) const SHOWN_MAX: usize = 200;

/// Maximum number of bytes that are shown before the first difference, counted after escaping. If
/// there are more, the start of the text is cut.
const LEAD_MAX: usize = 140;

/// Number of bytes that are shown before the first difference when the start of the text is cut.
const LEAD: usize = 40;

/// Returns the start of a text: escaped, and at most [`SHOWN_MAX`] bytes.
pub(super) fn start(text: &str) -> String {
    quoted(text, SHOWN_MAX).to_string()
}

/// Returns the part of a text around `offset`, at which it differs from another text. The part is
/// escaped, and `…` marks each cut.
pub(super) fn around(text: &str, offset: usize) -> String {
    let offset = text.floor_char_boundary(offset);
    let from = |start: usize| text.get(start..).unwrap_or_default();
    if fits(text.get(..offset).unwrap_or_default(), LEAD_MAX) {
        return start(text);
    }
    let near = text.floor_char_boundary(offset.saturating_sub(LEAD));
    let is_short = fits(text.get(near..offset).unwrap_or_default(), LEAD_MAX);
    format!("…{}", start(from(if is_short { near } else { offset })))
}

/// Returns whether a text has at most `max` bytes after escaping.
fn fits(text: &str, max: usize) -> bool {
    // Escaping shortens no text.
    text.len() <= max && quoted(text, usize::MAX).to_string().len() <= max
}

/// Returns the length of the common prefix, in bytes.
pub(super) fn common_prefix(from: &[u8], to: &[u8]) -> usize {
    from.iter().zip(to).take_while(|(from, to)| from == to).count()
}

/// Returns bytes as text. Escapes bytes that are not UTF-8 in such a way that different bytes have
/// different texts.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| bytes.escape_ascii().to_string().into(), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_MAX, around, start, text_of};

    #[test]
    fn a_cut_text_shows_the_difference() {
        let long = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let shown = around(&long, 1000);
        assert!(shown.starts_with("…aaaa") && shown.contains("aXb") && shown.ends_with("b…"), "{shown}");
        assert_eq!(around("short", 3), "short");
        assert_eq!(around("short", 99), "short");
        // The text ends where another one goes on.
        assert_eq!(around(&"a".repeat(500), 500), format!("…{}", "a".repeat(40)));
        // Escapes before the difference push it past no end.
        let escapes = format!("{}X", "\u{202e}".repeat(400));
        assert!(around(&escapes, escapes.len() - 1).contains('X'));
        for text in [long.as_str(), &escapes, &"ü".repeat(900)] {
            for offset in 0..text.len() {
                assert!(around(text, offset).len() <= SHOWN_MAX + 2 * '…'.len_utf8());
            }
        }
    }

    #[test]
    fn different_bytes_are_shown_differently() {
        assert_eq!(start(&text_of(b"caf\xe9\n")), r"caf\xe9\n");
        assert_ne!(text_of(b"\xff"), text_of(b"\xfe"));
    }
}
