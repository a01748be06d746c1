//! Ranges of bytes (RFC 9110, section 14).

use core::ops::Range;

use crate::bytes::{Split, split_once};

/// Part of the content that the field `range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The whole content, because the field is malformed, has a unit other than `bytes`, or names
    /// several ranges.
    Whole,
    /// A part of the content. The part is not empty.
    Part(Range<usize>),
    /// No byte of the content, because the range lies past its end. The response has status 416.
    Nothing,
}

impl Asked {
    /// Parses the value of the field `range`, for content of `length` bytes.
    pub(super) fn of(field: &[u8], length: usize) -> Asked {
        parse(field, length).unwrap_or(Asked::Whole)
    }
}

/// Parses the value of the field `range`. `None` if the value is malformed, or its unit is not
/// `bytes`.
fn parse(field: &[u8], length: usize) -> Option<Asked> {
    let (unit, ranges) = split_once(field, b'=')?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(())?;
    let (mut found, mut is_empty) = (Asked::Nothing, true);
    for range in Split::new(ranges, b',') {
        let range = range.trim_ascii();
        // Empty elements are allowed (section 5.6.1.2).
        if range.is_empty() {
            continue;
        }
        is_empty = false;
        let asked = parse_one(range, length)?;
        if asked != Asked::Nothing {
            // A server may ignore the field (section 14.2). Clients rarely ask for several
            // ranges, except to make the answer large.
            found = if found == Asked::Nothing { asked } else { Asked::Whole };
        }
    }
    (!is_empty).then_some(found)
}

/// Parses one range: `first-last`, `first-` or `-length`; `None` when it is malformed.
fn parse_one(range: &[u8], length: usize) -> Option<Asked> {
    let (first, last) = split_once(range, b'-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(match suffix {
            0 => Asked::Nothing,
            // Empty content has no range that `content-range` could name.
            _ if length == 0 => Asked::Whole,
            suffix => Asked::Part(length.saturating_sub(suffix)..length),
        });
    }
    let first = number(first)?;
    let end = match last {
        b"" => length,
        last => {
            let last = number(last)?;
            (first <= last).then_some(())?;
            last.saturating_add(1).min(length)
        }
    };
    Some(if first < length { Asked::Part(first..end) } else { Asked::Nothing })
}

/// Parses decimal digits. Numbers that are too large become `usize::MAX`. `None` for other text.
fn number(digits: &[u8]) -> Option<usize> {
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| {
        let add =
            |number: usize, digit: &u8| number.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
        digits.iter().fold(0, add)
    })
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn a_range_is_a_part_of_the_content() {
        let (part, whole, nothing) = (Asked::Part, Asked::Whole, Asked::Nothing);
        for (field, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=2-", part(2..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-11", part(0..10)),
            ("bytes=0-18446744073709551616", part(0..10)),
            ("bytes=18446744073709551616-", nothing.clone()),
            ("bytes=10-", nothing.clone()),
            ("bytes=-0", nothing),
            ("bytes=", whole.clone()),
            ("bytes=-", whole.clone()),
            ("bytes", whole.clone()),
            ("bytes=1-0", whole.clone()),
            ("bytes= 1-2", part(1..3)),
            ("bytes =1-2", whole.clone()),
            ("lines=1-2", whole),
        ] {
            assert_eq!(Asked::of(field.as_bytes(), 10), expected, "{field}");
        }
        assert_eq!(Asked::of(b"bytes=-1", 0), Asked::Whole);
        assert_eq!(Asked::of(b"bytes=0-", 0), Asked::Nothing);
    }
}
