//! Finds the end of a request's body by RFC 9112, sections 6 and 7, read strictly.

use super::rfc9112::{Bounds, Request, field_line, is_text, is_token, line, number, trimmed, values};

/// Most bytes of all chunk extensions and trailers of a body together.
const CHUNK_EXTRAS_MAX: usize = 16 << 10;

/// Framing of a body.
pub enum Framing {
    /// A body of this many bytes; 0 if the request states no length.
    Length(u64),
    Chunked,
}

/// Returns the framing by section 6.3. Refuses every request whose framing is doubtful; the
/// error holds the allowed statuses.
pub fn framing(request: &Request) -> Result<Framing, Vec<u16>> {
    let lengths = values(&request.fields, "content-length");
    let codings = values(&request.fields, "transfer-encoding");
    let mut statuses = Vec::new();
    let is_bad = lengths.len() > 1 || lengths.iter().any(|value| number::<u64>(value).is_none());
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
            statuses.extend((!knows_all).then_some(501));
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

/// Reads a chunked body (section 7.1), and returns the bytes behind it. The error holds the
/// allowed statuses, or `None` if the rules do not tell whether the body is refused.
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
            return Err(wrong(length));
        }
    }
    // KNOWN 8: hyper applies the limits of a head to trailers, approximately.
    let is_much = (start - rest.len()).saturating_add(16) > bounds.head;
    request.is_doubtful = trailers.len() >= bounds.fields || is_much;
    if length > bounds.body as u128 { Err(Some(vec![413])) } else { Ok(rest) }
}

/// Parses the line before a chunk. Returns the size of the chunk, and adds the length of
/// the extension to `extras`.
fn chunk_size(text: &[u8], extras: &mut usize) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, extension) = text.split_at(digits);
    let is_extension = trimmed(extension).first() == Some(&b';') && extension.iter().all(is_text);
    if !(1..=16).contains(&digits) || !(extension.is_empty() || is_extension) {
        return None;
    }
    *extras += extension.len();
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}
