//! Checks a request's head line by line as it arrives, and finds how the body behind
//! it is framed (RFC 9112, sections 2 to 6).

use http::Uri;

use crate::hop_by_hop::OPTIONS_MAX;
use crate::wire::bytes::{field, is_path_and_query, is_token, line};
use crate::wire::rules::{BadMessage, Framing, MessageLimits, malformed};

/// Length of what follows the target: the version and the end of the line.
const AFTER_TARGET: usize = " HTTP/1.1\r\n".len();

/// First byte of a TLS connection: the type of a handshake record (RFC 8446,
/// section 5.1). No method begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// A head as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Length of the lines read so far, in bytes.
    read: usize,
    /// Version in the request line, once that is read.
    version: Option<Version>,
    fields: usize,
    /// Number of options in all `connection` fields, empty ones included.
    options: usize,
    /// Value of `content-length`, if given.
    length: Option<u64>,
    /// Whether there is the field `transfer-encoding`.
    chunked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

impl Head {
    /// Continues with the head at the start of these bytes, whose first part earlier
    /// calls have read. Returns its length and the framing of its body once it is
    /// complete.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: &MessageLimits,
    ) -> Result<Option<(usize, Framing)>, BadMessage> {
        let too_long = BadMessage::HeadTooLong { limit: limits.head_max };
        if self.read == 0 && bytes.first() == Some(&TLS_HANDSHAKE) {
            return Err(BadMessage::Tls);
        }
        loop {
            let rest = bytes.get(self.read..).unwrap_or_default();
            let Some(line) = line(rest)? else {
                self.check_unfinished(rest, limits)?;
                return if bytes.len() > limits.head_max { Err(too_long) } else { Ok(None) };
            };
            self.read += line.len() + 2;
            match self.version {
                // Section 2.2: older clients send an empty line after a body.
                None if line.is_empty() => {}
                None => self.version = Some(request_line(line, limits)?),
                Some(_) if self.read > limits.head_max => return Err(too_long),
                Some(version) if line.is_empty() => return Ok(Some((self.read, self.framing(version)?))),
                Some(_) => self.field(line, limits)?,
            }
            if self.read > limits.head_max {
                return Err(too_long);
            }
        }
    }

    /// Checks an incomplete line. An incomplete request line that cannot become a
    /// valid one is refused at once.
    fn check_unfinished(&self, line: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
        if self.version.is_some() {
            return Ok(());
        }
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(malformed("3", "it begins with white space; expected a method"));
        }
        let method = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        if line.len() - method > 1 + limits.target_max + AFTER_TARGET {
            return Err(BadMessage::TargetTooLong { limit: limits.target_max });
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8], limits: &MessageLimits) -> Result<(), BadMessage> {
        let (name, value) = field(line)?;
        self.fields += 1;
        if self.fields > limits.fields_max {
            return Err(BadMessage::TooManyFields { limit: limits.fields_max });
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(malformed("6.3", "content-length stands there twice"));
            }
            let length = length(value)?;
            // `--body-max` is checked later, when the body is read. Lengths from 2^63 on are
            // refused here: programs that keep lengths in signed numbers see negative ones.
            if length > i64::MAX as u64 {
                return Err(BadMessage::BodyTooLong { limit: limits.body_max });
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked {
                return Err(malformed("6.1", "transfer-encoding stands there twice"));
            }
            coding(value)?;
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            // Checked before hyper sees the head, because hyper reads each option.
            self.options += 1 + memchr::memchr_iter(b',', value).count();
            if self.options > OPTIONS_MAX {
                return Err(BadMessage::TooManyOptions { limit: OPTIONS_MAX });
            }
        }
        Ok(())
    }

    /// Returns how the body of the request is framed (section 6.3).
    fn framing(&self, version: Version) -> Result<Framing, BadMessage> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(malformed("6.1", "it has both transfer-encoding and content-length")),
            (true, None) if version == Version::Http10 => {
                Err(malformed("6.1", "it has transfer-encoding, which HTTP/1.0 does not know"))
            }
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::None),
        }
    }
}

/// Checks `method SP request-target SP HTTP-version` (section 3).
fn request_line(line: &[u8], limits: &MessageLimits) -> Result<Version, BadMessage> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !is_token(method) {
        return Err(malformed("3.1", "it does not begin with a method"));
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
            return Err(BadMessage::Version);
        }
        Some(_) => return Err(malformed("2.3", "its version is malformed; expected HTTP/1.1")),
    };
    // Last, because another version may have other targets.
    check_target(target)?;
    Ok(version)
}

/// Checks the characters of a target (section 3.2). `Target::new` checks its form.
fn check_target(target: &[u8]) -> Result<(), BadMessage> {
    let malformed = |what| Err(malformed("3.2", what));
    match target.first() {
        None => malformed("its target is empty"),
        Some(b'/') if is_path_and_query(target) => Ok(()),
        _ if target.contains(&b'#') => malformed("its target has a fragment, which is the client's own"),
        // Any other form than a path is rare, so it may be parsed twice, here and by
        // hyper.
        Some(byte) if *byte != b'/' && Uri::try_from(target).is_ok() => Ok(()),
        Some(_) => malformed("its target is no URL, or has characters that no URL may have"),
    }
}

/// Parses `1*DIGIT` (RFC 9110, section 8.6).
fn length(value: &[u8]) -> Result<u64, BadMessage> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.ok_or(malformed("6.2", "its content-length is not one whole number"))
}

/// Checks that a `transfer-encoding` is exactly one `chunked` (section 6.1).
fn coding(value: &[u8]) -> Result<(), BadMessage> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // A coding may have parameters, which are ignored.
    let names = value
        .split(|&byte| byte == b',')
        .map(|coding| coding.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii());
    let mut unknown = false;
    for name in names {
        if !is_token(name) {
            return Err(malformed("6.1", "its transfer-encoding is malformed"));
        }
        unknown |= !name.eq_ignore_ascii_case(b"chunked");
    }
    if unknown {
        Err(BadMessage::Coding)
    } else {
        Err(malformed("6.1", "its body is chunked more than once, or with parameters"))
    }
}
