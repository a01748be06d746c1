//! Basic rules of the HTTP grammar: which bytes a token, a target, an authority, a field and a line
//! may contain.

use std::net::Ipv6Addr;

use crate::h1::refusal::{BadMessage, malformed};

/// For each byte, the parts of a message that may contain it, one bit for each part: [`IN_TOKEN`],
/// [`IN_TARGET`] and [`IN_NAME`].
#[allow(clippy::indexing_slicing, reason = "the loop ends below 256")]
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let at = byte as u8;
        let alphanumeric = matches!(at, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z');
        let token = alphanumeric
            || matches!(
                at,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        let target = matches!(at, 0x21..=0x7E) && !matches!(at, b'"' | b'#' | b'<' | b'>');
        let name = alphanumeric
            || matches!(
                at,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            );
        table[byte] = if token { IN_TOKEN } else { 0 }
            | if target { IN_TARGET } else { 0 }
            | if name { IN_NAME } else { 0 };
        byte += 1;
    }
    table
};

/// Bit in [`CLASS`] for a `tchar` (RFC 9110, section 5.6.2): a byte that is allowed in a token.
const IN_TOKEN: u8 = 1;

/// Bit in [`CLASS`] for a byte that is allowed in a path and a query.
const IN_TARGET: u8 = 2;

/// Bit in [`CLASS`] for a byte that is allowed unencoded in a `reg-name` (RFC 3986, section 3.2.2).
const IN_NAME: u8 = 4;

#[allow(clippy::indexing_slicing, reason = "a byte is below 256")]
fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Returns whether a byte is allowed in a `token` (RFC 9110, section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    is(byte, IN_TOKEN)
}

/// Returns whether the bytes are a `token` (RFC 9110, section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_token_byte(byte)) && !bytes.is_empty()
}

/// Returns whether the bytes are allowed as a path and a query. Allows the characters of RFC 3986,
/// and `[ ] { } | \ ^` and the backtick, which browsers send unencoded in a query. Two hexadecimal
/// digits must follow each percent sign.
pub(crate) fn is_path_and_query(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is(byte, IN_TARGET)) && is_encoded(bytes)
}

/// Returns whether each percent sign is followed by two hexadecimal digits.
fn is_encoded(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'%', bytes)
        .all(|at| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Returns whether `host` matches `uri-host [ ":" port ]` (RFC 9110, section 7.2). It may be empty,
/// but a port without a host is not allowed.
pub(crate) fn is_authority(host: &[u8]) -> bool {
    let port = match host.strip_prefix(b"[") {
        Some(rest) => match std::str::from_utf8(rest).ok().and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() || is_future(address) => {
                rest.as_bytes()
            }
            _ => return false,
        },
        None => {
            let end = host.iter().position(|&byte| byte == b':').unwrap_or(host.len());
            match host.split_at_checked(end) {
                Some((name, port)) if is_name(name) && (!name.is_empty() || port.is_empty()) => port,
                _ => return false,
            }
        }
    };
    match port.strip_prefix(b":") {
        Some(digits) => number(digits).is_some_and(|port| port <= u16::MAX.into()),
        None => port.is_empty(),
    }
}

/// Parses `*DIGIT`, where no digits stand for 0. Returns `None` if another byte occurs, and for
/// numbers of 2^63 and more, which programs with signed integers would read as negative.
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let number = digits.iter().try_fold(0_i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(number.unsigned_abs())
}

/// Returns whether a text is an `IPvFuture` (RFC 3986, section 3.2.2).
fn is_future(address: &str) -> bool {
    let parts = address.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(version, address)| {
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| is_unencoded(byte) || byte == b':')
    })
}

/// Returns whether a byte is allowed unencoded in a `reg-name` (RFC 3986, section 3.2.2).
fn is_unencoded(byte: u8) -> bool {
    is(byte, IN_NAME)
}

/// Returns whether a text is a `reg-name`, which includes IPv4 addresses.
fn is_name(name: &[u8]) -> bool {
    name.iter().all(|&byte| is_unencoded(byte) || byte == b'%') && is_encoded(name)
}

/// Returns whether a byte is allowed in a field value or a chunk extension (RFC 9110, section 5.5):
/// a visible character, a space, a tab, or a byte above ASCII.
pub(super) fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7F || byte == b'\t'
}

/// Splits a field line, given without its CR LF, into name and value, and checks both. Removes
/// white space around the value.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), BadMessage> {
    let (name, value) = split_field(line).ok_or_else(|| bad_name(line))?;
    if !is_value(value) {
        return Err(malformed("5, and RFC 9110, section 5.5", "a field value has control bytes"));
    }
    Ok((name, value.trim_ascii()))
}

/// Splits a field line at its colon. Returns `None` if the text before the colon is not a `token`.
pub(crate) fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|&byte| !is_token_byte(byte))?;
    let (name, value) = line.split_at_checked(end)?;
    Some((name, value.strip_prefix(b":")?)).filter(|(name, _)| !name.is_empty())
}

/// Returns whether a field value has no control bytes.
pub(crate) fn is_value(value: &[u8]) -> bool {
    // Checks all bytes even after a bad one, so that the compiler can vectorise the loop.
    value.iter().fold(true, |all, &byte| all & is_text(byte))
}

/// Returns the refusal that says why a line does not begin with a field name and a colon.
fn bad_name(line: &[u8]) -> BadMessage {
    let colon = line.iter().position(|&byte| byte == b':');
    let name = line.get(..colon.unwrap_or(line.len())).unwrap_or_default();
    match (line.first(), colon) {
        (Some(b' ' | b'\t'), _) => malformed("5.2", "a line begins with white space; expected a field name"),
        (_, None) => malformed("5", "a line has no colon; expected a field"),
        (_, Some(0)) => malformed("5", "a field has no name"),
        _ if name.ends_with(b" ") || name.ends_with(b"\t") => {
            malformed("5.1", "there is white space between a field name and its colon")
        }
        _ => malformed("5.1", "a field name has characters that none may have"),
    }
}

/// Returns the first line of these bytes without its CR LF, or `None` if the line is
/// not complete yet.
pub(super) fn line(bytes: &[u8]) -> Result<Option<&[u8]>, BadMessage> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return partial(bytes).map(|()| None);
    };
    match bytes.get(..end) {
        Some([line @ .., b'\r']) => Ok(Some(line)),
        _ => Err(malformed("2.2", "a line ends in a bare LF; expected CR LF")),
    }
}

/// Checks that `bytes`, in which no line ends, can be the beginning of a valid line.
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
    use super::{is_authority, is_path_and_query};

    #[test]
    fn a_byte_is_allowed_or_refused_wherever_it_stands() {
        for byte in 0..=0xFF_u8 {
            let taken = byte.is_ascii_graphic() && !b"\"#<>%".contains(&byte);
            for before in [&b"/"[..], b"/?", b"/a?b="] {
                let target = [before, &[byte]].concat();
                assert_eq!(is_path_and_query(&target), taken, "{}", target.escape_ascii());
            }
        }
        for (target, taken) in [("/%2f?%C3", true), ("/%g0", false), ("/%2", false), ("/?%", false)] {
            assert_eq!(is_path_and_query(target.as_bytes()), taken, "{target}");
        }
    }

    #[test]
    fn a_name_or_an_address_is_followed_by_a_port_or_nothing() {
        for host in
            ["", "a", "a:", "a:80", "1.2.3.4:65535", "[::1]:8080", "[v1f.a:b]", "local%68ost", "a_b~c!"]
        {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            ":80",
            "a:b",
            "a:65536",
            "a:80:80",
            "[::1",
            "[::1]a",
            "[v.a]",
            "[v1.]",
            "[1.2.3.4]",
            "a b",
            "%6",
            "ü",
            "a/b",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }
}
