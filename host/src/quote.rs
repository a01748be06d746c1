//! Text that somebody else chose, made fit for one line of the log: a module's
//! names and messages, a client's target. It can neither begin a line, nor
//! steer a terminal, nor fill a disk.

use std::fmt::{self, Write};

/// Shows a text, at most `max` bytes of it, with whatever does not show as
/// itself escaped as Rust does it: `\n`, `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a> {
    text: &'a str,
    max: usize,
}

/// At most `max` bytes of a text, counted before escaping.
pub fn quoted(text: &str, max: usize) -> Quoted<'_> {
    Quoted { text, max }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, cut) = self.text.split_at(self.text.floor_char_boundary(self.max));
        Shown(&mut *f).write_str(shown)?;
        f.write_str(if cut.is_empty() { "" } else { "…" })
    }
}

/// Writes a text to where it is to be shown, with the same escaped.
#[derive(Debug)]
pub struct Shown<W>(pub W);

impl<W: Write> Write for Shown<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nearly every text is.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| match shows_as_itself(character) {
            true => self.0.write_char(character),
            false => write!(self.0, "{}", character.escape_default()),
        })
    }
}

fn shows_as_itself(character: char) -> bool {
    // Separators that end a line somewhere, and marks that turn the direction
    // of what follows them.
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns && character != '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_would_leave_its_line_is_escaped() {
        let text = "a \"b\" ü\n\r\t\0\x1b[31m\u{85}\u{9b}\u{61c}\u{2028}\u{202e}";
        let shown = r#"a "b" ü\n\r\t\u{0}\u{1b}[31m\u{85}\u{9b}\u{61c}\u{2028}\u{202e}"#;
        assert_eq!(quoted(text, 100).to_string(), shown);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(quoted("aüb", 4).to_string(), "aüb");
        assert_eq!(quoted("aüb", 3).to_string(), "aü…");
        assert_eq!(quoted("aüb", 2).to_string(), "a…");
    }
}
