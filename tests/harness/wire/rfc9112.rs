//! Parses the bytes of a connection into requests as RFC 9112 defines them. Refuses everything
//! doubtful. The parser is slow and simple, and written from the RFC alone: it shares no code with
//! the server.

use std::str::FromStr;

use super::framing::{Framing, chunked, framing};

/// Request as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// Minor version, 0 or 1: the digit behind `HTTP/1.`.
    pub minor: u8,
    /// Headers as they were sent, except that the values are trimmed.
    pub fields: Fields,
    pub body: Vec<u8>,
    /// Whether the body was chunked.
    pub is_chunked: bool,
}

/// Names and values of headers, in their order.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What follows the last complete request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// No more bytes.
    Clean,
    /// The beginning of a head, which gets no response.
    Unfinished,
    /// Bytes that are not a request, and the statuses with which the server may refuse them.
    /// `or_silence` means that the server may also send nothing, because the last line may be
    /// incomplete. `is_head` means that the bytes begin with `HEAD `, so that the response has no
    /// body.
    Refused { statuses: Vec<u16>, or_silence: bool, is_head: bool },
    /// A request with a wrong, too long or incomplete body, and the statuses with which the server
    /// may refuse it.
    Broken(Request, Vec<u16>),
    /// Bytes so near a limit that the rules do not say whether they exceed it. Any response is
    /// right.
    Unsaid,
}

/// Limits of a request: the maximum lengths of target, head and body in bytes, and the maximum
/// number of headers.
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

/// Result of parsing one request: the request and its length in bytes, or the end.
enum Found {
    Request(Request, usize),
    End(End),
}

/// Parses all requests of a connection. Also returns what follows the last complete request.
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

/// Returns the first line without its LF, and the bytes behind it; `None` if there is no LF.
/// Callers check that a CR stands before the LF.
pub fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Parses a request. The first `empty` bytes are empty lines, which count towards the length of its
/// head.
fn request(bytes: &[u8], empty: usize, bounds: &Bounds) -> Found {
    let mut request = Request::default();
    let mut rest = &bytes[empty..];
    let mut is_first = true;
    loop {
        let Some((raw, behind)) = line(rest) else {
            let (statuses, or_silence) = unfinished_head(bytes, rest, &request, is_first, bounds);
            return match statuses.is_empty() {
                true => Found::End(End::Unfinished),
                false => refused(&bytes[empty..], statuses, or_silence),
            };
        };
        let head_length = bytes.len() - behind.len();
        let mut statuses = match raw.strip_suffix(b"\r") {
            // The server may find that the target is too long before it sees the line end.
            None if is_first && raw.len() > bounds.target => vec![400, 414],
            None => vec![400],
            Some(text) if is_first => request_line(text, &mut request, bounds),
            Some(text) if text.is_empty() || field_line(text, &mut request.fields) => Vec::new(),
            Some(_) => vec![400],
        };
        // Counts a malformed line as a header, because the server may do so.
        let fields = request.fields.len() + usize::from(!statuses.is_empty());
        let is_field = !is_first && raw != b"\r";
        if (is_field && fields > bounds.fields) || head_length > bounds.head {
            statuses.push(431);
        }
        if !statuses.is_empty() {
            // Allows the statuses for earlier lines, too: the server may have refused
            // these first.
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
    let length = match framing(&request) {
        Err(mut statuses) => {
            statuses.extend(for_its_target(&request));
            return refused(&bytes[empty..], statuses, false);
        }
        Ok(Framing::Chunked) => {
            request.is_chunked = true;
            return match chunked(rest, &mut request, bounds) {
                Ok(behind) => Found::Request(request, bytes.len() - behind.len()),
                Err(Some(statuses)) => Found::End(End::Broken(request, statuses)),
                Err(None) => Found::End(End::Unsaid),
            };
        }
        Ok(Framing::Length(length)) => length,
    };
    if length > bounds.body as u64 {
        return Found::End(End::Broken(request, vec![413]));
    }
    match rest.split_at_checked(length as usize) {
        Some((body, behind)) => {
            request.body = body.to_vec();
            Found::Request(request, bytes.len() - behind.len())
        }
        None => Found::End(End::Broken(request, vec![400])),
    }
}

/// Returns the status (400) for a request whose target may be bad. The server may refuse the target
/// before it reads the rest of the head.
fn for_its_target(request: &Request) -> Option<u16> {
    let is_there = !request.target.is_empty();
    (is_there && !super::rfc9110::meaning(request).is_target_sure).then_some(400)
}

/// Returns the statuses for a request with contradictory or too large lengths. The server may
/// refuse the request before it reads the rest of the head.
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

/// Returns the statuses with which the server may refuse an incomplete head, and whether it may
/// also send nothing. Without a status, it must send nothing. `tail` is the last line of the head,
/// which has no line end.
fn unfinished_head(
    head: &[u8],
    tail: &[u8],
    request: &Request,
    is_first: bool,
    bounds: &Bounds,
) -> (Vec<u16>, bool) {
    let (mut statuses, mut must_be_said) = (Vec::new(), false);
    let text = tail.strip_suffix(b"\r").unwrap_or(tail);
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let could_go_on = if is_first { may_become_request_line(text) } else { may_become_field_line(text) };
    // In a line that is wrong already, any part may count as the target.
    let target = if could_go_on { pieces.get(1).copied().unwrap_or_default() } else { text };
    if is_first && target.len() > bounds.target {
        statuses.push(414);
        // KNOWN 3: the server answers only some bytes later, when the line is longer than
        // the longest target with a version behind it.
        let of_token = pieces.get(1).filter(|_| is_token(pieces[0]));
        must_be_said = of_token.is_some_and(|target| target.len() > bounds.target.saturating_add(12));
    }
    if is_first && pieces[0].len() > METHOD_MAX {
        statuses.push(501);
    }
    must_be_said |= head.len() > bounds.head;
    // The head is full: not even its end, or no further header, would fit.
    let is_full =
        head.len().saturating_add(4) > bounds.head || (!is_first && request.fields.len() >= bounds.fields);
    statuses.extend(is_full.then_some(431));
    statuses.extend((!could_go_on).then_some(400));
    statuses.extend((is_first && pieces.len() > 2 && could_go_on).then_some(505));
    statuses.extend(for_its_framing(request));
    if !is_first {
        statuses.extend(for_its_target(request));
    }
    (statuses, !must_be_said)
}

fn may_become_request_line(text: &[u8]) -> bool {
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    match pieces[..] {
        [method] => method.is_empty() || is_token(method),
        [method, target] => is_token(method) && target.iter().all(is_of_target),
        [method, target, version] => is_token(method) && is_target(target) && may_become_version(version),
        _ => false,
    }
}

fn may_become_field_line(text: &[u8]) -> bool {
    match text.iter().position(|&byte| byte == b':') {
        Some(colon) => is_token(&text[..colon]) && text[colon..].iter().all(is_text),
        None => text.is_empty() || is_token(text),
    }
}

/// Parses a request line into `request`. Returns the allowed statuses of a refusal, or none
/// if the line is right.
fn request_line(text: &[u8], request: &mut Request, bounds: &Bounds) -> Vec<u16> {
    let pieces: Vec<&[u8]> = text.split(|&byte| byte == b' ').collect();
    let is_version = |version: &[u8]| version.len() == VERSION.len() && may_become_version(version);
    // A later minor version counts as 1.1 (RFC 9110, section 2.5).
    let is_known = |version: &[u8]| version.starts_with(b"HTTP/1.");
    let mut statuses = Vec::new();
    // In a wrong line, the whole line may count as the target.
    let mut target = text;
    match pieces[..] {
        [method, found, version] if is_token(method) && is_target(found) && is_version(version) => {
            target = found;
            if is_known(version) {
                request.method = method.to_vec();
                request.target = found.to_vec();
                request.minor = (version[7] - b'0').min(1);
            }
        }
        _ => statuses.push(400),
    }
    // If the version and another part are wrong, the server may report either.
    if let [_, _, version] = pieces[..]
        && is_version(version)
        && !is_known(version)
    {
        statuses.push(505);
    }
    statuses.extend((target.len() > bounds.target).then_some(414));
    statuses.extend((pieces[0].len() > METHOD_MAX).then_some(501));
    statuses
}

/// Maximum length of a method that the server passes to the handler, in bytes.
const METHOD_MAX: usize = 64;

/// Form of an HTTP version; 0 stands for any digit.
const VERSION: &[u8; 8] = b"HTTP/0.0";

fn may_become_version(text: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| byte == form || (*form == b'0' && byte.is_ascii_digit());
    text.len() <= VERSION.len() && text.iter().zip(VERSION).all(fits)
}

/// Parses a `field-line` and adds it to `fields`. Returns whether the text is a `field-line`.
pub fn field_line(text: &[u8], fields: &mut Fields) -> bool {
    let colon = text.iter().position(|&byte| byte == b':').unwrap_or(0);
    let (name, value) = text.split_at(colon);
    let is_field = is_token(name) && value.iter().all(is_text);
    if is_field {
        fields.push((name.to_vec(), trimmed(&value[1..]).to_vec()));
    }
    is_field
}

/// Removes spaces and tabs at both ends.
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

/// Returns whether a byte may stand in a header value: SP, HTAB, VCHAR or obs-text.
pub fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

fn is_target(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(is_of_target)
}

fn is_of_target(byte: &u8) -> bool {
    byte.is_ascii_graphic() && *byte != b'#'
}

/// Parses a decimal number. Returns `None` if the bytes are not all digits, or if the
/// number does not fit its type.
pub fn number<T: FromStr>(digits: &[u8]) -> Option<T> {
    let are_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| are_digits)?.parse().ok()
}

/// Returns the values of all headers with this name.
pub fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a [u8]> {
    let of_name = fields.iter().filter(|(each, _)| each.eq_ignore_ascii_case(name.as_bytes()));
    of_name.map(|(_, value)| &value[..]).collect()
}
