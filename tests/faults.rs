//! A fault of the handler costs one request, which gets a defined response and a log line
//! with the cause.

use crate::harness::modules::{allocating_at, answering, mixed_request, returning};
use crate::harness::wire::replies::own_page;
use crate::harness::{Client, Deployment, Random, Server, fails_to_start, fixture, wait_until};

/// Requests `/` twice on one connection, and checks that each request ends in the same
/// fault: its response, its page and its log line.
fn costs_one_request(mut server: Server, status: u16, log: &[&str]) {
    let page = own_page(status);
    let mut client = server.connect();
    for _ in 0..2 {
        let reply = client.ask("GET", "/");
        assert_eq!((reply.status, reply.text()), (status, page.as_str()));
        assert_eq!(reply.field("content-type"), Some("text/html; charset=utf-8"));
        let id = reply.field("x-request-id").unwrap().to_owned();
        server.log_line(&[log, &["ERROR request: method=GET target=/ ", &format!("id={id}")]].concat());
    }
    let head = client.ask("HEAD", "/");
    assert_eq!(head.field("content-length"), Some(page.len().to_string().as_str()));
}

#[test]
fn a_fault_inside_a_module_costs_one_request_and_says_where() {
    let mut server = Server::of("traps.wat");
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/boom").text(), own_page(500));
    assert_eq!(client.ask("GET", "/fine").text(), "fine");
    let trap = "wasm trap: integer divide by zero; in divide < function 2";
    server.log_line(&["target=/boom status=500", "fault=\"trap\"", trap]);

    let panic = r#"panic: out of \"cheese\"\\nat counter 7; wasm trap: wasm `unreachable` instruction executed; in function 1"#;
    let deadline = "longer than its deadline of 50ms (--deadline); in ";
    for (name, status, cause) in [
        ("traps.wat", 500, trap),
        ("panics.wat", 500, panic),
        ("recurses.wat", 500, "wasm trap: call stack exhausted"),
        ("loops.wat", 504, deadline),
        ("loops_in_alloc.wat", 504, deadline),
        ("loops_while_growing.wat", 504, deadline),
    ] {
        // Uses one thread, so that a loop that did not yield would block all requests.
        let short: &[&str] = if status == 504 { &["--threads", "1", "--deadline", "50ms"] } else { &[] };
        costs_one_request(Server::of_with(name, short), status, &[cause]);
    }
}

#[test]
fn others_are_served_beside_endless_loops() {
    let server = Server::of_with("loops.wat", &["--threads", "1", "--deadline", "1h"]);
    let _endless = [(); 4].map(|()| server.asking("/"));
    // The host itself answers 414, on the thread that runs the loops.
    for _ in 0..20 {
        assert_eq!(server.connect().ask("GET", &format!("/{}", "a".repeat(9000))).status, 414);
    }
}

#[test]
fn a_loop_at_the_start_ends_at_the_deadline() {
    for name in ["loops_in_start.wat", "loops_in_initialize.wat"] {
        let message = fails_to_start(&[&*fixture(name), "--deadline", "50ms"]);
        let cause =
            "the module does not start: the call took longer than its deadline of 50ms (--deadline); in ";
        assert!(message.contains(cause) && message.contains(" (remedy: do less in "), "{name}: {message}");
    }
}

#[test]
fn memory_grows_up_to_its_limit_and_is_given_back() {
    let server = Server::of_with("grows.wat", &["--memory-max", "1MiB"]);
    let mut client = server.connect();
    for _ in 0..200 {
        assert_eq!(client.ask("GET", "/").text(), "016");
    }
}

#[test]
fn a_response_may_lie_where_the_request_was() {
    // The host reads the response after `handle` has returned, so the response may
    // overlap the request in memory.
    let module = "(module (memory (export \"memory\") 1) (data (i32.const 0) \"HTTP/1.1 200 OK\\0a\\0amine\")
        (func (export \"alloc\") (param i32) (result i32) (i32.const 1000))
        (func (export \"handle\") (param i32 i32) (result i64)
            (memory.copy (i32.const 990) (i32.const 0) (i32.const 21))
            (i64.const 0x3de00000015)))";
    assert_eq!(Server::of_text(module).connect().ask("GET", "/").text(), "mine");
    let request_itself = Server::of_text(&returning(32_768, 30));
    costs_one_request(request_itself, 502, &["it does not begin with HTTP/1.1"]);
}

#[test]
fn for_development_the_client_sees_the_cause_and_the_operator_the_counts() {
    let place = Deployment::new();
    let server = Server::of_with("traps.wat", &["--dev", "--control", &place.path("control")]);
    let mut client = server.connect();
    let reply = client.ask("GET", "/boom");
    let page = own_page(500);
    let expected =
        format!("{page}\n<pre>wasm trap: integer divide by zero; in divide &lt; function 2</pre>\n");
    assert_eq!((reply.status, reply.text()), (500, expected.as_str()));
    client.ask("GET", "/boom");
    client.ask("GET", &format!("/{}", "a".repeat(9000)));
    let text = place.tell(&["status"]);
    assert!(text.ends_with("faults: target too long 1, trap 2\n"), "{text}");
}

#[test]
fn a_full_queue_is_told_at_once_and_a_client_that_is_gone_frees_its_place() {
    let flags = ["--instances", "1", "--queue", "1", "--deadline", "1h", "--queue-timeout", "1h"];
    let mut server = Server::of_with("mixed.wat", &flags);
    // One of these requests occupies the permit for long calls, one fills the queue, one may
    // wait for its first attempt, and the last is refused.
    let endless = [(); 4].map(|()| server.asking("/l"));
    server.log_line(&["status=503", "fault=\"busy\"", "1 long calls may run and 1 may wait (--instances, "]);
    endless.into_iter().for_each(Client::reset);
    // The server has to notice the resets before it can admit other requests.
    wait_until("their places are free", || server.connect().ask("GET", "/fine").status != 503);
}

#[test]
fn faults_of_all_kinds_at_once_cost_only_the_requests_that_have_them() {
    const CLIENTS: u64 = 6;
    const REQUESTS: usize = 60;
    let server = Server::of_with("mixed.wat", &["--deadline", "1s", "--log-level", "off"]);
    let run = || {
        std::thread::scope(|scope| {
            for seed in 1..=CLIENTS {
                let mut client = server.connect();
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    for _ in 0..REQUESTS {
                        let (target, status) = mixed_request(&mut random);
                        let reply = client.ask("GET", target);
                        assert_eq!(reply.status, status, "{target}");
                        assert!(status != 200 || reply.text() == "0", "{target}: {}", reply.text());
                    }
                });
            }
        });
        server.resources()
    };
    run();
    let early = run();
    run();
    server.settles_at(&early);
}

#[test]
fn calls_beyond_the_instances_queue_and_then_are_told_to_come_back() {
    let flags = ["--instances", "1", "--deadline", "1h", "--queue-timeout", "50ms"];
    let mut server = Server::of_with("loops.wat", &flags);
    let _endless = [(); 2].map(|()| server.asking("/"));
    // One of the two requests occupies the permit for long calls; the other is refused.
    server.log_line(&["WARN request", "status=503", "fault=\"busy\"", "--instances"]);
    let reply = server.connect().ask("GET", "/");
    assert_eq!((reply.status, reply.text()), (503, own_page(503).as_str()));
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
        costs_one_request(Server::of_text(&module), 502, &[cause]);
    }
}

#[test]
fn a_response_is_taken_up_to_its_limit() {
    let module = answering(b"HTTP/1.1 200 OK\n\nfour");
    let server = |limit: &str| Server::of_text_with(&module, &["--response-max", limit]);
    assert_eq!(server("21").connect().ask("GET", "/").text(), "four");
    costs_one_request(server("20"), 502, &["its response is 21 bytes long, more than 20"]);
    costs_one_request(Server::of_text(&returning(0, u32::MAX)), 502, &["(--response-max)"]);
}

#[test]
fn responses_that_are_not_http_are_refused() {
    let listed_length = b"HTTP/1.1 200 OK\r\nconnection: content-length\r\ncontent-length: 9\r\n\r\nfour";
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
        (listed_length, "content-length is 9"),
        (b"HTTP/1.1 204 No Content\r\n\r\nbody", "its status is 204, which has no body"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\nbody", "its status is 304, which has no body"),
    ] {
        costs_one_request(Server::of_text(&answering(response)), 502, &[cause]);
    }
}

#[test]
fn responses_are_framed_by_the_host() {
    let two_cookies = "set-cookie: a|set-cookie: b|content-length: 0";
    let dropped = b"HTTP/1.1 200 OK\r\nconnection: x-a\r\nx-a: 1\r\nkeep-alive: 5\r\nupgrade: h2c\r\n\r\n";
    for (response, fields, page) in [
        // A module may end lines in LF and omit the length. Its reason phrase is kept.
        (&b"HTTP/1.1 200 Fine by me\nx-a: 1\n\nbody"[..], "x-a: 1|content-length: 4", "body"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nDate: today\r\n\r\nbody", "content-length: 4", "body"),
        (b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\n\r\n", two_cookies, ""),
        (dropped, "content-length: 0", ""),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "", ""),
        (b"HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n", "etag: \"a\"", ""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", "content-length: 7", ""),
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
