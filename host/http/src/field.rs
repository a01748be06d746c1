//! Header fields of a message: their byte ranges in the head, and the names of the fields that the
//! host treats specially.

use std::ops::Range;

use handler_sdk::abi::{
    CLIENT_CERT_SHA256, CLIENT_CERT_SUBJECT, FORWARDED_FOR, FORWARDED_PROTO, REQUEST_ID, REQUEST_TIME,
    TRACEPARENT, TRACESTATE,
};

use crate::hop_by_hop::Listed;

/// Name of a field that the host treats specially, or [`Name::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// [`CLIENT_CERT_SHA256`] or [`CLIENT_CERT_SUBJECT`].
    ClientCert,
    /// `connection`.
    Connection,
    /// `content-length`.
    ContentLength,
    /// `date`.
    Date,
    /// `expect`.
    Expect,
    /// [`FORWARDED_FOR`].
    ForwardedFor,
    /// [`FORWARDED_PROTO`].
    ForwardedProto,
    /// `x-handler-version`.
    HandlerVersion,
    /// `host`.
    Host,
    /// [`REQUEST_ID`].
    RequestId,
    /// [`REQUEST_TIME`].
    RequestTime,
    /// [`TRACEPARENT`].
    TraceParent,
    /// [`TRACESTATE`].
    TraceState,
    /// `transfer-encoding`.
    TransferEncoding,
    /// `keep-alive`, `proxy-connection`, `te`, `trailer` or `upgrade`, which are hop-by-hop in any
    /// message.
    HopByHop,
    /// Any name that the host does not treat specially.
    Other,
}

impl Name {
    /// Returns the [`Name`] for a field name, ignoring case; [`Name::Other`] if the host does not
    /// treat the field specially.
    pub(crate) fn of(name: &[u8]) -> Name {
        let known: &[(&str, Name)] = match name.len() {
            2 => &[("te", Name::HopByHop)],
            4 => &[("host", Name::Host), ("date", Name::Date)],
            6 => &[("expect", Name::Expect)],
            7 => &[("trailer", Name::HopByHop), ("upgrade", Name::HopByHop)],
            10 => &[
                ("connection", Name::Connection),
                ("keep-alive", Name::HopByHop),
                (TRACESTATE, Name::TraceState),
            ],
            11 => &[(TRACEPARENT, Name::TraceParent)],
            12 => &[(REQUEST_ID, Name::RequestId)],
            14 => &[("content-length", Name::ContentLength), (REQUEST_TIME, Name::RequestTime)],
            15 => &[(FORWARDED_FOR, Name::ForwardedFor)],
            16 => &[("proxy-connection", Name::HopByHop)],
            17 => &[
                ("transfer-encoding", Name::TransferEncoding),
                ("x-handler-version", Name::HandlerVersion),
                (FORWARDED_PROTO, Name::ForwardedProto),
            ],
            20 => &[(CLIENT_CERT_SHA256, Name::ClientCert)],
            21 => &[(CLIENT_CERT_SUBJECT, Name::ClientCert)],
            _ => &[],
        };
        known.iter().find(|(text, _)| is(name, text)).map_or(Name::Other, |(_, name)| *name)
    }

    /// Returns whether fields of this name are hop-by-hop in every message, even if the
    /// `connection` field does not list them.
    pub(crate) fn is_hop_by_hop(self) -> bool {
        matches!(self, Name::Connection | Name::TransferEncoding | Name::HopByHop)
    }
}

/// Returns whether `name` equals `other`, ignoring the case of `name`. `name` must be a token, and
/// `other` must consist of lower-case letters, digits and hyphens.
pub(crate) fn is(name: &[u8], other: &str) -> bool {
    // A token has no byte that this bit turns into a hyphen or a letter of another case.
    const SMALL: u64 = u64::from_ne_bytes([0x20; 8]);
    let equal = |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) | SMALL == u64::from_ne_bytes(*b);
    let ((words, end), (other_words, other_end)) = (name.as_chunks(), other.as_bytes().as_chunks());
    name.len() == other.len()
        && words.iter().zip(other_words).all(|(a, b)| equal(a, b))
        && end.iter().zip(other_end).all(|(a, b)| a | 0x20 == *b)
}

/// Byte ranges of the name and the value of one field in a head, and its [`Name`].
#[derive(Clone, Debug)]
pub struct Field {
    name: Range<usize>,
    value: Range<usize>,
    known: Name,
}

impl Field {
    /// Creates the entry for a field whose line begins at byte `start` of the head. `name` and
    /// `value` must be subslices of `line`, and `value` must have no white space around it.
    pub(crate) fn at(start: usize, line: &[u8], name: &[u8], value: &[u8], known: Name) -> Field {
        let place = |part: &[u8]| {
            let from = start + (part.as_ptr().addr() - line.as_ptr().addr());
            from..from + part.len()
        };
        Field { name: place(name), value: place(value), known }
    }
}

/// Header fields of a message.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    places: &'a [Field],
}

impl<'a> Fields<'a> {
    /// Creates the collection of the fields at `places` in the head `bytes`.
    pub(crate) fn new(bytes: &'a [u8], places: &'a [Field]) -> Fields<'a> {
        Fields { bytes, places }
    }

    /// Returns the names and values of all fields in order. Names keep the case in which they
    /// arrived.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> {
        self.named().map(|(_, name, value)| (name, value))
    }

    /// Returns the values of all fields with this name, in order.
    pub fn values(self, of: Name) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.places.iter().filter(move |field| field.known == of).map(move |field| self.part(&field.value))
    }

    /// Returns the value of the first field with this name, ignoring the case of the field. `name`
    /// must consist of lower-case letters, digits and hyphens.
    pub fn first(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| is(found, name)).map(|(_, value)| value)
    }

    /// Returns for each field, in order, its [`Name`], its name in the case in which it arrived,
    /// and its value.
    pub(crate) fn named(self) -> impl DoubleEndedIterator<Item = (Name, &'a [u8], &'a [u8])> {
        self.places.iter().map(move |field| (field.known, self.part(&field.name), self.part(&field.value)))
    }

    /// Appends to `to` the lines of the fields that `is_sent` selects and `listed` does not
    /// contain. Writes names in lower case.
    pub(crate) fn write(self, to: &mut Vec<u8>, listed: &Listed<'_>, is_sent: impl Fn(Name) -> bool) {
        for Field { name, value, known } in self.places {
            if !is_sent(*known) || listed.contains(self.part(name)) {
                continue;
            }
            let start = to.len();
            // Most lines are sent as they are.
            match self.bytes.get(name.start..value.end + 2) {
                Some(line) if value.start == name.end + 2 && is_plain(line, name.len()) => {
                    to.extend_from_slice(line);
                }
                _ => put(to, [self.part(name), b": ", self.part(value), b"\r\n"]),
            }
            to.get_mut(start..start + name.len()).unwrap_or_default().make_ascii_lowercase();
        }
    }

    fn part(self, place: &Range<usize>) -> &'a [u8] {
        self.bytes.get(place.clone()).unwrap_or_default()
    }
}

/// Returns whether a field line has a space after its colon, which is at index `colon`, and ends in
/// CR LF. Such a line can be copied unchanged.
fn is_plain(line: &[u8], colon: usize) -> bool {
    line.get(colon + 1) == Some(&b' ') && line.ends_with(b"\r\n")
}

/// Appends all pieces to `to`. `N` is a constant, so that the compiler unrolls the loop and knows
/// the lengths of literals.
pub(crate) fn put<const N: usize>(to: &mut Vec<u8>, pieces: [&[u8]; N]) {
    pieces.into_iter().for_each(|piece| to.extend_from_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::{FORWARDED_FOR, Field, Fields, Name, REQUEST_ID, REQUEST_TIME, TRACEPARENT, TRACESTATE};
    use crate::hop_by_hop::Listed;

    #[test]
    fn names_are_known_in_any_case() {
        for (text, name) in [
            (REQUEST_ID, Name::RequestId),
            (FORWARDED_FOR, Name::ForwardedFor),
            (REQUEST_TIME, Name::RequestTime),
            (TRACEPARENT, Name::TraceParent),
            (TRACESTATE, Name::TraceState),
            ("x-handler-version", Name::HandlerVersion),
            ("Host", Name::Host),
            ("TE", Name::HopByHop),
            ("Keep-Alive", Name::HopByHop),
            ("trailers", Name::Other),
            ("", Name::Other),
        ] {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
            assert_eq!(Name::of(text.to_uppercase().as_bytes()), name, "{text}");
        }
    }

    #[test]
    fn a_name_is_no_other_token() {
        for byte in (0..=0xFF).filter(|byte| crate::h1::grammar::is_token(&[*byte])) {
            for (other, place) in [("-a", 0), ("a-", 1), ("content-length", 7), ("content-length", 13)] {
                let mut name = other.as_bytes().to_vec();
                name[place] = byte;
                assert_eq!(
                    super::is(&name, other),
                    name.eq_ignore_ascii_case(other.as_bytes()),
                    "{byte} in {other}"
                );
            }
        }
    }

    #[test]
    fn lines_are_written_in_one_form_however_they_came() {
        for line in
            ["X-A: b c\r\n", "x-a:b c\r\n", "X-a:\tb c\r\n", "x-A: b c \r\n", "X-A:  b c\n", "x-a: b c\n\n"]
        {
            let (name, value) = (&line.as_bytes()[..3], line[4..].trim().as_bytes());
            let places = [Field::at(0, line.as_bytes(), name, value, Name::Other)];
            let mut written = Vec::new();
            let listed = Listed::by(std::iter::empty());
            Fields::new(line.as_bytes(), &places).write(&mut written, &listed, |_| true);
            assert_eq!(written, b"x-a: b c\r\n", "{line:?}");
        }
    }
}
