//! Row of a table: the bytes of one request, and the expected outcome. A second request
//! is sent right behind the row, as an attacker would smuggle it past a proxy. Whether it
//! is answered shows where the server saw the end of the row.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::answers::{INDEX, NOT_ALLOWED, NOT_FOUND, ROUTE};
use crate::harness::wire::replies::own_page;
use crate::harness::{Client, Server};

/// Request before or behind a row, and the status and body of each handler's response, in
/// the order of `Handler`.
struct Beside {
    bytes: &'static [u8],
    replies: [(u16, &'static str); 3],
}

/// Request without a body that precedes a row.
const GOOD: Beside = Beside {
    bytes: b"GET /route HTTP/1.1\r\nhost: a\r\n\r\n",
    replies: [(200, ROUTE), (200, ""), (200, "GET /route HTTP/1.1|host: a||")],
};

/// Request with a chunked body that precedes a row. The server finds its end in another
/// way than that of `GOOD`.
const GOOD_WITH_BODY: Beside = Beside {
    bytes: b"POST /route HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    replies: [
        (405, NOT_ALLOWED),
        (200, "hello"),
        (200, "POST /route HTTP/1.1|host: a|content-length: 5||hello"),
    ],
};

/// Request that follows every row.
const SMUGGLED: Beside = Beside {
    bytes: b"GET /route HTTP/1.1\r\nhost: b\r\n\r\n",
    replies: [(200, ROUTE), (200, ""), (200, "GET /route HTTP/1.1|host: b||")],
};

/// Longest row in bytes that is also sent byte by byte.
const DRIPPED_MAX: usize = 1024;

/// Number of rows that are tested at the same time.
const AT_ONCE: usize = 4;

/// Most bytes of a row that a failure message shows.
const SHOWN_MAX: usize = 400;

#[derive(Clone)]
pub struct Row {
    /// RFC and section, such as `9112 7.1`.
    section: &'static str,
    status: u16,
    name: &'static str,
    bytes: Vec<u8>,
    outcome: Outcome,
    /// Expected body of the handler's response; `None` means the usual one of the handler.
    body: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The end of the request is unclear, so the connection is closed.
    Refused,
    /// The request is wrong, but its end is clear, so the connection stays open.
    Declined,
    /// The handler answers, and the connection stays open.
    Served,
    /// The handler answers, and the connection is closed.
    Last,
}

pub fn refused(section: &'static str, status: u16, name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    Row { section, status, name, bytes: bytes.into(), outcome: Outcome::Refused, body: None }
}

pub fn declined(section: &'static str, status: u16, name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    Row { outcome: Outcome::Declined, ..refused(section, status, name, bytes) }
}

pub fn served(section: &'static str, status: u16, name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    Row { outcome: Outcome::Served, ..refused(section, status, name, bytes) }
}

pub fn last(section: &'static str, status: u16, name: &'static str, bytes: impl Into<Vec<u8>>) -> Row {
    Row { outcome: Outcome::Last, ..refused(section, status, name, bytes) }
}

impl Row {
    /// Returns the row with this expected body.
    pub fn with(self, body: impl Into<Vec<u8>>) -> Row {
        Row { body: Some(body.into()), ..self }
    }
}

/// Returns the method of a request, which decides how the response is framed.
fn method(bytes: &[u8]) -> &str {
    let word = bytes.trim_ascii_start().split(|&byte| byte == b' ').next().unwrap_or_default();
    std::str::from_utf8(word).unwrap_or_default()
}

/// Returns a request with this request line and a `host` header.
pub fn line(line: &[u8]) -> Vec<u8> {
    [line, b"\r\nhost: a\r\n\r\n"].concat()
}

/// Returns a GET request for `/` with these header lines.
pub fn get(fields: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\n", fields, b"\r\n\r\n"].concat()
}

/// Returns a POST request for `/` with these header lines and this body.
pub fn post(fields: &[u8], body: &[u8]) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nhost: a\r\n", fields, b"\r\n\r\n", body].concat()
}

/// Handler that answers the rows of a table.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Answers `/` and `/route`, 404 for other targets and 405 for other methods.
    Default,
    /// Answers with the body of the request. The usual body of a row is `hello`.
    Echo,
    /// Answers with the whole request.
    Show,
}

impl Handler {
    fn start(self) -> Server {
        match self {
            Handler::Default => Server::start(),
            Handler::Echo => Server::of("echo.wat"),
            Handler::Show => Server::of("show.wat"),
        }
    }

    /// Checks the body of a handler's response to a row.
    fn check(self, row: &Row, found: &[u8]) {
        let usual = match self {
            _ if method(&row.bytes) == "HEAD" => "",
            Handler::Default if row.bytes.starts_with(b"OPTIONS") => "",
            Handler::Default if row.status == 404 => NOT_FOUND,
            Handler::Default if row.status == 405 => NOT_ALLOWED,
            Handler::Default if row.bytes.windows(6).any(|bytes| bytes == b"/route") => ROUTE,
            Handler::Default => INDEX,
            Handler::Echo | Handler::Show => "hello",
        };
        let found = self.shown(found);
        let expected = row.body.as_deref().unwrap_or(usual.as_bytes());
        assert!(found == expected, "the body is {} bytes: {}", found.len(), start(&found));
    }

    /// Returns the body of a response. In a body that shows a request, headers whose values
    /// differ between requests are left out.
    fn shown(self, body: &[u8]) -> Vec<u8> {
        match self {
            Handler::Show => super::passed_on::kept(body).into_bytes(),
            Handler::Default | Handler::Echo => body.to_vec(),
        }
    }

    /// Reads the response to a request before or behind a row, and checks it.
    fn expect(self, client: &mut Client, beside: &Beside) {
        let reply = client.reply_to(method(beside.bytes));
        let (status, body) = beside.replies[self as usize];
        let found = self.shown(&reply.body);
        let is_right = reply.status == status && found == body.as_bytes();
        assert!(is_right, "{} and {:?} instead of {status} and {body:?}", reply.status, start(&found));
    }
}

/// Way to send a row: its position in the connection, and whether byte by byte.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    First,
    BehindAnother,
    BehindABody,
    InSingleBytes,
}

/// Sends all rows to one server in every way. Panics with a list of all failures, if any.
pub fn check(handler: Handler, rows: &[Row]) {
    let server = handler.start();
    let address = server.addresses[0];
    let ways = [Way::First, Way::BehindAnother, Way::BehindABody, Way::InSingleBytes];
    let all = rows.iter().flat_map(|row| ways.map(|way| (row, way)));
    let turns: Vec<_> =
        all.filter(|(row, way)| *way != Way::InSingleBytes || row.bytes.len() <= DRIPPED_MAX).collect();

    let failures_of = |turns: &[(&Row, Way)]| -> Vec<String> {
        turns.iter().filter_map(|&(row, way)| attempt(address, handler, row, way).err()).collect()
    };
    let mut failures: Vec<String> = std::thread::scope(|scope| {
        let parts = turns.chunks(turns.len().div_ceil(AT_ONCE));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || failures_of(part))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    failures.sort();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), turns.len(), failures.join("\n"));
}

/// Sends one row in one way. The error names the row and the problem.
fn attempt(address: SocketAddr, handler: Handler, row: &Row, way: Way) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| exchange(address, handler, row, way))).map_err(|panic| {
        let problem = panic.downcast_ref::<String>().map(String::as_str);
        let problem = problem.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic");
        let Row { section, name, status, outcome, .. } = row;
        let expected = format!("RFC {section}: {name}: expected {status} {outcome:?}, {way:?}");
        format!("{expected}\n    problem: {problem}\n    sent: {}", start(&row.bytes))
    })
}

fn exchange(address: SocketAddr, handler: Handler, row: &Row, way: Way) {
    let mut client = Client::connect(address);
    let before = match way {
        Way::First | Way::InSingleBytes => None,
        Way::BehindAnother => Some(GOOD),
        Way::BehindABody => Some(GOOD_WITH_BODY),
    };
    let first = before.as_ref().map_or(&[][..], |before| before.bytes);
    let bytes = [first, &row.bytes, SMUGGLED.bytes].concat();
    match way {
        Way::InSingleBytes => bytes.iter().for_each(|&byte| client.send([byte])),
        _ => client.send(bytes),
    }
    if let Some(before) = before {
        handler.expect(&mut client, &before);
    }
    let method = method(&row.bytes);
    let mut reply = client.reply_to(method);
    if reply.status == 100 {
        // Skips `100 Continue`, which the server may or may not send: the body has been
        // sent already.
        reply = client.reply_to(method);
    }
    let found = row.status == reply.status;
    assert!(found, "it is {}: {}", reply.status, start(&reply.body));
    let closes = reply.field("connection") == Some("close");
    match row.outcome {
        Outcome::Refused | Outcome::Declined => {
            let page = own_page(row.status);
            let whole = reply.text() == if method == "HEAD" { "" } else { &page };
            assert!(whole, "the page is not the server's own: {}", reply.text());
            let length = page.len().to_string();
            assert!(reply.field("content-length") == Some(&length), "not its length: {:?}", reply.fields);
            let id = reply.field("x-request-id").is_some_and(|id| !id.is_empty());
            let date = reply.field("date").is_some_and(|date| date.ends_with(" GMT"));
            assert!(id && date, "no id, or no date: {:?}", reply.fields);
        }
        Outcome::Served | Outcome::Last => handler.check(row, &reply.body),
    }
    match row.outcome {
        Outcome::Refused => assert!(closes, "the end is not announced: {:?}", reply.fields),
        Outcome::Declined | Outcome::Served => {
            assert!(!closes, "the end is announced: {:?}", reply.fields);
            handler.expect(&mut client, &SMUGGLED);
            // Ends the connection, so that `expect_close` can check for further responses.
            client.finish_sending();
        }
        Outcome::Last => {}
    }
    client.expect_close();
}

/// Returns the first bytes of a text, escaped, for a failure message.
fn start(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(SHOWN_MAX)].escape_ascii().to_string()
}
