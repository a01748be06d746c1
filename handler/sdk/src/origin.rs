//! Reads what the host adds to a request: an id, the client's address, the time, and the trace.

use core::net::IpAddr;
use core::time::Duration;

use crate::Request;
use crate::abi::{FORWARDED_FOR, REQUEST_ID, REQUEST_TIME, TRACEPARENT};

impl<'a> Request<'a> {
    /// Returns the id under which the host logs the request. Every request that comes
    /// from the host has one.
    pub fn id(&self) -> Option<&'a str> {
        self.field_text(REQUEST_ID)
    }

    /// Returns the IP address of the client, which is that of the peer or the one that a trusted
    /// proxy reports. `None` if the client has no IP address, as on a Unix socket.
    pub fn client(&self) -> Option<IpAddr> {
        self.field_text(FORWARDED_FOR)?.parse().ok()
    }

    /// Returns the time at which the head of the request was complete, since the Unix epoch, in
    /// whole milliseconds. This time is the only clock of a handler, and does not advance during a
    /// request. `None` if the request did not come from a host.
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

    /// Returns the id of the trace that the request belongs to: 32 hexadecimal digits, as in the
    /// log. `None` if `traceparent` is missing, malformed or repeated.
    ///
    /// A host that takes part in traces (`--traceparent`) gives every request a trace id. Any other
    /// host passes on what the client sent, which may be made up.
    ///
    /// ```
    /// # use handler_sdk::Request;
    /// let request = Request::parse(b"GET / HTTP/1.1\r\n\
    ///     traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n").unwrap();
    /// assert_eq!(request.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    /// ```
    pub fn trace_id(&self) -> Option<&'a str> {
        let mut values = self.field_values(TRACEPARENT);
        let (value, None) = (values.next()?, values.next()) else { return None };
        let mut parts = str::from_utf8(value).ok()?.split('-');
        let mut next = || parts.next().unwrap_or_default();
        let (version, trace, span, flags) = (next(), next(), next(), next());
        let is_hex = |part: &str, digits| {
            part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
        let is_valid = version == "00" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2);
        (is_valid && parts.next().is_none()).then_some(trace)
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

    #[test]
    fn a_trace_is_told_only_by_one_valid_traceparent() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let of = |values: &[String]| {
            let lines: String = values.iter().map(|value| format!("traceparent: {value}\r\n")).collect();
            let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n");
            Request::parse(bytes.as_bytes()).unwrap().trace_id().map(str::to_owned)
        };
        let valid = format!("00-{trace}-{span}-01");
        assert_eq!(of(core::slice::from_ref(&valid)).as_deref(), Some(trace));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[valid.clone(), valid.clone()]), None);
        for value in [
            String::new(),
            trace.into(),
            format!("01-{trace}-{span}-01"),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-x"),
            format!("00-{trace}-{span}-1"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
        ] {
            assert_eq!(of(core::slice::from_ref(&value)), None, "{value}");
        }
    }
}
