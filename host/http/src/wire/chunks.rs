//! A chunked body as it comes: is it one, and where does it end? (RFC 9112,
//! section 7.1)

use crate::wire::bytes::{field, is_text, line};
use crate::wire::rules::{BadMessage, malformed};

/// The most that extensions and trailers may take up, in bytes: as much as a
/// head by default. Nobody reads them here.
pub const EXTRA_MAX: usize = 16 << 10;

/// As many hexadecimal digits as 64 bits have.
pub const DIGITS_MAX: u32 = 16;

const SIZE: &str = "a chunk's size is not 1 to 16 hexadecimal digits";
const DATA: &str = "a chunk is not as long as it says";

/// How far a body has been read.
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

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// White space that is only right in front of an extension.
    Space,
    Extension,
    SizeLf,
    /// As many bytes as `size` says.
    Data,
    DataCr,
    DataLf,
    /// Lines as in a head, of which the empty one is the last.
    Trailers,
    Over,
}

impl Chunks {
    /// Whether the last byte has passed.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::Over
    }

    /// How many of these bytes belong to the body. A trailer passes when it is
    /// whole. At the first byte that is wrong, those before it have passed
    /// already, or pass now; the next call tells what is wrong.
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

    /// Reads one byte, or data, or one trailer. Nothing changes on an error.
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
                // Not waited for: whoever counts what has come would be late.
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

    /// One line of the trailers, if it is whole.
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
