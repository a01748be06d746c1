//! Components of `wasi:http` are served, swapped, proved and called like modules; whatever goes
//! wrong in one is a fault, and never a response that looks complete.

mod faults;
mod grants;
mod swaps;
mod tools;

use crate::harness::components::probe;
use crate::harness::{Reply, Server};

/// Starts a server with the component that does what may go wrong.
fn server(flags: &[&str]) -> Server {
    Server::with(&[&[probe().as_str()], flags].concat())
}

/// Asks for a target, and checks the status and the body.
#[track_caller]
fn answers(server: &Server, target: &str, status: u16, text: &str) -> Reply {
    let reply = server.connect().ask("GET", target);
    assert_eq!((reply.status, reply.text()), (status, text), "{target}");
    reply
}

#[test]
fn a_request_is_answered_as_by_a_module() {
    let server = server(&[]);
    let reply = answers(&server, "/hello", 200, "hello");
    assert_eq!(reply.field("content-type"), Some("text/plain"));
    assert_eq!(reply.field("content-length"), Some("5"));
    assert_eq!(reply.field("x-handler-version"), Some("1"));
    assert!(reply.field("x-request-id").is_some() && reply.field("date").is_some());
    for status in [200, 404, 418, 503, 599] {
        answers(&server, &format!("/status?{status}"), status, "so it is");
    }
    answers(&server, "/no-body", 200, "");
    answers(&server, "/trailers", 200, "body");
    answers(&server, "/leads/nowhere", 404, "no such path");
    let mut client = server.connect();
    let head = client.ask("HEAD", "/hello");
    assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("5"), 0));
    assert_eq!(client.ask("GET", "/hello").text(), "hello", "the connection goes on");
}

#[test]
fn the_component_sees_the_fields_that_a_module_would_see() {
    let server = server(&[]);
    let mut client = server.connect();
    client.send("GET /head?a=b HTTP/1.1\r\nHost: a.example:1\r\nX-A: one\r\nx-a: two\r\nconnection: x-b\r\nx-b: 1\r\nx-forwarded-for: 1.2.3.4\r\n\r\n");
    let text = client.reply_to("GET");
    let text = text.text();
    assert!(text.starts_with("Method::Get http Some(\"a.example:1\") Some(\"/head?a=b\")\n"), "{text}");
    for line in ["x-a: one", "x-a: two", "x-forwarded-for: 127.0.0.1", "x-request-time: 1", "x-request-id: "]
    {
        assert!(text.lines().any(|each| each.starts_with(line)), "{line} in\n{text}");
    }
    assert!(!text.contains("x-b:") && !text.contains("connection:") && !text.contains("host:"), "{text}");
    // A request of HTTP/1.0 need not name a server.
    let mut client = server.connect();
    client.send("GET /head HTTP/1.0\r\n\r\n");
    assert!(client.reply_to("GET").text().starts_with("Method::Get http Some(\"\") "));
}

#[test]
fn bodies_of_all_lengths_come_back() {
    let server = server(&["--body-max", "4MiB"]);
    let mut client = server.connect();
    for length in [0, 1, 4096, 65_536, 65_537, 1_000_000, 3 << 20] {
        let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let reply = client.post("/echo", &body);
        assert!(reply.status == 200 && reply.body == body, "{length} bytes: {}", reply.status);
    }
    answers(&server, "/big-body?1000", 200, &"x".repeat(4_096_000));
}

#[test]
fn calls_that_compute_for_long_leave_time_to_others_and_end_with_their_client() {
    let mut server = server(&["--deadline", "20s"]);
    let loops: Vec<_> = (0..4).map(|_| server.asking("/loop")).collect();
    for _ in 0..20 {
        answers(&server, "/hello", 200, "hello");
    }
    loops.into_iter().for_each(|client| client.reset());
    server.log_line(&["client gone", "/loop"]);
    answers(&server, "/sleep?20", 200, "slept");
}
