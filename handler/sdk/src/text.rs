//! Text buffer of fixed size.

use core::fmt;
use core::str;

/// Text in a buffer of fixed size. A write that does not fit is cut off at the end of the buffer
/// and returns an error.
pub(crate) struct Text<'r> {
    room: &'r mut [u8],
    length: usize,
}

impl<'r> Text<'r> {
    pub(crate) const fn new(room: &'r mut [u8]) -> Self {
        Text { room, length: 0 }
    }

    /// Returns the length of the text in bytes.
    #[cfg(target_arch = "wasm32")]
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// Returns the text up to the last complete character.
    pub(crate) fn into_str(self) -> &'r str {
        let taken = self.room.get(..self.length).unwrap_or_default();
        let whole = str::from_utf8(taken).map_or_else(|cut| cut.valid_up_to(), str::len);
        taken.get(..whole).and_then(|taken| str::from_utf8(taken).ok()).unwrap_or_default()
    }

    /// Writes a number in decimal digits, without the large formatter of the core library.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn write_number(&mut self, number: u32) -> fmt::Result {
        if number >= 10 {
            self.write_number(number / 10)?;
        }
        self.write_byte(b'0' + (number % 10) as u8)
    }

    fn write_byte(&mut self, byte: u8) -> fmt::Result {
        *self.room.get_mut(self.length).ok_or(fmt::Error)? = byte;
        self.length += 1;
        Ok(())
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.write_byte(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use core::fmt::Write as _;

    #[test]
    fn what_does_not_fit_is_cut_off_between_two_characters() {
        let mut room = [0; 6];
        let mut text = Text::new(&mut room);
        assert!(write!(text, "ab{}", 1).is_ok());
        assert!(write!(text, "üü").is_err());
        assert_eq!(text.into_str(), "ab1ü");
    }
}
