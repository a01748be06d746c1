//! The head of a request, in the form in which it arrived. It is the same for every
//! version of HTTP.

use std::ops::Range;

/// Version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, or a later minor version.
    #[default]
    Http11,
}

/// Head of a request: slices of the buffer that it arrived in.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method: a token.
    pub method: &'a str,
    /// Target as it was sent.
    pub target: &'a str,
    /// Version of the client.
    pub version: Version,
    /// Header fields in order.
    pub fields: Fields<'a>,
}

/// Header fields of a request.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    places: &'a [Field],
}

/// Place of one field in a buffer.
#[derive(Clone, Debug)]
pub struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Field {
    /// Notes the name and the value of a line that begins at `start` of the buffer.
    pub(crate) fn at(start: usize, line: &[u8], name: &[u8], value: &[u8]) -> Field {
        let place = |part: &[u8]| {
            let from = start + (part.as_ptr().addr() - line.as_ptr().addr());
            from..from + part.len()
        };
        Field { name: place(name), value: place(value) }
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], places: &'a [Field]) -> Fields<'a> {
        Fields { bytes, places }
    }

    /// Returns names, in any case of letters, and values in order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'a [u8], &'a [u8])> {
        let part = move |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.places.iter().map(move |field| (part(&field.name), part(&field.value)))
    }

    /// Returns the values of all fields of a name in order.
    pub fn values(self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

impl RequestHead<'_> {
    /// Returns whether the client keeps the connection open for another request.
    pub fn keeps_alive(&self) -> bool {
        let has = |option: &[u8]| {
            let lists = self.fields.values("connection");
            let mut options = lists.flat_map(|list| list.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
            options.any(|found| found.eq_ignore_ascii_case(option))
        };
        !has(b"close") && (self.version > Version::Http10 || has(b"keep-alive"))
    }

    /// Returns whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        // RFC 9110, section 10.1.1: the field of an HTTP/1.0 client is ignored.
        self.version > Version::Http10 && self.fields.values("expect").next().is_some()
    }
}
