//! Content negotiation by the field `accept` (RFC 9110, section 12.5.1).

use crate::Request;
use crate::bytes::{is_token_byte, split_once};

/// Maximum quality of a media range, in thousandths. A range without `q` has this quality.
const FULL_QUALITY: u16 = 1000;

impl<'a> Request<'a> {
    /// Returns the offered media type that the client prefers, or the first of several that it
    /// prefers equally. `None` if the client accepts none of the offers: RFC 9110 lets the server
    /// answer 406 or send any representation.
    ///
    /// The most specific range decides the quality of a type: a range with parameters
    /// before one without, then `text/*`, then `*/*`. Malformed ranges are ignored;
    /// without any valid range, the first offer is returned.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let accept = |value: &str| format!("GET / HTTP/1.1\r\naccept: {value}\r\n\r\n");
    /// let offers = ["text/html", "application/json"];
    /// for (value, liked) in [
    ///     ("application/json", Some("application/json")),
    ///     ("text/html;q=0.5, application/*", Some("application/json")),
    ///     ("text/html;q=0, */*", Some("application/json")),
    ///     ("*/*", Some("text/html")),
    ///     ("image/png", None),
    /// ] {
    ///     let bytes = accept(value);
    ///     assert_eq!(Request::parse(bytes.as_bytes()).unwrap().accepts(&offers), liked, "{value}");
    /// }
    /// let silent = Request::parse(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    /// assert_eq!(silent.accepts(&offers), Some("text/html"));
    /// ```
    pub fn accepts(&self, offers: &[&'static str]) -> Option<&'static str> {
        let mut says_something = false;
        let mut best = None;
        let mut best_quality = 0;
        for offer in offers {
            let mut said_by = None;
            let mut quality = 0;
            for range in self.media_ranges() {
                says_something = true;
                let precision = range.precision_for(offer.as_bytes());
                if precision.is_some() && precision > said_by {
                    (said_by, quality) = (precision, range.quality);
                }
            }
            if quality > best_quality {
                (best, best_quality) = (Some(*offer), quality);
            }
        }
        if says_something { best } else { offers.first().copied() }
    }

    fn media_ranges(&self) -> impl Iterator<Item = Range<'a>> + use<'a> {
        self.field_values("accept")
            .flat_map(|value| Unquoted { rest: Some(value), byte: b',' })
            .filter_map(Range::parse)
    }
}

/// Media range listed in the field `accept`, such as `text/*;q=0.5`.
struct Range<'a> {
    kind: &'a [u8],
    subkind: &'a [u8],
    /// Parameters of the media range. Those before `q` belong to the media type; those after `q`
    /// are ignored.
    parameters: Unquoted<'a>,
    /// Quality in thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Range<'a>> {
        let mut parts = Unquoted { rest: Some(bytes), byte: b';' };
        let (kind, subkind) = split_once(parts.next()?.trim_ascii(), b'/')?;
        let is_token = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte));
        if !is_token(kind) || !is_token(subkind) || (kind == b"*" && subkind != b"*") {
            return None;
        }
        let parameters = parts.clone();
        let quality = parts.find_map(weight).map_or(Some(FULL_QUALITY), parse_quality)?;
        Some(Range { kind, subkind, parameters, quality })
    }

    /// Returns how precisely the range matches an offered media type: 0 for `*/*`, 1 for `type/*`
    /// or 2 for `type/subtype`, and the number of parameters that match. `None` if the range does
    /// not match.
    fn precision_for(&self, offer: &[u8]) -> Option<(u8, usize)> {
        let mut offered = Unquoted { rest: Some(offer), byte: b';' };
        let (kind, subkind) = split_once(offered.next()?.trim_ascii(), b'/')?;
        let named = match (self.kind, self.subkind) {
            (b"*", _) => 0,
            (wanted, b"*") if wanted.eq_ignore_ascii_case(kind) => 1,
            (wanted, wanted_subkind)
                if wanted.eq_ignore_ascii_case(kind) && wanted_subkind.eq_ignore_ascii_case(subkind) =>
            {
                2
            }
            _ => return None,
        };
        let mut count = 0;
        let wanted = self.parameters.clone().take_while(|parameter| weight(parameter).is_none());
        for wanted in wanted.map(<[u8]>::trim_ascii).filter(|wanted| !wanted.is_empty()) {
            let mut offered = offered.clone().map(<[u8]>::trim_ascii);
            offered.find(|parameter| parameter.eq_ignore_ascii_case(wanted))?;
            count += 1;
        }
        Some((named, count))
    }
}

/// Returns the value of a parameter if its name is `q`, and otherwise `None`.
pub(crate) fn weight(parameter: &[u8]) -> Option<&[u8]> {
    let (name, value) = split_once(parameter, b'=')?;
    name.trim_ascii().eq_ignore_ascii_case(b"q").then(|| value.trim_ascii())
}

/// Parses a quality such as `0`, `0.5` or `1.000` into thousandths. `None` if the text is
/// malformed, is greater than 1, or has more than three decimals. Accepts `.5`, which some clients
/// send.
pub(crate) fn parse_quality(text: &[u8]) -> Option<u16> {
    let (whole, part) = split_once(text, b'.').unwrap_or((text, &[]));
    let whole = match whole {
        b"1" => FULL_QUALITY,
        b"0" => 0,
        b"" if !part.is_empty() => 0,
        _ => return None,
    };
    if part.len() > 3 || !part.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let places = part.iter().zip([100, 10, 1]);
    let quality = whole + places.map(|(digit, worth)| u16::from(digit - b'0') * worth).sum::<u16>();
    (quality <= FULL_QUALITY).then_some(quality)
}

/// Iterator over the pieces of a text between the occurrences of a byte, except those inside quoted
/// strings.
#[derive(Clone)]
struct Unquoted<'a> {
    rest: Option<&'a [u8]>,
    byte: u8,
}

impl<'a> Iterator for Unquoted<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let ends = *byte == self.byte && !quoted;
            quoted ^= *byte == b'"' && !escaped;
            escaped = quoted && *byte == b'\\' && !escaped;
            ends
        });
        self.rest = end.and_then(|end| rest.get(end + 1..));
        rest.get(..end.unwrap_or(rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use crate::Request;
    use std::format;
    use std::prelude::rust_2024::*;

    fn liked(accept: &[&str], offers: &[&'static str]) -> Option<&'static str> {
        let fields: String = accept.iter().map(|value| format!("accept: {value}\r\n")).collect();
        let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        Request::parse(bytes.as_bytes()).unwrap().accepts(offers)
    }

    #[test]
    fn the_range_that_says_most_counts() {
        // RFC 9110, section 12.5.1, its last example.
        let field = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5";
        for (better, worse) in [
            ("text/plain;format=flowed", "text/plain"),
            ("text/plain", "image/jpeg"),
            ("image/jpeg", "text/plain; Format=Fixed"),
            ("text/plain;format=fixed", "text/html"),
        ] {
            assert_eq!(liked(&[field], &[worse, better]), Some(better));
            assert_eq!(liked(&[field], &[better, worse]), Some(better));
        }
    }

    #[test]
    fn a_tie_goes_to_the_first_offer_and_zero_means_no() {
        assert_eq!(liked(&["a/b, c/d"], &["c/d", "a/b"]), Some("c/d"));
        assert_eq!(liked(&["a/b;q=0.0"], &["a/b"]), None);
        assert_eq!(liked(&["*/*, a/b;q=0"], &["a/b"]), None);
        assert_eq!(liked(&["A/B"], &["a/b"]), Some("a/b"));
        assert_eq!(liked(&["c/d;q=0.2", "a/b;q=.3"], &["c/d", "a/b"]), Some("a/b"));
        assert_eq!(liked(&["*/*"], &[]), None);
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        for field in
            ["", ",", "text", "/", "text/", "*/html", "a/b;q=x", "a/b;q=2", "a/b;q=1.001", "a/b;q=0.1234"]
        {
            assert_eq!(liked(&[field], &["x/y", "a/b"]), Some("x/y"), "{field}");
        }
        assert_eq!(liked(&["nonsense, a/b;;q=0.5;ext=1"], &["x/y", "a/b"]), Some("a/b"));
        assert_eq!(liked(&[r#"x/y;p="a,b\";q=0";q=0.5, a/b;q=0.4"#], &["a/b"]), Some("a/b"));
    }
}
