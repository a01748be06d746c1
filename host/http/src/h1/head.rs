//! Parses the head of a request line by line as it arrives, and determines how the body is framed
//! (RFC 9112, sections 2 to 6).

use std::ops::Range;

use crate::field::{Field, Fields, Name};
use crate::h1::grammar::{field, is_path_and_query, is_text, is_token, line, number};
use crate::h1::refusal::{BadMessage, MessageLimits, malformed};
use crate::hop_by_hop::OPTIONS_MAX;
use crate::request_head::{RequestHead, Version};

/// Maximum length of a method, in bytes. The longest registered method has 17.
pub const METHOD_MAX: usize = 64;

/// Length of the part of a request line after the target, in bytes: a space, the version, and CR
/// LF.
const AFTER_TARGET: usize = " HTTP/1.1\r\n".len();

/// First byte of a TLS connection: the type of a handshake record (RFC 8446,
/// section 5.1). No method begins with it.
pub const TLS_HANDSHAKE: u8 = 0x16;

/// Framing of the body of a request (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// The body has this length in bytes, which `content-length` states.
    Length(u64),
    /// The body is chunked.
    Chunked,
}

/// Parser of the heads of requests, one after another. The memory of one head is reused for the
/// next.
#[derive(Debug, Default)]
pub struct HeadParser {
    /// Total length of the lines that were read, in bytes.
    read: usize,
    /// Parsed request line; [`None`] until the line is complete.
    first: Option<RequestLine>,
    fields: Vec<Field>,
    /// Number of options in all `connection` fields, including empty ones.
    options: usize,
    /// Value of `content-length`, if given.
    length: Option<u64>,
    /// Whether the head has the field `transfer-encoding`.
    chunked: bool,
}

/// Byte ranges of the method and the target in a head, and the version.
#[derive(Clone, Debug)]
struct RequestLine {
    method: Range<usize>,
    target: Range<usize>,
    version: Version,
}

impl HeadParser {
    /// Forgets the current head, so that the next head can be read.
    pub fn reset(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = HeadParser { fields, ..HeadParser::default() };
    }

    /// Continues to parse the head at the start of `bytes`, which must begin with all bytes that
    /// were passed in earlier calls for this head. Returns `None` while the head is incomplete.
    /// Returns the length of the complete head in bytes, and the framing of the body.
    ///
    /// # Errors
    ///
    /// [`BadMessage`] says why the message is refused.
    pub fn read(
        &mut self,
        bytes: &[u8],
        limits: &MessageLimits,
    ) -> Result<Option<(usize, Framing)>, BadMessage> {
        let too_long = BadMessage::HeadTooLong { limit: limits.head_max };
        if self.read == 0 && bytes.first() == Some(&TLS_HANDSHAKE) {
            return Err(BadMessage::Tls);
        }
        // Bytes past the limit are not looked at, so that it makes no difference when they
        // arrive.
        let head = bytes.get(..limits.head_max).unwrap_or(bytes);
        loop {
            let start = self.read;
            let rest = head.get(start..).unwrap_or_default();
            let line = match line(rest) {
                Ok(Some(line)) => line,
                // The line is incomplete, or has an end that no line may have.
                incomplete => {
                    if self.first.is_none() && !rest.is_empty() {
                        check_beginning(rest, limits)?;
                    }
                    incomplete?;
                    return if bytes.len() > limits.head_max { Err(too_long) } else { Ok(None) };
                }
            };
            self.read += line.len() + 2;
            match &self.first {
                // Section 2.2: older clients send an empty line after a body.
                None if line.is_empty() => {}
                None => match request_line(start, line, limits) {
                    Ok(first) => self.first = Some(first),
                    // The reason is the same as if the line had come in pieces.
                    Err(why) => return Err(check_beginning(rest, limits).err().unwrap_or(why)),
                },
                Some(first) if line.is_empty() => {
                    let framing = self.framing(first.version)?;
                    return Ok(Some((self.read, framing)));
                }
                Some(_) => self.field(start, line, limits)?,
            }
        }
    }

    /// Returns whether `bytes` contain the beginning of a request. Empty lines before a request
    /// line do not count.
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        self.first.is_some() || bytes.len() > self.read
    }

    /// Returns the head that [`HeadParser::read`] has parsed. `bytes` must begin with the bytes of
    /// that head.
    pub fn head<'a>(&'a self, bytes: &'a [u8]) -> RequestHead<'a> {
        let (mut method, mut target, mut version) = Default::default();
        if let Some(first) = &self.first {
            let text =
                |range: &Range<usize>| std::str::from_utf8(bytes.get(range.clone()).unwrap_or_default());
            // Both are ASCII, as `request_line` has checked.
            method = text(&first.method).unwrap_or_default();
            target = text(&first.target).unwrap_or_default();
            version = first.version;
        }
        RequestHead { method, target, version, fields: Fields::new(bytes, &self.fields) }
    }

    fn field(&mut self, start: usize, line: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
        let (name, value) = field(line)?;
        if self.fields.len() >= limits.fields_max {
            return Err(BadMessage::TooManyFields { limit: limits.fields_max });
        }
        let known = Name::of(name);
        self.fields.push(Field::at(start, line, name, value, known));
        match known {
            Name::ContentLength => {
                if self.length.is_some() {
                    return Err(malformed("6.3", "content-length stands there twice"));
                }
                self.length = Some(length(value, limits)?);
            }
            Name::TransferEncoding => {
                if self.chunked {
                    return Err(malformed("6.1", "transfer-encoding stands there twice"));
                }
                coding(value)?;
                self.chunked = true;
            }
            Name::Connection => {
                // Each field is looked up among the options later.
                self.options += 1 + memchr::memchr_iter(b',', value).count();
                if self.options > OPTIONS_MAX {
                    return Err(BadMessage::TooManyOptions { limit: OPTIONS_MAX });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns how the body of the request is framed (RFC 9112, section 6.3).
    fn framing(&self, version: Version) -> Result<Framing, BadMessage> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(malformed("6.1", "it has both transfer-encoding and content-length")),
            (true, None) if version == Version::Http10 => {
                Err(malformed("6.1", "it has transfer-encoding, which HTTP/1.0 does not know"))
            }
            (true, None) => Ok(Framing::Chunked),
            (false, Some(0) | None) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// Refuses a request line whose beginning is invalid, even before the end of the line arrives.
fn check_beginning(bytes: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
    let end = bytes.iter().position(|&byte| !is_text(byte)).unwrap_or(bytes.len());
    let line = bytes.get(..end).unwrap_or_default();
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(malformed("3", "it begins with white space; expected a method"));
    }
    let method = memchr::memchr(b' ', line).unwrap_or(line.len());
    if method > METHOD_MAX && is_token(line.get(..METHOD_MAX).unwrap_or_default()) {
        return Err(BadMessage::MethodUnknown { limit: METHOD_MAX });
    }
    if line.len() - method > 1 + limits.target_max + AFTER_TARGET {
        return Err(BadMessage::TargetTooLong { limit: limits.target_max });
    }
    match bytes.get(end..).unwrap_or_default() {
        [] | [b'\r'] | [b'\r', b'\n', ..] => Ok(()),
        [b'\r', ..] => Err(malformed("2.2", "a CR stands alone; expected LF behind it")),
        [b'\n', ..] => Err(malformed("2.2", "a line ends in a bare LF; expected CR LF")),
        _ => Err(malformed("2.2", "there are control bytes in a line")),
    }
}

/// Parses a request line, `method SP request-target SP HTTP-version` (RFC 9112, section 3), that
/// begins at byte `start` of the head.
fn request_line(start: usize, line: &[u8], limits: &MessageLimits) -> Result<RequestLine, BadMessage> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !is_token(method) {
        return Err(malformed("3.1", "it does not begin with a method"));
    }
    if method.len() > METHOD_MAX {
        return Err(BadMessage::MethodUnknown { limit: METHOD_MAX });
    }
    if target.len() > limits.target_max {
        return Err(BadMessage::TargetTooLong { limit: limits.target_max });
    }
    let (version, None) = (parts.next(), parts.next()) else {
        return Err(malformed("3", "its first line has more than a method, a target and a version"));
    };
    let version = match version {
        None => return Err(malformed("3", "its first line has no version")),
        Some(b"HTTP/1.1") => Version::Http11,
        Some(b"HTTP/1.0") => Version::Http10,
        Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor])
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            // A later minor version is processed as the latest one that is known
            // (RFC 9110, section 2.5).
            if *major != b'1' {
                return Err(BadMessage::Version);
            }
            Version::Http11
        }
        Some(_) => return Err(malformed("2.3", "its version is malformed; expected HTTP/1.1")),
    };
    // Last, because another version may have other targets.
    if target.is_empty() {
        return Err(malformed("3.2", "its target is empty"));
    }
    if target.contains(&b'#') {
        return Err(malformed("3.2", "its target has a fragment, which is the client's own"));
    }
    if !is_path_and_query(target) {
        return Err(malformed("3.2", "its target has characters that no URL may have"));
    }
    let method = start..start + method.len();
    let target = method.end + 1..method.end + 1 + target.len();
    Ok(RequestLine { method, target, version })
}

/// Parses the value of `content-length`: `1*DIGIT` (RFC 9110, section 8.6).
fn length(value: &[u8], limits: &MessageLimits) -> Result<u64, BadMessage> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed("6.2", "its content-length is not one whole number"));
    }
    // `--body-max` is checked later, when the body is read.
    number(value).ok_or(BadMessage::BodyTooLong { limit: limits.body_max })
}

/// Checks that the value of `transfer-encoding` is `chunked` and nothing else (RFC 9112, section
/// 6.1).
fn coding(value: &[u8]) -> Result<(), BadMessage> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // A coding may have parameters, which are ignored.
    let names = value
        .split(|&byte| byte == b',')
        .map(|coding| coding.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii());
    let (mut chunked, mut last_is_chunked) = (0, false);
    for name in names {
        if !is_token(name) {
            return Err(malformed("6.1", "its transfer-encoding is malformed"));
        }
        last_is_chunked = name.eq_ignore_ascii_case(b"chunked");
        chunked += usize::from(last_is_chunked);
    }
    match chunked {
        0 => Err(BadMessage::Coding),
        1 if last_is_chunked && value.contains(&b',') => Err(BadMessage::Coding),
        1 if last_is_chunked => Err(malformed("6.1", "its body is chunked with parameters")),
        1 => Err(malformed("6.3", "its transfer-encoding does not end in chunked, so its end is unknown")),
        _ => Err(malformed("6.1", "its body is chunked more than once")),
    }
}
