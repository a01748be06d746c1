//! Checks of the guarantees that the parsers give for arbitrary bytes. The tests and the fuzz
//! targets share them.

use host_http::h1::{BadMessage, Chunks, Framing, HeadParser, MessageLimits, Part};
use host_http::invalid_response::InvalidResponse;
use host_http::request::{Origin, Tls, check_head, encode};
use host_http::request_head::RequestHead;
use host_http::request_id::{ConnectionIds, RequestId};
use host_http::response::{Checked, FIELDS_MAX, Own, Places, check};
use host_http::target::Target;
use host_http::trace::Parent;

/// Limits of a message, small enough for inputs to exceed them.
const LIMITS: MessageLimits = MessageLimits { target_max: 64, head_max: 512, fields_max: 16, body_max: 4096 };

/// Maximum length of the head of a response, in bytes.
const HEAD_MAX: usize = 512;

/// A request as a parser has read it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Target as it was sent.
    pub target: String,
    /// Fields in order, with names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Whether the minor version is above 1.
    pub is_later: bool,
    /// Whether the client ends the connection after this request.
    pub is_last: bool,
    /// Head that a handler gets, or why the target or a field of the request is refused.
    pub canonical: Result<Vec<u8>, String>,
}

/// Checks that the parser reads the same requests however the bytes of a connection arrive: in one
/// piece, byte by byte, or in pieces of these lengths.
pub fn messages(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) {
    let whole = kind(read(bytes, [bytes.len()]));
    assert_eq!(whole, kind(read(bytes, std::iter::repeat_n(1, bytes.len()))), "{}", bytes.escape_ascii());
    assert_eq!(whole, kind(read(bytes, pieces)), "{}", bytes.escape_ascii());
}

/// Checks that the parser reads the same requests wherever the bytes of a connection are cut in
/// two.
pub fn every_cut(bytes: &[u8]) {
    let whole = kind(read(bytes, [bytes.len()]));
    for cut in 1..bytes.len() {
        assert_eq!(whole, kind(read(bytes, [cut])), "cut at {cut}: {}", bytes.escape_ascii());
    }
}

/// Reduces a refusal to its kind, which decides the status of the response. The rest may depend on
/// how the bytes arrive, if they violate two rules.
fn kind(
    (requests, refused): (Vec<Request>, Option<BadMessage>),
) -> (Vec<Request>, Option<std::mem::Discriminant<BadMessage>>) {
    (requests, refused.as_ref().map(std::mem::discriminant))
}

/// Parses the bytes of a connection, which arrive in pieces of these lengths. Returns the complete
/// requests and, if the bytes after them are refused, why.
pub fn read(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> (Vec<Request>, Option<BadMessage>) {
    let mut requests = Vec::new();
    let mut left = Left { bytes, arrived: 0 };
    let mut pieces = pieces.into_iter();
    let mut more = |left: &mut Left<'_>| {
        if left.arrived == left.bytes.len() {
            return false;
        }
        let piece = pieces.next().unwrap_or(left.bytes.len()).max(1);
        left.arrived = left.bytes.len().min(left.arrived + piece);
        true
    };
    loop {
        match request(&mut left, &mut more) {
            Ok(Some(request)) => {
                requests.push(request);
                if requests.last().is_some_and(|request| request.is_last) {
                    return (requests, None);
                }
            }
            Ok(None) => return (requests, None),
            Err(why) => return (requests, Some(why)),
        }
    }
}

/// Unread bytes of a connection, of which the first `arrived` have arrived.
struct Left<'a> {
    bytes: &'a [u8],
    arrived: usize,
}

impl<'a> Left<'a> {
    fn come(&self) -> &'a [u8] {
        &self.bytes[..self.arrived]
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(length);
        self.arrived -= length;
        self.bytes = rest;
        taken
    }
}

/// Reads one request. Calls `more` to let more bytes arrive. Returns `None` if the bytes end before
/// the request does.
fn request(
    left: &mut Left<'_>,
    more: &mut impl FnMut(&mut Left<'_>) -> bool,
) -> Result<Option<Request>, BadMessage> {
    let mut parser = HeadParser::default();
    let (length, framing) = loop {
        match parser.read(left.come(), &LIMITS)? {
            Some(found) => break found,
            None if more(left) => {}
            None => return Ok(None),
        }
    };
    assert!(length <= left.arrived);
    let head = left.take(length);
    let mut body = Vec::new();
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            while left.arrived < length as usize {
                if !more(left) {
                    return Ok(None);
                }
            }
            body.extend_from_slice(left.take(length as usize));
        }
        Framing::Chunked => {
            let mut chunks = Chunks::default();
            loop {
                match chunks.next(left.come(), &LIMITS)? {
                    Part::Data(length) => body.extend_from_slice(left.take(length)),
                    Part::Framing(length) => drop(left.take(length)),
                    Part::Incomplete if more(left) => {}
                    Part::Incomplete => return Ok(None),
                    Part::End => break,
                }
            }
            assert!(body.len() as u64 <= LIMITS.body_max);
        }
    }
    let lines = String::from_utf8_lossy(head);
    let head = parser.head(head);
    let canonical = check_head(&head, Tls::Off).map_err(|declined| declined.to_string()).map(|target| {
        traced(&head, target);
        let origin = Origin {
            id: &RequestId::none(),
            client: "-",
            time: std::time::SystemTime::UNIX_EPOCH,
            tls: Tls::AsSent,
            trace: None,
        };
        let mut canonical = Vec::new();
        encode(&mut canonical, &head, target, 0, body.len(), &origin);
        canonical
    });
    let fields = head
        .fields
        .iter()
        .map(|(name, value)| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    let (method, target) = (head.method.to_owned(), head.target.to_owned());
    let (fields, is_last) = (fields.collect(), !head.keeps_alive());
    let first = lines.trim_start_matches("\r\n").split("\r\n").next().unwrap_or_default();
    let is_later = !first.ends_with("/1.0") && !first.ends_with("/1.1");
    Ok(Some(Request { method, target, fields, body, is_later, is_last, canonical }))
}

/// Checks how tracing changes the head for a handler: the head has exactly one `traceparent`, it
/// has a `tracestate` only if the client's trace continues, and nothing else changes.
fn traced(head: &RequestHead<'_>, target: Target<'_>) {
    let (ids, parent) = (ConnectionIds::new().connection(), Parent::of(head.fields));
    let (id, time) = (ids.request(), std::time::SystemTime::UNIX_EPOCH);
    let trace = ids.trace(&id, parent.as_ref());
    let [mut plain, mut traced] = [Vec::new(), Vec::new()];
    let origin = Origin { id: &id, client: "-", time, tls: Tls::AsSent, trace: None };
    encode(&mut plain, head, target, 0, 0, &origin);
    encode(&mut traced, head, target, 0, 0, &Origin { trace: Some(&trace), ..origin });
    let lines = |message: &[u8], names: &[&str]| -> (Vec<String>, Vec<String>) {
        let lines = String::from_utf8_lossy(message).split("\r\n").map(str::to_owned).collect::<Vec<_>>();
        lines.into_iter().partition(|line| names.iter().any(|name| line.starts_with(name)))
    };
    let (parents, _) = lines(&traced, &["traceparent: "]);
    assert_eq!(parents, [format!("traceparent: {}", trace.as_bytes().escape_ascii())]);
    let names = ["traceparent: ", "tracestate: "];
    assert_eq!(lines(&traced, &names).1, lines(&plain, &names).1);
    let states = |message: &[u8]| lines(message, &["tracestate: "]).0;
    assert_eq!(states(&traced), if parent.is_some() { states(&plain) } else { Vec::new() });
}

/// Checks that the parser accepts a `traceparent` if and only if a simple reader, which splits the
/// value into parts, accepts it. Also checks that the value for the handler continues the trace.
pub fn traceparent(value: &[u8]) {
    let parts: Vec<&[u8]> = value.split(|&byte| byte == b'-').collect();
    let is_hex = |part: &[u8]| part.iter().all(|byte| b"0123456789abcdef".contains(byte));
    let expected = match parts[..] {
        [version, trace, span, flags, ref rest @ ..] => {
            let lengths = [version, trace, span, flags].map(<[u8]>::len);
            let is_known = version != b"ff" && (version != b"00" || rest.is_empty());
            let are_set = [trace, span].iter().all(|id| id.iter().any(|&byte| byte != b'0'));
            lengths == [2, 32, 16, 2]
                && [version, trace, span, flags].into_iter().all(is_hex)
                && is_known
                && are_set
        }
        _ => false,
    };
    let parent = Parent::parse(value);
    assert_eq!(parent.is_some(), expected, "{}", value.escape_ascii());
    let ids = ConnectionIds::new().connection();
    let id = ids.request();
    let trace = ids.trace(&id, parent.as_ref());
    let read = Parent::parse(trace.as_bytes());
    assert!(read.is_some(), "{}", trace.as_bytes().escape_ascii());
    if parent.is_some() {
        assert_eq!(
            (trace.trace_id().as_bytes(), trace.parent_id().unwrap().as_bytes()),
            (parts[1], parts[2])
        );
        assert_ne!(read, parent, "the host is a span of its own");
    }
}

/// Checks that a response is either refused or sent in a form that HTTP allows.
pub fn response(bytes: &[u8]) {
    for method in ["GET", "HEAD", "CONNECT"] {
        let mut places = Places::default();
        let checked = check(bytes, method, HEAD_MAX, &mut places);
        compare(bytes, checked.as_ref());
        let Ok(checked) = checked else {
            continue;
        };
        let (id, date) = (RequestId::none(), b"Thu, 01 Jan 1970 00:00:00 GMT");
        let mut head = Vec::new();
        checked.write_head(&mut head, &Own { id: &id, version: None, connection: None, hsts: None, date });
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut read = httparse::Response::new(&mut fields);
        let length = read.parse(&head).unwrap_or_else(|why| panic!("{why}: {}", bytes.escape_ascii()));
        assert_eq!(length, httparse::Status::Complete(head.len()), "{}", bytes.escape_ascii());
        let status = read.code.unwrap();
        assert!((200..600).contains(&status), "{status}: {}", bytes.escape_ascii());
        assert!(method != "CONNECT" || status >= 300, "{status}: {}", bytes.escape_ascii());
        let count = |name| read.headers.iter().filter(|field| field.name == name).count();
        for name in ["transfer-encoding", "connection", "keep-alive"] {
            assert_eq!(count(name), 0, "{name}: {}", bytes.escape_ascii());
        }
        assert_eq!(count("date"), 1, "{}", bytes.escape_ascii());
        assert!(count("content-length") <= 1, "{}", bytes.escape_ascii());
        let stated = read.headers.iter().find(|field| field.name == "content-length");
        let stated = stated.map(|field| std::str::from_utf8(field.value).unwrap().parse::<usize>().unwrap());
        let body = checked.body().len();
        assert!(method == "HEAD" || status == 304 || stated.unwrap_or(0) == body, "{}", bytes.escape_ascii());
    }
}

/// Checks that the crate httparse reads the head of a response in the same way.
fn compare(bytes: &[u8], checked: Result<&Checked<'_>, &InvalidResponse>) {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut peer = httparse::Response::new(&mut fields);
    let read = peer.parse(bytes);
    match checked {
        Ok(checked) => {
            assert!(matches!(read, Ok(httparse::Status::Complete(_))), "{read:?}: {}", bytes.escape_ascii());
            assert_eq!(peer.code, Some(checked.status), "{}", bytes.escape_ascii());
            let mut left = peer.headers.iter();
            for (name, value) in checked.fields() {
                let same =
                    |field: &httparse::Header<'_>| field.name.as_bytes() == name && field.value == value;
                assert!(left.any(same), "{}", bytes.escape_ascii());
            }
        }
        // httparse skips a reason phrase that it cannot read.
        Err(InvalidResponse::Head("its reason phrase is malformed")) => {}
        Err(InvalidResponse::Head(why)) => {
            assert!(read.is_err() || !bytes.starts_with(b"HTTP/1.1 "), "{why}: {}", bytes.escape_ascii());
        }
        Err(_) => {}
    }
}
