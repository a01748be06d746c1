//! The contract between a handler module and its host (ABI). Both sides take every name, and the
//! packing of spans, from this file.
//!
//! A module exports a memory and two functions, and may export three more:
//!
//! | export | type | meaning |
//! | --- | --- | --- |
//! | [`MEMORY`] | memory | the module's linear memory |
//! | [`ALLOC`] | `(length: i32) -> i32` | returns an address for the request or the values; 0 = no room |
//! | [`HANDLE`] | `(address: i32, length: i32) -> i64` | handles a request; returns the response's [`Span`] |
//! | [`INITIALIZE`] | `()`, optional | does start-up work; every request starts from the resulting state |
//! | [`CONFIGURE`] | `(address: i32, length: i32)`, optional | after [`INITIALIZE`]: takes the values |
//! | [`PANIC_MESSAGE`] | `() -> i64`, optional | after a trap: returns the panic message's [`Span`] |
//!
//! Values are named texts that the operator of a site gives to its module. A value is encoded in
//! UTF-8 as its name, a zero byte, its text, and a zero byte. The values are sorted by name.
//!
//! A module needs no imports. The host offers two: [`LOG`] and [`RANDOM`] of the module [`HOST`].
//!
//! Addresses and lengths are unsigned 32-bit numbers of bytes, carried in WebAssembly's `i32`. The
//! request is one HTTP/1.1 message with lower-case field names and a body that is not chunked. The
//! response is one HTTP/1.1 message, too. A [`Span`] is packed into one `i64`.

/// Name of the exported linear memory. All addresses in this file are addresses in it.
pub const MEMORY: &str = "memory";
/// Name of the exported function `(length: i32) -> i32`. It reserves memory for the request or for
/// the values of the site, and returns the address, or [`NO_ROOM`].
pub const ALLOC: &str = "alloc";
/// Name of the exported function `(address: i32, length: i32) -> i64`. It handles the request at an
/// address, and returns the packed [`Span`] of the response.
pub const HANDLE: &str = "handle";
/// Name of an optional exported function without parameters or results, which the host calls for
/// start-up work before any request. Every request starts from the state that the call leaves.
pub const INITIALIZE: &str = "_initialize";
/// Name of an optional exported function `(address: i32, length: i32)`, which takes the values of
/// the site. The host calls it after [`INITIALIZE`], even if there are no values. Every request
/// starts from the state that both calls leave.
pub const CONFIGURE: &str = "configure";
/// Name of an optional exported function `() -> i64`, which the host calls after a trap. It returns
/// the packed [`Span`] of the panic message.
pub const PANIC_MESSAGE: &str = "panic_message";

/// Module name under which a handler imports [`LOG`] and [`RANDOM`] from the host.
pub const HOST: &str = "host";
/// Name of the imported function `(level: i32, address: i32, length: i32)` of [`HOST`]. It writes a
/// line of UTF-8 text to the host's log. The level is an index into [`LOG_LEVELS`].
pub const LOG: &str = "log";
/// Names of the log levels 0 to 4. The host treats a greater number as level 4.
pub const LOG_LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Name of the imported function `() -> i64` of [`HOST`], which returns 64 random bits. The host
/// derives them from the seed of the request.
pub const RANDOM: &str = "random";

/// Result of [`ALLOC`] when the memory has no room for the request or the values.
pub const NO_ROOM: u32 = 0;

/// Maximum total length of the encoded values of a site, in bytes.
pub const VALUES_MAX: usize = 64 << 10;
/// Maximum length of the name of a value, in bytes.
pub const VALUE_NAME_MAX: usize = 64;

/// Returns whether a text is a valid name of a value: an ASCII letter or `_`, followed by ASCII
/// letters, digits, `_`, `.` and `-`, with at most [`VALUE_NAME_MAX`] bytes in total.
pub fn is_value_name(name: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_next = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    name.len() <= VALUE_NAME_MAX && name.as_bytes().first().is_some_and(is_first) && name.bytes().all(is_next)
}

/// Request field that the host adds: the id of the request, under which the host logs it.
pub const REQUEST_ID: &str = "x-request-id";
/// Request field that the host adds: the client's IP address, which is that of the peer or the one
/// that a trusted proxy reports; `unknown` for a client of a Unix socket.
pub const FORWARDED_FOR: &str = "x-forwarded-for";
/// Request field that the host adds: the time at which the request's head was complete,
/// in milliseconds since the Unix epoch.
pub const REQUEST_TIME: &str = "x-request-time";

/// Request field that the host adds: `https` if the client uses TLS. The host passes on the value
/// that a trusted proxy has sent, and drops the value that any other peer has sent.
pub const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Request field that the host adds if the client has presented a certificate issued by an
/// authority that the operator trusts: the SHA-256 hash of the certificate, in 64 hexadecimal
/// digits. The host passes on the value that a trusted proxy has sent, and drops the value that any
/// other peer has sent.
pub const CLIENT_CERT_SHA256: &str = "x-client-cert-sha256";
/// Request field that the host adds with [`CLIENT_CERT_SHA256`]: the subject of the certificate, such
/// as `CN=robot, O=Example`.
pub const CLIENT_CERT_SUBJECT: &str = "x-client-cert-subject";

/// Request field that identifies the trace to which a request belongs (W3C Trace Context). A host
/// that takes part in traces (`--traceparent`) sets this field, with the host's own span as the
/// parent.
pub const TRACEPARENT: &str = "traceparent";
/// Length of a [`TRACEPARENT`] of version 00, in bytes.
pub const TRACEPARENT_BYTES: usize = 55;
/// Request field in which tracing systems pass on their own data about the trace that
/// [`TRACEPARENT`] identifies.
pub const TRACESTATE: &str = "tracestate";

/// Fields that may occur only once in a response, because recipients disagree on the meaning of a
/// repeated one (RFC 9110, sections 8, 10.2 and 14.4; RFC 9111, sections 5.1 and 5.3; RFC 6266; the
/// Fetch standard). The host refuses a response that repeats one of them. `date` is not listed,
/// because the host sets it. Neither is `content-length`, which the host checks separately.
pub const SINGLE_FIELDS: [&str; 14] = [
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "access-control-max-age",
    "age",
    "content-disposition",
    "content-location",
    "content-range",
    "content-type",
    "etag",
    "expires",
    "last-modified",
    "location",
    "retry-after",
    "server",
];

/// Range of linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Address of the first byte.
    pub address: u32,
    /// Length in bytes.
    pub length: u32,
}

impl Span {
    /// Packs the span into one number, `address << 32 | length`, as [`HANDLE`] and
    /// [`PANIC_MESSAGE`] return it.
    ///
    /// ```
    /// use handler_sdk::abi::Span;
    /// let span = Span { address: 0x1_0000, length: 22 };
    /// assert_eq!(span.pack(), 0x1_0000_0000_0016);
    /// assert_eq!(Span::unpack(span.pack()), span);
    /// ```
    pub const fn pack(self) -> u64 {
        (self.address as u64) << 32 | self.length as u64
    }

    /// Unpacks a span. Accepts any number, so the caller must check that the span lies inside the
    /// memory.
    pub const fn unpack(packed: u64) -> Self {
        Span { address: (packed >> 32) as u32, length: packed as u32 }
    }
}
