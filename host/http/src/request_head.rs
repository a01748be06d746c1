//! Head of a request in the form in which the client sent it, with one type for all versions of
//! HTTP.

use crate::field::{Fields, Name};

/// Version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, or a later minor version.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

/// Head of a request. It borrows from the buffer in which the request arrived.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method: a token.
    pub method: &'a str,
    /// Target as it was sent.
    pub target: &'a str,
    /// Version of HTTP that the client speaks.
    pub version: Version,
    /// Header fields in order.
    pub fields: Fields<'a>,
}

impl RequestHead<'_> {
    /// Returns whether the client wants to keep the connection open for another request.
    pub fn keeps_alive(&self) -> bool {
        let has = |option: &[u8]| {
            let lists = self.fields.values(Name::Connection);
            let mut options = lists.flat_map(|list| list.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
            options.any(|found| found.eq_ignore_ascii_case(option))
        };
        !has(b"close") && (self.version > Version::Http10 || has(b"keep-alive"))
    }

    /// Returns whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        // RFC 9110, section 10.1.1: the field of an HTTP/1.0 client is ignored.
        self.version > Version::Http10 && self.fields.values(Name::Expect).next().is_some()
    }
}
