use crate::harness::modules::{allocating_at, answering, returning};
use crate::harness::{Client, Server};

/// Asks for `/` twice, on a connection that lives on: the fault costs one
/// request, and the next is answered by a clean instance.
fn costs_one_request(mut server: Server, status: u16, page: &str, log: &[&str]) {
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask("GET", "/");
        assert_eq!((reply.status, reply.text()), (status, page));
        assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
        let id = reply.field("x-request-id").unwrap().to_owned();
        server.log_line(&[log, &["ERROR request: method=GET target=/ ", &format!("id={id}")]].concat());
    }
    let head = client.ask("HEAD", "/");
    assert_eq!(head.field("content-length"), Some(page.len().to_string().as_str()));
}

const INTERNAL: &str = "<h1>error 500 internal server error</h1>";
const BAD_GATEWAY: &str = "<h1>error 502 bad gateway</h1>";

#[test]
fn a_trap_costs_one_request_and_says_where() {
    let mut server = Server::of("traps.wat");
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/boom").text(), INTERNAL);
    assert_eq!(client.ask("GET", "/fine").text(), "fine");
    let cause = "wasm trap: integer divide by zero; in divide < function 2";
    server.log_line(&["target=/boom status=500", "fault=\"trap\"", cause]);
    costs_one_request(server, 500, INTERNAL, &[cause]);
}

#[test]
fn a_panic_tells_its_text_in_one_line() {
    let text = r#"panic: out of "cheese"\nat counter 7; in function 1"#;
    costs_one_request(Server::of("panics.wat"), 500, INTERNAL, &[text]);
}

#[test]
fn endless_recursion_costs_one_request() {
    costs_one_request(Server::of("recurses.wat"), 500, INTERNAL, &["wasm trap: call stack exhausted"]);
}

#[test]
fn an_endless_loop_ends_at_the_deadline_and_others_are_served_meanwhile() {
    // One thread: a loop that did not give way would keep everybody waiting.
    let looping = crate::harness::fixture("loops.wat").into_os_string();
    let args = |deadline: &str| {
        [looping.clone(), "--threads".into(), "1".into(), "--deadline".into(), deadline.into()]
    };
    let page = "<h1>error 504 gateway timeout</h1>";
    costs_one_request(Server::with(&args("50ms")), 504, page, &["longer than its deadline (--deadline)"]);

    let server = Server::with(&args("1h"));
    let mut endless: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut endless {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    // Answered by the host itself, on the thread that the loops run on.
    for _ in 0..20 {
        assert_eq!(server.connect().ask("GET", &format!("/{}", "a".repeat(9000))).status, 414);
    }
}

#[test]
fn calls_beyond_the_instances_queue_and_then_are_told_to_come_back() {
    let looping = crate::harness::fixture("loops.wat").into_os_string();
    let flags = ["--instances", "1", "--deadline", "1h", "--queue-timeout", "50ms"].map(Into::into);
    let mut server = Server::with(&[vec![looping], flags.to_vec()].concat());
    let mut endless = [server.connect(), server.connect()];
    for client in &mut endless {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    // One of the two has the instance for good; whichever came second says so.
    server.log_line(&["WARN request", "status=503", "fault=\"busy\"", "--instances"]);
    let reply = server.connect().ask("GET", "/");
    assert_eq!((reply.status, reply.text()), (503, "<h1>error 503 service unavailable</h1>"));
    assert_eq!(reply.field("retry-after"), Some("1"));
}

#[test]
fn a_module_without_room_for_a_request_answers_413() {
    let mut server = Server::of("has_no_room.wat");
    assert_eq!(server.connect().ask("GET", "/").status, 413);
    server.log_line(&["fault=\"no room\"", "--memory-max"]);
}

#[test]
fn addresses_outside_memory_are_refused() {
    for (module, cause) in [
        (allocating_at(65_536), "its export `alloc` returned a bad address"),
        (allocating_at(u32::MAX), "address 0xffffffff + "),
        (returning(65_536, 1), "its export `handle` returned a bad address: address 0x10000 + 1 bytes"),
        (returning(1, 65_536), "past the end of its memory of 65536 bytes"),
        (returning(u32::MAX, 1_000), "address 0xffffffff + 1000 bytes"),
    ] {
        costs_one_request(Server::of_text(&module), 502, BAD_GATEWAY, &[cause]);
    }
}

#[test]
fn a_response_is_taken_up_to_its_limit() {
    let file = crate::harness::TextFile::new(answering(b"HTTP/1.1 200 OK\n\nfour"));
    let server = |limit: &str| Server::with(&[file.path().to_str().unwrap(), "--response-max", limit]);
    assert_eq!(server("21").connect().ask("GET", "/").text(), "four");
    costs_one_request(server("20"), 502, BAD_GATEWAY, &["its response is 21 bytes long, more than 20"]);
    costs_one_request(Server::of_text(&returning(0, u32::MAX)), 502, BAD_GATEWAY, &["(--response-max)"]);
}

#[test]
fn responses_that_are_not_http_are_refused() {
    for (response, cause) in [
        (&b""[..], "it is empty; expected an HTTP/1.1 response"),
        (b"hello", "it does not begin with HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\n", "no empty line at the end"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "it is HTTP/1.0; expected HTTP/1.1"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "its status is 100; expected 200 to 599"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "its status is 101; expected 200 to 599"),
        (b"HTTP/1.1 600 What\r\n\r\n", "its status is 600; expected 200 to 599"),
        (b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", "a field name is malformed"),
        (b"HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n", "a field value is malformed"),
        (b"HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n", "its head is malformed"),
        (b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", "its head is malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nfour", "its content-length is 3, and 4 bytes follow"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nfour", "not one whole number"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nfour", "not one whole number"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "it does not begin with HTTP/1.1"),
        (
            b"HTTP/1.1 200 OK\r\nconnection: content-length\r\ncontent-length: 9\r\n\r\nfour",
            "content-length is 9",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", "its status is 204, which has no body"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\nbody", "its status is 304, which has no body"),
    ] {
        costs_one_request(Server::of_text(&answering(response)), 502, BAD_GATEWAY, &[cause]);
    }
}

#[test]
fn responses_are_framed_by_the_host() {
    for (response, fields, page) in [
        // Bare LF and no length are fine, and the reason phrase is kept.
        (&b"HTTP/1.1 200 Fine by me\nx-a: 1\n\nbody"[..], "x-a: 1|content-length: 4", "body"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nDate: today\r\n\r\nbody",
            "content-length: 4|date: today",
            "body",
        ),
        (
            b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\n\r\n",
            "set-cookie: a|set-cookie: b|content-length: 0",
            "",
        ),
        (
            b"HTTP/1.1 200 OK\r\nconnection: x-a\r\nx-a: 1\r\nkeep-alive: 5\r\nupgrade: h2c\r\n\r\n",
            "content-length: 0",
            "",
        ),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "", ""),
        (b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", "etag: \"a\"", ""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", "", ""),
    ] {
        let server = Server::of_text(&answering(response));
        let mut client = server.connect();
        let reply = client.ask("GET", "/");
        let sent = |(name, value): &(String, String)| {
            let added = ["x-request-id", "x-handler-version"].contains(&name.as_str())
                || (name == "date" && value != "today");
            (!added).then(|| format!("{name}: {value}"))
        };
        let sent: Vec<_> = reply.fields.iter().filter_map(sent).collect();
        assert_eq!((sent.join("|").as_str(), reply.text()), (fields, page), "{}", response.escape_ascii());
        assert_eq!(client.ask("GET", "/").status, reply.status, "the connection lives on");
    }
}

#[test]
fn the_reason_phrase_is_the_handlers() {
    for (status_line, reason) in
        [("200 Fine by me", "Fine by me"), ("299", ""), ("200 ", ""), ("200 Sch\u{f6}n", "Sch\u{f6}n")]
    {
        let server = Server::of_text(&answering(format!("HTTP/1.1 {status_line}\n\n").as_bytes()));
        assert_eq!(server.connect().ask("GET", "/").reason, reason);
    }
}

#[test]
fn a_handler_cannot_open_a_tunnel() {
    let mut server = Server::of_text(&answering(b"HTTP/1.1 200 OK\r\n\r\n"));
    let mut client = server.connect();
    client.send("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n");
    assert_eq!(client.reply_to("CONNECT").status, 502);
    server.log_line(&["cannot open a tunnel"]);
}

#[test]
fn every_request_sees_the_module_as_it_was_just_after_it_was_initialised() {
    let server = Server::of("hoards.wat");
    let mut client = server.connect();
    for _ in 0..50 {
        assert_eq!(client.ask("GET", "/").text(), "11111");
    }
}

#[test]
fn what_a_handler_logs_is_bounded_and_stays_on_its_line() {
    let mut server = Server::of("logs.wat");
    let reply = server.connect().ask("GET", "/");
    assert_eq!(reply.status, 200);
    let id = reply.field("x-request-id").unwrap();
    let id = format!("id=\"{id}\"");
    server.log_line(&["WARN handler: ", r"first\n\u{1b}[31msecond", &id]);
    server.log_line(&["more log lines were dropped (the limit is --log-lines-max)", &id]);
    server.signal("TERM");
    let (_, lines) = server.wait();
    assert_eq!(lines.iter().filter(|line| line.contains("31msecond")).count(), 64);
    assert!(lines.iter().all(|line| !line.starts_with("second")));
}

#[test]
fn names_in_a_module_cannot_forge_a_log_line() {
    let name = format!("evil\\0aERROR forged\\1b[31m{}", "x".repeat(10_000));
    let module = format!(
        "(module (memory (export \"memory\") 1) (func (export \"alloc\") (param i32) (result i32) (i32.const 8))
           (func $f (@name \"{name}\") unreachable)
           (func (export \"handle\") (param i32 i32) (result i64) (call $f) (i64.const 0)))"
    );
    let mut server = Server::of_text(&module);
    assert_eq!(server.connect().ask("GET", "/").status, 500);
    let line = server.log_line(&["ERROR request", r"in evil\nERROR forged\u{1b}[31mxxx"]);
    assert!(line.len() < 1000, "{} bytes", line.len());
}
