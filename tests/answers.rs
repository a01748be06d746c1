//! Responses of the default handler, as a client sees them: to each route and to wrong
//! requests, on several addresses, pipelined, and beside silent connections.

use crate::harness::{Client, Server};

pub const INDEX: &str = "<h1> hello index</h1>";
pub const ROUTE: &str = "<h1> hello route</h1>";
pub const NOT_FOUND: &str = "<h1>error 404 not found</h1>";
pub const NOT_ALLOWED: &str = "<h1>error 405 method not allowed</h1>";
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// Method and target of a request; then status, reason phrase, `allow` header and body of
/// the response. For HEAD the body is that of GET; the response has only its length.
type Case = (&'static str, &'static str, u16, &'static str, Option<&'static str>, &'static str);

#[rustfmt::skip]
pub const TABLE: &[Case] = &[
    ("GET",     "/",            200, "OK",                    None,        INDEX),
    ("GET",     "/route",       200, "OK",                    None,        ROUTE),
    ("GET",     "/?a=1",        200, "OK",                    None,        INDEX),
    ("GET",     "/route?",      200, "OK",                    None,        ROUTE),
    ("GET",     "/route?/nope", 200, "OK",                    None,        ROUTE),
    ("GET",     "/nope",        404, "page not found",        None,        NOT_FOUND),
    ("GET",     "/route/",      404, "page not found",        None,        NOT_FOUND),
    ("GET",     "/Route",       404, "page not found",        None,        NOT_FOUND),
    ("GET",     "//",           404, "page not found",        None,        NOT_FOUND),
    ("GET",     "/%72oute",     404, "page not found",        None,        NOT_FOUND),
    ("HEAD",    "/",            200, "OK",                    None,        INDEX),
    ("HEAD",    "/route",       200, "OK",                    None,        ROUTE),
    ("HEAD",    "/nope",        404, "page not found",        None,        NOT_FOUND),
    ("OPTIONS", "/",            204, "No Content",            Some(ALLOW), ""),
    ("OPTIONS", "/route",       204, "No Content",            Some(ALLOW), ""),
    ("OPTIONS", "*",            204, "No Content",            Some(ALLOW), ""),
    ("OPTIONS", "/nope",        404, "page not found",        None,        NOT_FOUND),
    ("POST",    "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("POST",    "/nope",        405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("PUT",     "/route",       405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("DELETE",  "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("PATCH",   "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("TRACE",   "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("BREW",    "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
    ("get",     "/",            405, "method is not allowed", Some(ALLOW), NOT_ALLOWED),
];

#[test]
fn every_request_of_the_table_gets_its_answer() {
    let server = Server::start();
    let mut client = server.connect();
    for &(method, target, status, reason, allow, page) in TABLE {
        let reply = client.ask(method, target);
        let request = format!("{method} {target}");
        assert_eq!((reply.status, reply.reason.as_str()), (status, reason), "{request}");
        assert_eq!(reply.field("allow"), allow, "{request}");
        let body = if method == "HEAD" { "" } else { page };
        assert_eq!(reply.text(), body, "{request}");
        let length = (!page.is_empty()).then(|| page.len().to_string());
        let kind = length.as_ref().map(|_| "text/html; charset=utf-8");
        assert_eq!(reply.field("content-type"), kind, "{request}");
        assert_eq!(reply.field("content-length"), length.as_deref(), "{request}");
        assert!(reply.field("date").is_some_and(|date| date.ends_with(" GMT")), "{request}");
    }
}

#[test]
fn a_name_listens_on_ipv4_and_ipv6_with_one_port() {
    let server = Server::with(&["--listen", "localhost:0"]);
    for address in &server.addresses {
        assert_eq!(address.port(), server.addresses[0].port());
        assert_eq!(Client::connect(*address).ask("GET", "/").text(), INDEX);
    }
    assert!(server.addresses[0].is_ipv4());
    // Machines without IPv6 skip this check.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        assert!(server.addresses[1].is_ipv6());
    }
}

#[test]
fn several_addresses_are_served_at_once() {
    let server = Server::with(&["--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
    assert_eq!(server.addresses.len(), 2);
    for address in &server.addresses {
        assert_eq!(Client::connect(*address).ask("GET", "/route").text(), ROUTE);
    }
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect();
    let (index, head, post) = (
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "HEAD /route HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /route HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /",
    );
    client.send([index, head, post, index].concat().repeat(25));
    for _ in 0..25 {
        assert_eq!(client.reply_to("GET").text(), INDEX);
        assert_eq!(client.reply_to("HEAD").field("content-length"), Some("21"));
        assert_eq!(client.reply_to("POST").text(), NOT_ALLOWED);
        assert_eq!(client.reply_to("GET").text(), INDEX);
    }
}

#[test]
fn a_connection_that_says_nothing_keeps_no_other_waiting() {
    let server = Server::with(&["--threads", "1"]);
    let silent: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    let mut half = server.connect();
    half.send("GET / HTTP/1.1\r\nhost:");
    assert_eq!(server.connect().ask("GET", "/").text(), INDEX);
    half.send(" a\r\n\r\n");
    assert_eq!(half.reply_to("GET").text(), INDEX);
    drop(silent);
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = Server::start();
    let mut client = server.asking("/route");
    client.finish_sending();
    assert_eq!(client.reply_to("GET").text(), ROUTE);
    client.expect_close();
}

#[test]
fn a_request_that_is_refused_is_logged_with_its_fault() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.send("hello\r\n\r\n");
    assert_eq!(client.reply_to("GET").status, 400);
    let line = server.log_line(&["INFO request: method=- target=- status=400"]);
    assert!(line.contains("fault=\"malformed\" cause=\"the request is refused"), "{line}");
    assert_eq!(server.connect().ask("GET", "route").status, 400);
    server.log_line(&["target=route status=400", "fault=\"target malformed\""]);
}
