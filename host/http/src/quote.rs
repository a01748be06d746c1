//! Escapes and cuts text from modules and clients for one line of output. The text can then neither
//! begin a new line, nor control a terminal, nor look like another log field, nor fill a disk.

use std::fmt::{self, Write};

/// Length of the longest escape of a character, `\u{10ffff}`, in bytes.
const ESCAPED_MAX: usize = 10;

/// Displays at most `max` bytes of a text, followed by `…` if the text is longer. Escapes control
/// characters and characters that change the direction of text, in the notation of Rust: `\n`,
/// `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a> {
    text: &'a str,
    max: usize,
}

/// Returns a value that displays at most `max` bytes of a text, counted after escaping. Appends
/// `…`, which is not counted, if it cuts the text.
pub fn quoted(text: &str, max: usize) -> Quoted<'_> {
    Quoted { text, max }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = prefix(self.text, self.max, |character| match is_printable(character) {
            true => character.len_utf8(),
            false => character.escape_default().len(),
        });
        Shown(&mut *f).write_str(shown)?;
        f.write_str(if shown.len() == self.text.len() { "" } else { "…" })
    }
}

/// Writer that escapes text before writing it to the inner writer.
#[derive(Debug)]
pub struct Shown<W>(pub W);

impl<W: Write> Write for Shown<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Fast path: nearly every text is printable ASCII.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|character| match is_printable(character) {
            true => self.0.write_char(character),
            false => write!(self.0, "{}", character.escape_default()),
        })
    }
}

/// Cuts a text so that it takes at most `max` bytes of a log line after escaping, whether the log
/// is in text or JSON. Appends `…`, which is not counted, if it cuts the text.
pub fn cut_for_log(mut text: String, max: usize) -> String {
    let length = prefix(&text, max, |character| match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        _ if is_printable(character) => character.len_utf8(),
        // JSON escapes such a character in six bytes.
        _ => character.escape_default().len().max(6),
    })
    .len();
    if length < text.len() {
        text.truncate(length);
        text.push('…');
    }
    text
}

/// Puts the end of `line`, from byte `start` on, into quotation marks if a reader could
/// misunderstand it: if it is empty, or contains quotation marks, `=`, backslashes or non-printing
/// characters or, unless `spaces` is set, spaces or characters beyond ASCII. Escapes quotation
/// marks, backslashes and non-printing characters in the quoted text.
pub fn quote_from(line: &mut String, start: usize, spaces: bool) {
    let (_, value) = line.split_at(start);
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'=' | b'\\');
    if !value.is_empty() && value.bytes().all(|byte| is_plain(byte) || (spaces && byte == b' ')) {
        return;
    }
    let value = value.to_owned();
    let shows = |character| is_printable(character) && !matches!(character, '"' | '=' | '\\');
    if spaces && !value.is_empty() && value.chars().all(shows) {
        return;
    }
    line.truncate(start);
    push_quoted(line, &value);
}

/// Appends `text` to `line`, escaped and in quotation marks.
pub fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match is_printable(character) && !matches!(character, '"' | '\\') {
            true => line.push(character),
            false => line.extend(character.escape_default()),
        }
    }
    line.push('"');
}

/// Escapes, in a line of JSON, the non-printing characters that JSON allows unescaped in strings.
/// Returns `None` if the line is printable ASCII and needs no escapes.
pub fn shown_in_json(line: &str) -> Option<String> {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return None;
    }
    let mut shown = String::with_capacity(line.len() + line.len() / 4);
    for character in line.chars() {
        match is_printable(character) || character == '\n' {
            true => shown.push(character),
            false => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
        }
    }
    Some(shown)
}

/// Returns the longest prefix of `text` that takes at most `max` bytes, where `length` returns how
/// many bytes a character takes.
fn prefix(text: &str, max: usize, length: impl Fn(char) -> usize) -> &str {
    if text.len() <= max / ESCAPED_MAX {
        return text;
    }
    let mut left = max;
    for (index, character) in text.char_indices() {
        match left.checked_sub(length(character)) {
            Some(rest) => left = rest,
            None => return text.split_at(index).0,
        }
    }
    text
}

fn is_printable(character: char) -> bool {
    // Separators that some programs treat as line ends, and marks that change the
    // direction of text.
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns && character != '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::{cut_for_log, push_quoted, quote_from, quoted, shown_in_json};

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

    #[test]
    fn what_is_escaped_is_counted_as_it_is_shown() {
        assert_eq!(quoted("\x1b\x1b\x1b", 18).to_string(), r"\u{1b}\u{1b}\u{1b}");
        assert_eq!(quoted("\x1b\x1b\x1b", 17).to_string(), r"\u{1b}\u{1b}…");
        for text in ["\x01", "\u{9b}", "\u{202e}", "\"", "\\", "\u{fffd}", "\n", "ü"] {
            let cut = cut_for_log(text.repeat(2000), 1000);
            let mut line = String::new();
            push_quoted(&mut line, &cut);
            let json = serde_json::to_string(&cut).unwrap();
            let json = shown_in_json(&json).unwrap_or(json);
            for shown in [line, json] {
                assert!((700..=1005).contains(&shown.len()), "{} of {text:?}", shown.len());
            }
        }
    }

    #[test]
    fn a_value_is_quoted_where_it_could_be_read_in_two_ways() {
        let field = |value: &str, spaces| {
            let mut line = format!("a={value}");
            quote_from(&mut line, 2, spaces);
            line.split_off(2)
        };
        for value in ["x", "/a?b", "1f-2-3", "-", "10.5"] {
            assert_eq!(field(value, false), value);
        }
        for (value, shown) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("/a?b=c", r#""/a?b=c""#),
            (r#"a" b=""#, r#""a\" b=\"""#),
            (r"a\", r#""a\\""#),
            ("ü", r#""ü""#),
            ("a\nb", r#""a\nb""#),
        ] {
            assert_eq!(field(value, false), shown);
        }
        for message in ["it is so, über (all) `that`: 1; 2", "x"] {
            assert_eq!(field(message, true), message);
        }
        for (message, shown) in
            [("x status=200", r#""x status=200""#), ("a\\n", r#""a\\n""#), ("a\n", r#""a\n""#)]
        {
            assert_eq!(field(message, true), shown);
        }
    }

    #[test]
    fn json_steers_no_terminal_and_keeps_its_values() {
        let text = "ü\u{9b}\u{202e}\u{7f}";
        let shown = shown_in_json(&serde_json::to_string(text).unwrap()).unwrap();
        assert_eq!(shown, r#""ü\u009b\u202e\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        assert_eq!(shown_in_json("{\"a\":1}\n"), None);
    }
}
