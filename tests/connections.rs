//! Connections: how long they live, how many there may be, which sockets accept them, and
//! who the client is.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::answers::INDEX;
use crate::harness::{Folder, Server, fails_to_start, host_after, wait_until};

#[test]
fn an_idle_connection_rests_comes_back_and_is_closed_in_the_end() {
    let mut server = Server::with(&["--log-level", "debug", "--idle-timeout", "2s"]);
    let mut never_used = server.connect();
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/").text(), INDEX);
    server.log_line(&["connection parked"]);
    assert_eq!(client.ask("GET", "/").text(), INDEX);
    client.expect_close();
    never_used.expect_close();
}

#[test]
fn responses_that_are_ready_do_not_wait_for_a_later_request_of_the_connection() {
    let server = Server::of_with("loops_or_counts.wat", &["--deadline", "1h", "--body-timeout", "1h"]);
    for later in [
        "GET /l HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx",
    ] {
        let mut client = server.connect();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(3) + later);
        // The later request is never answered in the time of this test.
        (0..3).for_each(|_| assert_eq!(client.reply_to("GET").status, 200, "{later}"));
    }
}

#[test]
fn a_head_that_does_not_get_whole_is_not_waited_for() {
    let server = Server::with(&["--head-timeout", "100ms"]);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nHEAD / HTTP/1.1\r\nhost");
    assert_eq!(client.reply_to("GET").text(), INDEX);
    let reply = client.reply_to("HEAD");
    assert_eq!((reply.status, reply.field("connection")), (408, Some("close")));
    assert!(reply.field("x-request-id").is_some());
    client.expect_close();

    // A head that breaks off at the end of input gets no response. Empty lines before it
    // do not begin a head.
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n\r\nGE");
    assert_eq!(client.reply_to("GET").text(), INDEX);
    client.finish_sending();
    client.expect_close();
}

#[test]
fn a_connection_has_as_many_requests_as_it_may() {
    let server = Server::with(&["--connection-requests", "3"]);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(4));
    for close in [None, None, Some("close")] {
        assert_eq!(client.reply_to("GET").field("connection"), close);
    }
    client.expect_close();
}

#[test]
fn when_there_are_as_many_connections_as_there_may_be_one_that_rests_makes_room() {
    let mut server = Server::with(&["--connections", "2", "--log-level", "debug"]);
    let mut idle = server.connect();
    assert_eq!(idle.ask("GET", "/").text(), INDEX);
    server.log_line(&["connection parked"]);
    let mut busy = server.connect();
    busy.send("GET / HTTP/1.1\r\n");
    // The third connection waits until the first is closed.
    assert_eq!(server.connect().ask("GET", "/").text(), INDEX);
    idle.expect_close();
    server.log_line(&["connection limit reached (--connections)", "limit=2"]);
    busy.send("host: a\r\n\r\n");
    assert_eq!(busy.reply_to("GET").text(), INDEX);
}

#[test]
fn when_descriptors_run_out_it_is_said_once_and_those_who_wait_are_served_later() {
    let mut server = Server::spawn(host_after("ulimit -n 40"), &["--connections", "100"]);
    let mut clients: Vec<_> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n");
    }
    server.log_line(&[" WARN ", "--connections 100 is more than the 40 descriptors", "LimitNOFILE"]);
    server.log_line(&["cannot accept connections for now"]);
    for mut client in clients {
        client.send("\r\n");
        assert_eq!(client.reply_to("GET").text(), INDEX);
    }
    let lines = server.stop();
    let said = lines.iter().filter(|line| line.contains("cannot accept connections")).count();
    assert_eq!(said, 1, "{lines:?}");
}

#[test]
fn clients_that_take_in_nothing_do_not_take_all_the_memory() {
    let mut server = Server::of_with("large_and_small.wat", &["--buffer-max", "1200KiB"]);
    // The budget is enough for two of these responses.
    let mut slow = [server.asking("/large"), server.asking("/large")];
    server.log_line(&["target=/large status=200", "id=1-1-"]);
    server.log_line(&["target=/large status=200", "id=2-1-"]);
    let reply = server.connect().ask("GET", "/large");
    assert_eq!((reply.status, reply.field("retry-after")), (503, Some("1")));
    server.log_line(&["fault=\"no buffer\"", "(--buffer-max)"]);
    // A small response does not count towards the budget. Reading the large responses frees
    // it again.
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    slow.iter_mut().for_each(|client| assert_eq!(client.reply_to("GET").body.len(), 524_288));
    wait_until("the room comes back", || server.connect().ask("GET", "/large").status != 503);
}

#[test]
fn a_unix_socket_is_served_and_taken_away_at_the_end() {
    let folder = Folder::new();
    let path = folder.file("http.sock");
    // Leaves a stale socket at the path.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}", path.display());
    let server = Server::of_with("show.wat", &["--listen", &listen, "--listen", "127.0.0.1:0"]);
    assert_eq!(server.urls[0], listen);
    let ask = |head: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    assert!(ask("x-forwarded-for: 192.0.2.1\r\n").contains("\r\nx-forwarded-for: unknown\r\n"));
    let taken = fails_to_start(&["--no-control", "--listen", &listen]);
    assert_eq!(
        taken,
        format!(
            "error: cannot listen on {listen}: another process listens on this socket; stop it, or use another path"
        )
    );
    server.stop();
    assert!(!path.exists());
}

#[test]
fn a_proxy_that_is_trusted_tells_the_client() {
    for (trusted, claim, told) in [
        ("127.0.0.0/8", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.0/8", "198.51.100.7", "127.0.0.1"),
    ] {
        let mut server = Server::of_with("show.wat", &["--trust-forwarded", trusted]);
        let mut client = server.connect();
        client.send(format!("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {claim}\r\n\r\n"));
        assert!(client.reply_to("GET").text().contains(&format!("\r\nx-forwarded-for: {told}\r\n")));
        server.log_line(&["target=/ status=200", &format!("client={told}")]);
    }
}

#[test]
fn what_the_host_vouches_for_is_its_own() {
    let server = Server::of("show.wat");
    let mut client = server.connect();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let claims = "x-request-id: mine\r\nX-Forwarded-For: 192.0.2.1\r\nx-request-time: 1\r\n";
        client.send(format!("GET / HTTP/1.1\r\nhost: h\r\n{claims}\r\n"));
        let reply = client.reply_to("GET");
        let value = |name: &str| {
            let lines = reply.text().lines();
            let values: Vec<_> =
                lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
            assert_eq!(values.len(), 1, "{name}: {values:?}");
            values[0].to_owned()
        };
        assert_eq!(value("x-forwarded-for"), "127.0.0.1");
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let time: u128 = value("x-request-time").parse().unwrap();
        assert!(now.abs_diff(time) < 600_000, "{time} is far from {now}");
        assert_eq!(reply.field("x-request-id"), Some(value("x-request-id").as_str()));
        ids.push(value("x-request-id"));
    }
    assert!(ids[0].starts_with("1-1-") && ids[1].starts_with("1-2-"), "{ids:?}");
}
