//! Checks that the server handles the bytes that a module returns as the contract between them
//! says. The served module returns the body of each request as its response.

use super::Host;
use super::replies::{Output, Reply, Sender, read_head};
use super::requests::{house, show};
use super::rfc9110::forwarded;
use super::rfc9112::{Fields, number, values};

/// Maximum number of headers of a module's response.
const FIELDS_MAX: usize = 100;

/// Maximum number of options in all `connection` headers of a response together.
const OPTIONS_MAX: usize = 64;

/// Fields that a response may have at most once.
const SINGLE: [&str; 14] = [
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

/// Response of the module to the last request. It shows that the connection still works.
const LAST: &[u8] = b"HTTP/1.1 200 OK\n\nlast";

/// Returns a server whose module returns the body of the request as its response.
pub fn host() -> Host {
    Host::new("raw.wat", &[])
}

/// Makes a request with each of several methods. Checks the responses that the client gets if the
/// module returns these bytes.
pub fn check(host: &Host, response: &[u8]) {
    let mut asked = Vec::new();
    let methods = ["GET", "HEAD", "POST", "OPTIONS"];
    for (method, response) in methods.map(|method| (method, response)).into_iter().chain([("GET", LAST)]) {
        let length = response.len();
        asked.extend(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n").bytes());
        asked.extend(response);
    }
    let output = host.ask([&asked[..]]);
    let about = format!("module: {}\ngot: {}\n", response.escape_ascii(), output.escape_ascii());
    let mut output = Output::new(&output);
    for method in methods {
        let reply = output.next(method.as_bytes());
        let reply = reply.unwrap_or_else(|why| panic!("no response to {method}: {why}\n{about}"));
        judge(response, method, &reply, &format!("{method}, {about}"));
    }
    let last = output.next(b"GET").unwrap_or_else(|why| panic!("no last response: {why}\n{about}"));
    assert_eq!((last.status, &last.body[..]), (200, &b"last"[..]), "{about}");
    assert!(output.is_at_end(), "there is more: {}\n{about}", output.rest());
}

/// Checks the response that the client gets, if the module has returned `response`.
fn judge(response: &[u8], method: &str, reply: &Reply, about: &str) {
    let is_head = method == "HEAD";
    assert!((200..600).contains(&reply.status), "{about}");
    assert_eq!(reply.field("connection"), None, "{about}");
    assert!(reply.field("x-request-id").is_some(), "{about}");
    assert_eq!(reply.field("x-handler-version"), Some(&b"1"[..]), "{about}");
    let Some(said) = read(response).filter(|said| is_framed(said, is_head)) else {
        assert_eq!(reply.status, 502, "{about}");
        return house(reply, is_head, about);
    };
    assert_eq!((reply.status, &reply.reason), (said.status, &said.reason), "{about}");

    let own = ["x-request-id", "x-handler-version", "content-length", "date"];
    let expected = forwarded(&said.fields, &own);
    let mut fields = reply.fields.clone();
    assert!(reply.field("date").is_some_and(|date| date.ends_with(b" GMT")), "{about}");
    fields.retain(|(name, _)| !own.iter().any(|own| own.as_bytes() == name));
    // Sorts by name, because the order of headers with different names has no meaning
    // (RFC 9110, section 5.3).
    assert_eq!(show(&by_name(fields)), show(&by_name(expected)), "{about}");

    let stated = values(&said.fields, "content-length").first().copied();
    let length = said.body.len().to_string();
    let left_out = said.body.is_empty() && (is_head || said.status == 304);
    let expected = match stated {
        _ if said.status == 204 => None,
        // Without a body, only the module knows the length of the response to GET.
        _ if left_out => stated,
        _ => Some(length.as_bytes()),
    };
    let [found, expected] = [reply.field("content-length"), expected].map(|length| length.map(number::<u64>));
    assert_eq!(found, expected, "{about}");
    let body = if is_head { &[][..] } else { &said.body[..] };
    assert_eq!(reply.body, body, "{about}");
}

fn by_name(mut fields: Fields) -> Fields {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields
}

/// Parses the response of a module as the contract says: everything behind the head is the body.
fn read(response: &[u8]) -> Option<Reply> {
    let (mut said, body) = read_head(response, Sender::Module).ok()??;
    said.body = body.to_vec();
    Some(said)
}

/// Returns whether the host can send the response: its status is final, its length is
/// right, and it is within the limits.
fn is_framed(said: &Reply, is_head: bool) -> bool {
    let lengths = values(&said.fields, "content-length");
    let empty = said.body.is_empty();
    let is_right = match lengths[..] {
        [] => true,
        [length] => {
            let is_plain = length == b"0" || !length.starts_with(b"0");
            let is_left_out = empty && (is_head || said.status == 304);
            let right = |number: i64| is_left_out || number as u64 == said.body.len() as u64;
            is_plain && number(length).is_some_and(right)
        }
        _ => false,
    };
    (200..600).contains(&said.status)
        && values(&said.fields, "transfer-encoding").is_empty()
        && is_right
        && (empty || !matches!(said.status, 204 | 205 | 304))
        && said.fields.len() <= FIELDS_MAX
        && SINGLE.iter().all(|name| values(&said.fields, name).len() < 2)
        && options(&said.fields) <= OPTIONS_MAX
}

/// Counts the options in all `connection` headers, including empty ones.
fn options(fields: &Fields) -> usize {
    values(fields, "connection").iter().map(|list| list.split(|&byte| byte == b',').count()).sum()
}
