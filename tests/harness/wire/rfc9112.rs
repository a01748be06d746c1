//! Reads bytes by RFC 9112: the requests that they hold, and how they end. Every
//! doubt is a refusal. Slow, plain, and written from the RFC alone, so that it
//! shares no code with the server.

use super::framing::{Framing, chunked, framing};

/// A request as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// 0 or 1, the digit behind `HTTP/1.`.
    pub minor: u8,
    /// Fields as they were sent, with values trimmed.
    pub fields: Fields,
    pub body: Vec<u8>,
    /// Whether the body came in chunks.
    pub is_chunked: bool,
    /// Whether a refusal with 400 is also right: the trailers exceed the limits of
    /// fields, and the rules do not tell whether they count.
    pub is_doubtful: bool,
}

/// Names and values in their order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What follows the last whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// No more bytes.
    Clean,
    /// The start of a head, which gets no response.
    Unfinished,
    /// Bytes that are not a request, and the allowed statuses. If the wrong line
    /// does not end, silence may also be right. HEAD is known by its name, whatever
    /// follows it.
    Refused { statuses: Vec<u16>, or_silence: bool, is_head: bool },
    /// A head whose body is wrong, too long, or incomplete.
    Broken(Request, Vec<u16>),
    /// A limit for which the rules do not tell what counts.
    Unsaid,
}

/// Limits, in bytes and in numbers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub target: usize,
    pub head: usize,
    pub fields: usize,
    pub body: usize,
}

impl Bounds {
    /// No limits.
    pub const NONE: Bounds =
        Bounds { target: usize::MAX, head: usize::MAX, fields: usize::MAX, body: usize::MAX };
}

/// The first thing in some bytes, and its length.
enum Found {
    Request(Request, usize),
    End(End),
}

/// Reads all requests.
pub fn requests(bytes: &[u8], bounds: &Bounds) -> (Vec<Request>, End) {
    let mut found = Vec::new();
    let mut rest = bytes;
    loop {
        // Empty lines before a request line are skipped (section 2.2).
        let mut empty = 0;
        while rest[empty..].starts_with(b"\r\n") {
            empty += 2;
        }
        if rest.len() == empty && empty <= bounds.head {
            return (found, End::Clean);
        }
        match request(rest, empty, bounds) {
            Found::Request(request, length) => {
                found.push(request);
                rest = &rest[length..];
            }
            Found::End(end) => return (found, end),
        }
    }
}

/// Splits off the first line, without its LF. Only LF ends a line here; callers
/// check for the CR.
pub fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Reads a request behind some empty lines, which count as part of its head.
fn request(bytes: &[u8], empty: usize, bounds: &Bounds) -> Found {
    let mut request = Request::default();
    let mut rest = &bytes[empty..];
    let mut is_first = true;
    loop {
        let Some((raw, behind)) = line(rest) else {
            let (statuses, or_silence) = unfinished_head(bytes, rest, &request, is_first, bounds);
            return if statuses.is_empty() {
                Found::End(End::Unfinished)
            } else {
                refused(&bytes[empty..], statuses, or_silence)
            };
        };
        let head_length = bytes.len() - behind.len();
        let mut statuses = match raw.strip_suffix(b"\r") {
            // The target may be found too long before the line ends.
            None if is_first && raw.len() > bounds.target => vec![400, 414],
            None => vec![400],
            Some(text) if is_first => request_line(text, &mut request, bounds),
            Some(b"") => Vec::new(),
            Some(text) => field_line(text, &mut request.fields),
        };
        if !is_first
            && raw != b"\r"
            && request.fields.len() + usize::from(!statuses.is_empty()) > bounds.fields
        {
            statuses.push(431);
        }
        if head_length > bounds.head {
            statuses.push(431);
        }
        if !statuses.is_empty() {
            // A contradiction between fields may have been found before.
            statuses.extend(for_its_framing(&request));
            statuses.extend(for_its_target(&request));
            return refused(&bytes[empty..], statuses, false);
        }
        rest = behind;
        if raw == b"\r" {
            break;
        }
        is_first = false;
    }
    match framing(&request) {
        Err(mut statuses) => {
            statuses.extend(for_its_target(&request));
            refused(&bytes[empty..], statuses, false)
        }
        Ok(Framing::None) => Found::Request(request, bytes.len() - rest.len()),
        Ok(Framing::Length(length)) if length > bounds.body as u64 => {
            Found::End(End::Broken(request, vec![413]))
        }
        Ok(Framing::Length(length)) if length > rest.len() as u64 => {
            Found::End(End::Broken(request, vec![400]))
        }
        Ok(Framing::Length(length)) => {
            let length = length as usize;
            request.body = rest[..length].to_vec();
            Found::Request(request, bytes.len() - rest.len() + length)
        }
        Ok(Framing::Chunked) => {
            request.is_chunked = true;
            match chunked(rest, &mut request, bounds) {
                Ok(behind) => Found::Request(request, bytes.len() - behind.len()),
                Err(Some(statuses)) => Found::End(End::Broken(request, statuses)),
                Err(None) => Found::End(End::Unsaid),
            }
        }
    }
}

/// Returns the status for a bad target, which may be refused before the rest is
/// read.
fn for_its_target(request: &Request) -> Option<u16> {
    let is_there = !request.target.is_empty();
    (is_there && !super::rfc9110::meaning(request).is_target_sure).then_some(400)
}

/// Returns the statuses for contradictory or uncountable lengths, which may be
/// refused before the rest is read.
fn for_its_framing(request: &Request) -> Vec<u16> {
    match framing(request) {
        Err(statuses) => statuses,
        Ok(Framing::Length(length)) if length > i64::MAX as u64 => vec![413],
        Ok(_) => Vec::new(),
    }
}

fn refused(bytes: &[u8], statuses: Vec<u16>, or_silence: bool) -> Found {
    Found::End(End::Refused { statuses, or_silence, is_head: bytes.starts_with(b"HEAD ") })
}

/// Judges an incomplete head whose last line `tail` has no end. Returns the allowed
/// statuses, and whether silence is allowed, too.
fn unfinished_head(
    head: &[u8],
    tail: &[u8],
    request: &Request,
    is_first: bool,
    bounds: &Bounds,
) -> (Vec<u16>, bool) {
    let mut statuses = Vec::new();
    let mut must_be_said = false;
    let text = tail.strip_suffix(b"\r").unwrap_or(tail);
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let could_go_on = if is_first { may_become_request_line(text) } else { may_become_field_line(text) };
    // A target is known to be too long only in a line that is right so far.
    let target = if could_go_on { pieces.get(1).copied().unwrap_or_default() } else { text };
    if is_first && target.len() > bounds.target {
        statuses.push(414);
        // KNOWN 3: the server answers some bytes later, when nothing that may
        // follow a target would fit.
        let of_token = pieces.get(1).filter(|_| is_token(pieces[0]));
        must_be_said = of_token.is_some_and(|target| target.len() > bounds.target.saturating_add(12));
    }
    if head.len() > bounds.head {
        statuses.push(431);
        must_be_said = true;
    } else if bounds.head - head.len() < 4 || (!is_first && request.fields.len() >= bounds.fields) {
        statuses.push(431);
    }
    if !could_go_on {
        statuses.push(400);
    }
    if is_first && pieces.len() > 2 && could_go_on {
        statuses.push(505);
    }
    statuses.extend(for_its_framing(request));
    if !is_first {
        statuses.extend(for_its_target(request));
    }
    (statuses, !must_be_said)
}

fn may_become_request_line(text: &[u8]) -> bool {
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let method =
        pieces[0].iter().all(|byte| is_token(&[*byte])) && (pieces.len() == 1 || !pieces[0].is_empty());
    let target = pieces.get(1).is_none_or(|target| target.iter().all(is_of_target));
    let target = target && (pieces.len() < 3 || !pieces[1].is_empty());
    let version = pieces.get(2).is_none_or(|version| {
        version.len() <= 8 && version.iter().zip(b"HTTP/0.0").all(|(byte, form)| fits(*byte, *form))
    });
    method && target && version && pieces.len() <= 3
}

fn may_become_field_line(text: &[u8]) -> bool {
    match text.iter().position(|&byte| byte == b':') {
        Some(colon) => is_token(&text[..colon]) && text[colon..].iter().all(is_text),
        None => text.is_empty() || is_token(text),
    }
}

/// Reads a request line. Returns the statuses to refuse it with.
fn request_line(text: &[u8], request: &mut Request, bounds: &Bounds) -> Vec<u16> {
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let mut statuses = Vec::new();
    let is_well_formed = pieces.len() == 3
        && is_token(pieces[0])
        && !pieces[1].is_empty()
        && pieces[1].iter().all(is_of_target)
        && pieces[2].len() == 8
        && pieces[2].iter().zip(b"HTTP/0.0").all(|(byte, form)| fits(*byte, *form));
    // In a wrong line it is unclear where the target is.
    let target = if is_well_formed { pieces[1] } else { text };
    if target.len() > bounds.target {
        statuses.push(414);
    }
    let is_version = |piece: &[u8]| {
        piece.len() == 8 && piece.iter().zip(b"HTTP/0.0").all(|(byte, form)| fits(*byte, *form))
    };
    if !is_well_formed {
        statuses.push(400);
        // Either of the two may be reported first.
        if pieces.len() == 3 && is_version(pieces[2]) && !matches!(pieces[2], b"HTTP/1.0" | b"HTTP/1.1") {
            statuses.push(505);
        }
    } else if !matches!(pieces[2], b"HTTP/1.0" | b"HTTP/1.1") {
        statuses.push(505);
    } else {
        request.method = pieces[0].to_vec();
        request.target = pieces[1].to_vec();
        request.minor = pieces[2][7] - b'0';
    }
    statuses
}

/// Returns whether a byte equals `form`, or is a digit where `form` is 0.
fn fits(byte: u8, form: u8) -> bool {
    byte == form || (form == b'0' && byte.is_ascii_digit())
}

/// Reads `field-line`. Returns the statuses to refuse it with.
pub fn field_line(text: &[u8], fields: &mut Fields) -> Vec<u16> {
    let Some(colon) = text.iter().position(|&byte| byte == b':') else {
        return vec![400];
    };
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    if !is_token(name) || !value.iter().all(is_text) {
        return vec![400];
    }
    fields.push((name.to_vec(), trimmed(value).to_vec()));
    Vec::new()
}

/// Removes SP and HTAB at both ends.
pub fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// SP, HTAB, VCHAR and obs-text.
pub fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_of_target(byte: &u8) -> bool {
    byte.is_ascii_graphic() && *byte != b'#'
}

/// Returns the values of the fields of this name.
pub fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a [u8]> {
    let of_name = fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name.as_bytes()));
    of_name.map(|(_, value)| &value[..]).collect()
}
