//! The smallest rules of the grammar: which bytes a token, a target, a field and a
//! line may have.

use crate::wire::rules::{BadMessage, malformed};

/// Whether each byte is a `tchar` (RFC 9110, section 5.6.2).
#[allow(clippy::indexing_slicing, reason = "the loop ends below 256")]
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Returns whether the bytes are a `token` (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    #[allow(clippy::indexing_slicing, reason = "a byte is below 256")]
    let all = bytes.iter().all(|&byte| TOKEN[usize::from(byte)]);
    all && !bytes.is_empty()
}

/// Returns whether a target has only characters of a path and a query. Allows what
/// hyper accepts: all that browsers send, which is more than RFC 3986, section 3.3 has.
pub(super) fn is_path_and_query(target: &[u8]) -> bool {
    let mut in_query = false;
    target.iter().all(|&byte| {
        in_query |= byte == b'?';
        byte.is_ascii_graphic() && !(if in_query { &b"\"#<>"[..] } else { b"#<>`" }).contains(&byte)
    })
}

/// Returns whether a field value or a chunk extension may have this byte (RFC 9110,
/// section 5.5): a visible character, a space, a tab, or a byte above ASCII.
pub(super) fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7F || byte == b'\t'
}

/// Splits a field line without its end into name and value, and checks both.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), BadMessage> {
    let colon = line.iter().position(|&byte| byte == b':');
    let (name, value) = match colon.and_then(|colon| line.split_at_checked(colon)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (line, &[][..]),
    };
    if !is_token(name) {
        return Err(match (line.first(), colon) {
            (Some(b' ' | b'\t'), _) => {
                malformed("5.2", "a line begins with white space; expected a field name")
            }
            (_, None) => malformed("5", "a line has no colon; expected a field"),
            (_, Some(0)) => malformed("5", "a field has no name"),
            _ if name.ends_with(b" ") || name.ends_with(b"\t") => {
                malformed("5.1", "there is white space between a field name and its colon")
            }
            _ => malformed("5.1", "a field name has characters that none may have"),
        });
    }
    if colon.is_none() {
        return Err(malformed("5", "a line has no colon; expected a field"));
    }
    // Checks all bytes even after a bad one, so that the compiler can vectorise the loop.
    if !value.iter().fold(true, |all, &byte| all & is_text(byte)) {
        return Err(malformed("5.5", "a field value has control bytes"));
    }
    Ok((name, value.trim_ascii()))
}

/// Returns the first line of these bytes without its CR LF, or `None` if the line is
/// not complete yet.
pub(super) fn line(bytes: &[u8]) -> Result<Option<&[u8]>, BadMessage> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return partial(bytes).map(|()| None);
    };
    let line = bytes.get(..end).unwrap_or_default();
    line.strip_suffix(b"\r").map(Some).ok_or(malformed("2.2", "a line ends in a bare LF; expected CR LF"))
}

/// Checks that the beginning of a line can still become a valid one.
fn partial(bytes: &[u8]) -> Result<(), BadMessage> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match bytes.iter().find(|&&byte| !is_text(byte)) {
        None => Ok(()),
        Some(b'\r') => Err(malformed("2.2", "a CR stands alone; expected LF behind it")),
        Some(_) => Err(malformed("2.2", "there are control bytes in a line")),
    }
}

#[cfg(test)]
mod tests {
    use super::is_path_and_query;
    use http::Uri;

    #[test]
    fn hyper_takes_the_same_targets() {
        for byte in 0x21..=0xFF_u8 {
            for target in
                [&[b'/', byte][..], b"/?".iter().chain([&byte]).copied().collect::<Vec<_>>().as_slice()]
            {
                // `Uri` accepts bytes above ASCII, and cuts off a fragment. Both are refused
                // here.
                let taken = Uri::try_from(target).is_ok() && byte.is_ascii() && byte != b'#' && byte != 0x7F;
                assert_eq!(is_path_and_query(target), taken, "{}", target.escape_ascii());
            }
        }
    }
}
