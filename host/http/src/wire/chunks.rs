//! Checks a chunked body as it arrives, and finds its end (RFC 9112, section 7.1).

use crate::wire::bytes::{field, is_text, line};
use crate::wire::rules::{BadMessage, malformed};

/// Most bytes of all extensions and trailers of a body together: as many as a head
/// may have by default. The host uses neither.
pub const EXTRA_MAX: usize = 16 << 10;

/// Most hexadecimal digits of a chunk's size: as many as 64 bits have.
pub const DIGITS_MAX: u32 = 16;

const SIZE: &str = "a chunk's size is not 1 to 16 hexadecimal digits";
const DATA: &str = "a chunk is not as long as it says";

/// A body as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    size: u64,
    digits: u32,
    /// Length of the data of all chunks so far, in bytes; never past the limit.
    data: u64,
    /// Extensions and trailers so far, in bytes.
    extra: usize,
}

/// Part of a body to which the next byte belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// White space, which only an extension may follow.
    Space,
    Extension,
    SizeLf,
    /// Data of a chunk, of which `size` bytes are still to come.
    Data,
    DataCr,
    DataLf,
    /// Trailers, and the empty line that ends the body.
    Trailers,
    Over,
}

impl Chunks {
    /// Returns whether the whole body has passed.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// Returns how many of these bytes may pass. A line of the trailers passes when
    /// it is complete. The bytes before a wrong one pass first; the next call, which
    /// begins with the wrong byte, returns the error.
    pub(super) fn read(&mut self, bytes: &[u8], body_max: u64) -> Result<usize, BadMessage> {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            match self.step(rest, body_max) {
                Ok(0) => break,
                Ok(more) => passed += more,
                Err(_) if passed > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(passed)
    }

    /// Reads one byte, or data, or one line of the trailers. An error does not change
    /// the place, so the next call finds it again.
    fn step(&mut self, rest: &[u8], body_max: u64) -> Result<usize, BadMessage> {
        let Some(&byte) = rest.first() else {
            return Ok(0);
        };
        let next = match (self.place, byte) {
            (Place::Size, _) if byte.is_ascii_hexdigit() => {
                if self.digits == DIGITS_MAX {
                    return Err(malformed("7.1", SIZE));
                }
                self.digits += 1;
                self.size = self.size << 4 | u64::from((byte as char).to_digit(16).unwrap_or_default());
                Place::Size
            }
            (Place::Size, _) if self.digits == 0 => return Err(malformed("7.1", SIZE)),
            (Place::Size | Place::Space, b';') => Place::Extension,
            (Place::Size | Place::Space, b' ' | b'\t') => Place::Space,
            (Place::Size | Place::Extension, b'\r') => Place::SizeLf,
            (Place::Extension, _) if is_text(byte) => Place::Extension,
            (Place::Size | Place::Space, _) => return Err(malformed("7.1", SIZE)),
            (Place::Extension, _) => return Err(malformed("7.1.1", "a chunk's extension has control bytes")),
            (Place::SizeLf, b'\n') if self.size == 0 => Place::Trailers,
            (Place::SizeLf, b'\n') => {
                // Refused at once, before the data of the chunk arrives.
                if self.size > body_max - self.data {
                    return Err(BadMessage::BodyTooLong { limit: body_max });
                }
                self.data += self.size;
                Place::Data
            }
            (Place::Data, _) => {
                let data = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                self.size -= data as u64;
                if self.size == 0 {
                    self.place = Place::DataCr;
                }
                return Ok(data);
            }
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataCr, _) => return Err(malformed("7.1", DATA)),
            (Place::DataLf, b'\n') => {
                self.digits = 0;
                Place::Size
            }
            (Place::SizeLf | Place::DataLf, _) => {
                return Err(malformed("2.2", "a CR stands alone; expected LF behind it"));
            }
            (Place::Trailers, _) => return self.trailer(rest),
            (Place::Over, _) => return Ok(0),
        };
        if matches!(next, Place::Space | Place::Extension) {
            self.take_extra(1)?;
        }
        self.place = next;
        Ok(1)
    }

    /// Reads one line of the trailers. Returns its length, or 0 if it is not complete.
    fn trailer(&mut self, rest: &[u8]) -> Result<usize, BadMessage> {
        let Some(line) = line(rest)? else {
            return if self.extra + rest.len() > EXTRA_MAX { Err(too_much()) } else { Ok(0) };
        };
        if line.is_empty() {
            self.place = Place::Over;
        } else {
            field(line)?;
            self.take_extra(line.len() + 2)?;
        }
        Ok(line.len() + 2)
    }

    fn take_extra(&mut self, bytes: usize) -> Result<(), BadMessage> {
        self.extra += bytes;
        if self.extra > EXTRA_MAX { Err(too_much()) } else { Ok(()) }
    }
}

fn too_much() -> BadMessage {
    malformed("7.1.1", "extensions and trailers of its chunks are longer than 16 KiB together")
}
