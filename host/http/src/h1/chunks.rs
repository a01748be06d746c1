//! Finds the data in a chunked body as it arrives, and the end of the body (RFC 9112,
//! section 7.1).

use crate::h1::grammar::{field, is_text, is_token_byte, line};
use crate::h1::refusal::{BadMessage, MessageLimits, malformed};

/// Maximum total length of the chunk extensions and trailers of a body, in bytes: the same as the
/// default limit of a head (`--head-max`). The host ignores extensions and trailers.
pub const EXTRA_MAX: usize = 16 << 10;

/// Maximum number of hexadecimal digits in the size of a chunk: enough for 64 bits.
pub const DIGITS_MAX: u32 = 16;

const SIZE: &str = "a chunk's size is not 1 to 16 hexadecimal digits";
const DATA: &str = "a chunk is not as long as it says";
const EXTENSION: &str = "a chunk's extension is malformed; expected ;name or ;name=value";
const TOO_MUCH: &str = "extensions and trailers of its chunks are longer than 16 KiB together";

/// Decoder of a chunked body. Holds the state after the bytes that it has read.
#[derive(Debug, Default)]
pub struct Chunks {
    place: Place,
    size: u64,
    digits: u32,
    /// Sum of the sizes of all chunks that have begun, in bytes; at most `body_max`.
    data: u64,
    /// Total length of the chunk extensions and trailers that were read, in bytes.
    extra: usize,
    /// Number of trailers that were read.
    trailers: usize,
}

/// What the bytes that were passed to [`Chunks::next`] begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// This many bytes of the content of the body.
    Data(usize),
    /// This many bytes of framing: sizes of chunks, extensions, line ends and trailers.
    Framing(usize),
    /// A part that is incomplete. The caller must pass it again with more bytes.
    Incomplete,
    /// The end of the body: the bytes belong to the next message.
    End,
}

/// Part of a chunked body to which the next byte belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// White space after a size or an extension. Only another extension may follow.
    Space,
    /// White space before the name of an extension.
    NameBegins,
    Name,
    /// White space after a name. An equals sign or another extension may follow.
    NameEnded,
    /// White space before a value.
    ValueBegins,
    Value,
    Quoted,
    /// The byte after a backslash in a quoted string.
    Escaped,
    /// The byte after a quoted string.
    QuoteEnded,
    SizeLf,
    /// Data of a chunk, of which `Chunks::size` bytes have not been read yet.
    Data,
    DataCr,
    DataLf,
    /// Trailers, and the empty line that ends the body.
    Trailers,
    Over,
}

impl Chunks {
    /// Returns what `bytes` begin with. `bytes` are the unread part of the body, as far as it has
    /// arrived. In the next call, the caller passes the bytes after the returned part.
    ///
    /// # Errors
    ///
    /// [`BadMessage`] names the rule of the framing or the limit that the bytes violate.
    pub fn next(&mut self, bytes: &[u8], limits: &MessageLimits) -> Result<Part, BadMessage> {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..) {
            let Some(&byte) = rest.first() else { break };
            match self.place {
                Place::Over => break,
                Place::Data if passed == 0 => {
                    let data = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                    self.size -= data as u64;
                    if self.size == 0 {
                        self.place = Place::DataCr;
                    }
                    return Ok(Part::Data(data));
                }
                Place::Data => break,
                Place::Trailers => match self.trailer(rest, limits)? {
                    0 => break,
                    read => passed += read,
                },
                _ => {
                    self.step(byte, limits)?;
                    passed += 1;
                }
            }
        }
        Ok(match passed {
            0 if self.place == Place::Over => Part::End,
            0 => Part::Incomplete,
            passed => Part::Framing(passed),
        })
    }

    /// Reads one byte of the framing.
    fn step(&mut self, byte: u8, limits: &MessageLimits) -> Result<(), BadMessage> {
        use Place as P;
        let is_space = matches!(byte, b' ' | b'\t');
        let next = match (self.place, byte) {
            (P::Size, _) if byte.is_ascii_hexdigit() => {
                if self.digits == DIGITS_MAX {
                    return Err(malformed("7.1", SIZE));
                }
                self.digits += 1;
                self.size = self.size << 4 | u64::from((byte as char).to_digit(16).unwrap_or_default());
                P::Size
            }
            (P::Size, _) if self.digits == 0 => return Err(malformed("7.1", SIZE)),
            (P::Size | P::Space | P::Name | P::NameEnded | P::Value | P::QuoteEnded, b';') => P::NameBegins,
            (P::Size | P::Name | P::Value | P::QuoteEnded, b'\r') => P::SizeLf,
            (P::Size | P::Space | P::Value | P::QuoteEnded, _) if is_space => P::Space,
            (P::Size | P::Space, _) => return Err(malformed("7.1", SIZE)),
            (P::NameBegins, _) if is_space => P::NameBegins,
            (P::NameBegins | P::Name, _) if is_token_byte(byte) => P::Name,
            (P::Name | P::NameEnded, b'=') => P::ValueBegins,
            (P::Name | P::NameEnded, _) if is_space => P::NameEnded,
            (P::ValueBegins, _) if is_space => P::ValueBegins,
            (P::ValueBegins, b'"') => P::Quoted,
            (P::ValueBegins | P::Value, _) if is_token_byte(byte) => P::Value,
            (P::Quoted, b'"') => P::QuoteEnded,
            (P::Quoted, b'\\') => P::Escaped,
            (P::Quoted | P::Escaped, _) if is_text(byte) => P::Quoted,
            (P::SizeLf, b'\n') if self.size == 0 => P::Trailers,
            (P::SizeLf, b'\n') => {
                // Refused at once, before the data of the chunk arrives.
                if self.size > limits.body_max - self.data {
                    return Err(BadMessage::BodyTooLong { limit: limits.body_max });
                }
                self.data += self.size;
                P::Data
            }
            (P::DataCr, b'\r') => P::DataLf,
            (P::DataCr, _) => return Err(malformed("7.1", DATA)),
            (P::DataLf, b'\n') => {
                (self.digits, self.size) = (0, 0);
                P::Size
            }
            (P::SizeLf | P::DataLf, _) => {
                return Err(malformed("2.2", "a CR stands alone; expected LF behind it"));
            }
            _ => return Err(malformed("7.1.1", EXTENSION)),
        };
        if !matches!(next, P::Size | P::SizeLf | P::Data | P::DataLf | P::Trailers) {
            self.take_extra(1)?;
        }
        self.place = next;
        Ok(())
    }

    /// Reads one line of the trailers from the start of `rest`. Returns the length of the line with
    /// its CR LF, in bytes, or 0 if the line is incomplete.
    fn trailer(&mut self, rest: &[u8], limits: &MessageLimits) -> Result<usize, BadMessage> {
        let Some(line) = line(rest)? else {
            let is_too_long = self.extra + rest.len() > EXTRA_MAX;
            return if is_too_long { Err(malformed("7.1.1", TOO_MUCH)) } else { Ok(0) };
        };
        if line.is_empty() {
            self.place = Place::Over;
        } else {
            field(line)?;
            self.take_extra(line.len() + 2)?;
            self.trailers += 1;
            if self.trailers > limits.fields_max {
                return Err(BadMessage::TooManyFields { limit: limits.fields_max });
            }
        }
        Ok(line.len() + 2)
    }

    fn take_extra(&mut self, bytes: usize) -> Result<(), BadMessage> {
        self.extra += bytes;
        if self.extra > EXTRA_MAX { Err(malformed("7.1.1", TOO_MUCH)) } else { Ok(()) }
    }
}
