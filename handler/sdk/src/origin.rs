//! What the host adds to a request: an id, the client's address, and the time.

use core::net::IpAddr;
use core::time::Duration;

use crate::Request;
use crate::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME};

impl<'a> Request<'a> {
    /// Returns the id under which the host logs the request. Every request that comes
    /// from the host has one.
    pub fn id(&self) -> Option<&'a str> {
        self.field_text(REQUEST_ID)
    }

    /// Returns the address of the client: the peer's, or the one that a trusted proxy
    /// names. `None` if the client has no address, as on a Unix socket.
    pub fn client(&self) -> Option<IpAddr> {
        self.field_text(FORWARDED_FOR)?.parse().ok()
    }

    /// Returns the time at which the head of the request was complete, since the Unix
    /// epoch, in whole milliseconds. It is the only clock of a handler, and stands still
    /// during a request.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET / HTTP/1.1\r\n\
    ///     x-request-id: 0ff64a85-3-1\r\n\
    ///     x-forwarded-for: 2001:db8::1\r\n\
    ///     x-request-time: 1795334400123\r\n\r\n").unwrap();
    /// assert_eq!(request.id(), Some("0ff64a85-3-1"));
    /// assert!(request.client().is_some_and(|client| client.is_ipv6()));
    /// assert_eq!(request.time().map(|time| time.as_secs()), Some(1_795_334_400));
    /// ```
    pub fn time(&self) -> Option<Duration> {
        self.field_text(REQUEST_TIME)?.parse().ok().map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::prelude::rust_2024::*;

    use crate::Request;

    #[test]
    fn what_the_host_tells_is_typed_and_what_it_does_not_tell_is_none() {
        for (name, fields, expected) in [
            ("nothing", "", "None None None"),
            ("IPv4", "x-forwarded-for: 192.0.2.1\r\n", "None Some(192.0.2.1) None"),
            ("IPv6", "x-forwarded-for: ::1\r\n", "None Some(::1) None"),
            ("no address", "x-forwarded-for: unix\r\n", "None None None"),
            ("an id", "x-request-id: 1-2\r\n", "Some(\"1-2\") None None"),
            ("a time past 32 bits", "x-request-time: 1795334400123\r\n", "None None Some(1795334400.123s)"),
            ("a time past 64 bits", "x-request-time: 99999999999999999999\r\n", "None None None"),
            ("a time that is none", "x-request-time: now\r\n", "None None None"),
        ] {
            let bytes = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            let request = Request::parse(bytes.as_bytes()).unwrap();
            assert_eq!(
                format!("{:?} {:?} {:?}", request.id(), request.client(), request.time()),
                expected,
                "{name}"
            );
        }
    }
}
