//! Finds the end of a request's body, strictly as RFC 9112, sections 6 and 7, defines it.

use super::rfc9112::{Bounds, Request, field_line, is_text, is_token, line, number, trimmed, values};

/// Maximum length of all chunk extensions and trailers of a body together, in bytes.
const CHUNK_EXTRAS_MAX: usize = 16 << 10;

/// Framing of a body.
pub enum Framing {
    /// A body of this many bytes; 0 if the request states no length.
    Length(u64),
    Chunked,
}

/// Returns the framing of a request's body (RFC 9112, section 6.3). If the framing is doubtful,
/// returns the statuses with which the server may refuse the request.
pub fn framing(request: &Request) -> Result<Framing, Vec<u16>> {
    let lengths = values(&request.fields, "content-length");
    let codings = values(&request.fields, "transfer-encoding");
    let mut statuses = Vec::new();
    let are_digits = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let is_bad = lengths.len() > 1 || lengths.iter().any(|value| !are_digits(value));
    // A number that fits no integer is too long.
    if lengths.iter().any(|value| are_digits(value) && number::<u64>(value).is_none()) {
        statuses.push(413);
    }
    let is_double = codings.len() > 1 || (!codings.is_empty() && (request.minor == 0 || !lengths.is_empty()));
    if is_bad || is_double {
        statuses.push(400);
    }
    for coding in &codings {
        if !coding.eq_ignore_ascii_case(b"chunked") {
            let members = coding.split(|&byte| byte == b',');
            let names = members.filter_map(|member| member.split(|&byte| byte == b';').next());
            let names: Vec<&[u8]> = names.map(trimmed).collect();
            let knows_all = names.iter().all(|name| name.is_empty() || name.eq_ignore_ascii_case(b"chunked"));
            // Where `chunked` is not the last coding, the end of the body is unknown.
            let is_last = names.last().is_some_and(|name| name.eq_ignore_ascii_case(b"chunked"));
            let is_there = names.iter().any(|name| name.eq_ignore_ascii_case(b"chunked"));
            if is_there && !is_last {
                statuses.push(400);
            } else {
                statuses.extend((!knows_all).then_some(501));
            }
            // A value that is not a list is malformed. So is one with quotes, because many
            // parsers would split it at a comma in the quotes.
            if knows_all || names.iter().any(|name| !is_token(name)) || coding.contains(&b'"') {
                statuses.push(400);
            }
        }
    }
    match lengths.first().and_then(|value| number(value)) {
        _ if !statuses.is_empty() => Err(statuses),
        None if !codings.is_empty() => Ok(Framing::Chunked),
        length => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// Reads a chunked body (RFC 9112, section 7.1) into `request`, and returns the bytes behind it.
/// The error holds the statuses with which the server may refuse the body, or `None` if the rules
/// do not say whether the body is right.
pub fn chunked<'a>(
    bytes: &'a [u8],
    request: &mut Request,
    bounds: &Bounds,
) -> Result<&'a [u8], Option<Vec<u16>>> {
    let mut rest = bytes;
    let mut extras = 0;
    let mut length = 0_u128;
    let wrong = |length: u128| Some(if length > bounds.body as u128 { vec![413, 400] } else { vec![400] });
    loop {
        let (raw, behind) = line(rest).ok_or(wrong(length))?;
        let size = raw.strip_suffix(b"\r").and_then(|text| chunk_size(text, &mut extras));
        let size = size.ok_or(wrong(length))?;
        if extras > CHUNK_EXTRAS_MAX / 2 {
            return Err(wrong(length).filter(|_| extras > CHUNK_EXTRAS_MAX));
        }
        rest = behind;
        if size == 0 {
            break;
        }
        length += u128::from(size);
        let data = usize::try_from(size).ok().and_then(|size| rest.split_at_checked(size));
        let (data, behind) = data.ok_or(wrong(length))?;
        request.body.extend_from_slice(data);
        rest = behind.strip_prefix(b"\r\n").ok_or(wrong(length))?;
    }
    let mut trailers = Vec::new();
    let start = rest.len();
    loop {
        let (raw, behind) = line(rest).ok_or(wrong(length))?;
        let text = raw.strip_suffix(b"\r").ok_or(wrong(length))?;
        rest = behind;
        // The rules do not tell whether line ends count towards the limit, so some lengths
        // near it have no certain result.
        let extras = start - rest.len() + extras;
        if extras > CHUNK_EXTRAS_MAX / 2 {
            return Err(wrong(length).filter(|_| extras > 2 * CHUNK_EXTRAS_MAX));
        }
        if text.is_empty() {
            break;
        }
        if !field_line(text, &mut trailers) {
            let is_much = trailers.len() > bounds.fields;
            return Err(wrong(length).map(|wrong| if is_much { [wrong, vec![431]].concat() } else { wrong }));
        }
    }
    if trailers.len() > bounds.fields {
        return Err(Some(vec![431]));
    }
    if length > bounds.body as u128 { Err(Some(vec![413])) } else { Ok(rest) }
}

/// Parses the line before a chunk. Returns the size of the chunk, or `None` if the line is wrong.
/// Adds the length of the extension to `extras`.
fn chunk_size(text: &[u8], extras: &mut usize) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = text.split_at(digits);
    if !(1..=16).contains(&digits) || !is_chunk_ext(extension) {
        return None;
    }
    *extras += extension.len();
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

/// Returns whether a text is a `chunk-ext` (RFC 9112, section 7.1.1).
fn is_chunk_ext(mut text: &[u8]) -> bool {
    while !text.is_empty() {
        let Some(rest) = skip_space(text).strip_prefix(b";") else {
            return false;
        };
        let rest = skip_space(rest);
        let name = rest.iter().take_while(|&&byte| is_token(&[byte])).count();
        if name == 0 {
            return false;
        }
        text = &rest[name..];
        if let Some(value) = skip_space(text).strip_prefix(b"=") {
            let value = skip_space(value);
            let length = match value.first() {
                Some(b'"') => quoted(value),
                _ => value.iter().take_while(|&&byte| is_token(&[byte])).count(),
            };
            if length == 0 {
                return false;
            }
            text = &value[length..];
        }
    }
    true
}

fn skip_space(text: &[u8]) -> &[u8] {
    let space = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[space..]
}

/// Returns the length of the `quoted-string` at the start, or 0 if there is none.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' if text.get(at + 1).is_some_and(is_text) => at += 2,
            b'\\' => return 0,
            byte if is_text(byte) => at += 1,
            _ => return 0,
        }
    }
    0
}
