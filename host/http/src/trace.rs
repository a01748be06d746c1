//! Trace context: the trace that a request belongs to, which tracing systems carry from server to
//! server in the field `traceparent` (<https://www.w3.org/TR/trace-context/>).
//!
//! The host adds a span of its own to the trace. The id of this span is the hash in the request id,
//! so the log needs no second id to find the span. If the trace begins with the request, the second
//! half of the trace id is the id of this span, as in Zipkin, and the first half is a hash of the
//! connection.

use handler_sdk::abi::TRACEPARENT_BYTES;

use crate::field::{Fields, Name};
use crate::request_id::{RequestId, RequestIds};

/// Number of hexadecimal digits in the id of a trace.
const TRACE_DIGITS: usize = 32;

/// Number of hexadecimal digits in the id of a span.
const SPAN_DIGITS: usize = 16;

/// Byte index of the trace id in a `traceparent`, which has the form `00-TRACE-SPAN-FLAGS`.
const TRACE_AT: usize = 3;
/// Byte index of the span id in a `traceparent`.
const SPAN_AT: usize = TRACE_AT + TRACE_DIGITS + 1;
/// Byte index of the flags in a `traceparent`.
const FLAGS_AT: usize = SPAN_AT + SPAN_DIGITS + 1;

/// Flag that says that the sender may have recorded the trace.
const SAMPLED: u8 = 0b01;

/// Flag that says that the trace id is random (Trace Context, level 2).
const RANDOM: u8 = 0b10;

/// The span that caused a request, as the client names it in `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: [u8; TRACE_DIGITS],
    span: [u8; SPAN_DIGITS],
    flags: u8,
}

impl Parent {
    /// Returns the span that the `traceparent` field of a request names; [`None`] if the field is
    /// missing, malformed or repeated.
    pub fn of(fields: Fields<'_>) -> Option<Parent> {
        let mut values = fields.values(Name::TraceParent);
        let value = values.next()?;
        if values.next().is_some() { None } else { Parent::parse(value) }
    }

    /// Parses a `traceparent`. If its version is later than 00, reads only the parts that version
    /// 00 defines, as section 4.3 of Trace Context requires.
    pub fn parse(value: &[u8]) -> Option<Parent> {
        let (fixed, rest) = value.split_first_chunk::<TRACEPARENT_BYTES>()?;
        let version = byte(fixed.get(..2)?)?;
        let is_ended = match version {
            0 => rest.is_empty(),
            0xFF => false,
            _ => rest.is_empty() || rest.starts_with(b"-"),
        };
        let has_hyphens = [TRACE_AT, SPAN_AT, FLAGS_AT].iter().all(|at| fixed.get(at - 1) == Some(&b'-'));
        let trace = id(fixed.get(TRACE_AT..SPAN_AT - 1)?)?;
        let span = id(fixed.get(SPAN_AT..FLAGS_AT - 1)?)?;
        let flags = byte(fixed.get(FLAGS_AT..)?)?;
        // The other flags of version 00 are to be set to 0, and those of later ones are unknown.
        let known = if version == 0 { SAMPLED | RANDOM } else { SAMPLED };
        (is_ended && has_hyphens).then_some(Parent { trace, span, flags: flags & known })
    }
}

/// Parses the id of a trace or a span: hexadecimal digits in lower case that are not all zero.
fn id<const DIGITS: usize>(text: &[u8]) -> Option<[u8; DIGITS]> {
    let id = <[u8; DIGITS]>::try_from(text).ok()?;
    let is_valid = id.iter().all(|byte| digit(*byte).is_some()) && id.iter().any(|byte| *byte != b'0');
    is_valid.then_some(id)
}

/// Parses two hexadecimal digits in lower case.
fn byte(text: &[u8]) -> Option<u8> {
    match text {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Parses a hexadecimal digit in lower case. The specification allows no capitals.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// The host's span of a request.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Value of `traceparent` that the host passes on to the handler.
    text: [u8; TRACEPARENT_BYTES],
    /// Id of the span that caused the request; [`None`] if the trace begins with the request.
    parent: Option<[u8; SPAN_DIGITS]>,
}

impl RequestIds {
    /// Creates the host's span for the request with this id, which arrived on this connection.
    /// Without a `parent`, the span begins a new trace. The flags are those of the parent. A new
    /// trace has the flags 00, because no earlier system has decided to record it.
    pub fn trace(&self, id: &RequestId, parent: Option<&Parent>) -> Trace {
        let span = not_zero(id.hash_digits());
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let mut put = |at: usize, digits: &[u8]| {
            if let Some(place) = text.get_mut(at..at + digits.len()) {
                place.copy_from_slice(digits);
            }
        };
        match parent {
            Some(parent) => {
                put(TRACE_AT, &parent.trace);
                put(FLAGS_AT + 1, &[b'0' + parent.flags]);
            }
            None => {
                put(TRACE_AT, &self.hash_digits());
                put(TRACE_AT + SPAN_DIGITS, &span);
            }
        }
        put(SPAN_AT, &span);
        Trace { text, parent: parent.map(|parent| parent.span) }
    }
}

/// Returns the digits of a span id, but `0000000000000001` instead of all zeros, which the
/// specification forbids.
fn not_zero(mut digits: [u8; SPAN_DIGITS]) -> [u8; SPAN_DIGITS] {
    if digits == [b'0'; SPAN_DIGITS] {
        digits = *b"0000000000000001";
    }
    digits
}

impl Trace {
    /// Returns the value of the field `traceparent` for a handler.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Returns the id of the trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.part(TRACE_AT, TRACE_DIGITS)
    }

    /// Returns the id of the host's span: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        self.part(SPAN_AT, SPAN_DIGITS)
    }

    /// Returns the id of the span that caused the request: 16 hexadecimal digits. [`None`] if the
    /// trace begins with this request.
    pub fn parent_id(&self) -> Option<&str> {
        self.parent.as_ref().and_then(|parent| str::from_utf8(parent).ok())
    }

    /// Returns whether the span continues the trace of the client. If so, the `tracestate` of the
    /// client is passed on.
    pub(crate) fn is_continued(&self) -> bool {
        self.parent.is_some()
    }

    fn part(&self, at: usize, length: usize) -> &str {
        self.text.get(at..at + length).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Parent, RequestId};
    use crate::h1::{HeadParser, MessageLimits};
    use crate::request_id::ConnectionIds;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    /// Returns the trace id and the flags that a handler gets for a `traceparent`; [`None`] if the
    /// value is malformed.
    fn continued(value: &str) -> Option<(String, String)> {
        let ids = ConnectionIds::new().connection();
        let id = ids.request();
        let parent = Parent::parse(value.as_bytes())?;
        let trace = ids.trace(&id, Some(&parent));
        assert_eq!(trace.parent_id(), Some(SPAN));
        let text = str::from_utf8(trace.as_bytes()).unwrap();
        assert_eq!(text, format!("00-{}-{}-{}", trace.trace_id(), trace.span_id(), &text[53..]));
        assert!(id.as_str().ends_with(trace.span_id()));
        Some((trace.trace_id().to_owned(), text[53..].to_owned()))
    }

    #[test]
    fn a_trace_goes_on_with_the_hosts_span_in_version_00() {
        for (version, flags, passed_on) in [
            ("00", "00", "00"),
            ("00", "01", "01"),
            ("00", "02", "02"),
            ("00", "03", "03"),
            ("00", "ff", "03"),
            ("00", "fc", "00"),
            ("01", "03", "01"),
            ("cc", "fe", "00"),
            ("fe", "01-", "01"),
            ("01", "01-what-a-later-version-has", "01"),
        ] {
            let value = format!("{version}-{TRACE}-{SPAN}-{flags}");
            assert_eq!(continued(&value), Some((TRACE.into(), passed_on.into())), "{value}");
        }
    }

    #[test]
    fn what_is_not_exactly_a_traceparent_is_none() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("01-{TRACE}-{SPAN}"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-001"),
            format!("0g-{TRACE}-{SPAN}-01"),
            format!("0G-{TRACE}-{SPAN}-01"),
            format!("CC-{TRACE}-{SPAN}-01"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("00-{TRACE}-{SPAN}-0x"),
            format!("00-{}ü-{SPAN}-01", &TRACE[..30]),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"),
        ] {
            assert_eq!(Parent::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn several_fields_are_as_none() {
        let of = |lines: &[&str]| {
            let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes();
            let limits = MessageLimits { target_max: 9, head_max: 1024, fields_max: 9, body_max: 0 };
            let mut parser = HeadParser::default();
            assert!(parser.read(&bytes, &limits).unwrap().is_some());
            Parent::of(parser.head(&bytes).fields).is_some()
        };
        let (line, state) = (format!("TraceParent:  00-{TRACE}-{SPAN}-01 "), "tracestate: a=b");
        assert!(of(&[&line]) && of(&[state, &line, state]));
        assert!(!of(&[]) && !of(&[state]) && !of(&[&line, &line]) && !of(&["traceparent:", &line]));
    }

    #[test]
    fn new_traces_differ() {
        let ids = ConnectionIds::new();
        let (one, other) = (ids.connection(), ids.connection());
        let trace = |ids: &super::RequestIds| ids.trace(&ids.request(), None);
        let traces = [trace(&one), trace(&one), trace(&other)];
        assert_ne!(traces[0].trace_id()[..16], traces[2].trace_id()[..16]);
        for (index, trace) in traces.iter().enumerate() {
            assert!(Parent::parse(trace.as_bytes()).is_some(), "{trace:?}");
            assert!(trace.parent_id().is_none() && trace.as_bytes().ends_with(b"-00"));
            for next in &traces[index + 1..] {
                assert_ne!(trace.trace_id(), next.trace_id());
                assert_ne!(trace.trace_id()[16..], next.trace_id()[16..]);
                assert_ne!(trace.span_id(), next.span_id());
            }
        }
    }

    #[test]
    fn no_id_is_all_zeros() {
        assert_eq!(&super::not_zero([b'0'; 16]), b"0000000000000001");
        let ids = ConnectionIds::new().connection();
        let (parent, zeros) = (Parent::parse(format!("00-{TRACE}-{SPAN}-01").as_bytes()), "0".repeat(16));
        for id in [RequestId::parse(&format!("1-1-{zeros}")).unwrap(), RequestId::none()] {
            assert_eq!(ids.trace(&id, parent.as_ref()).span_id(), "0000000000000001");
        }
    }
}
