//! Bodies of every size and framing reach the handler and come back unchanged. Bodies
//! that are too long or that stop are refused.

use crate::harness::{Client, Server};

/// Returns a body of this length with varying bytes. A long one has every byte value.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251 + index / 251) as u8).collect()
}

#[test]
fn bodies_of_every_size_come_back_unchanged() {
    let server = Server::of("echo.wat");
    let mut client = server.connect();
    for length in [0, 1, 255, 65_536, 1_048_576] {
        let body = body(length);
        assert!(length < 256 * 251 || (0..=255).all(|byte| body.contains(&byte)));

        let reply = client.post("/", &body);
        assert_eq!(reply.status, 200);
        assert!(reply.body == body, "{length} bytes sent with a length came back changed");

        for chunk in [1_000, 65_536] {
            // Smaller chunks would test the same and take longer.
            send_chunked(&mut client, &body, chunk);
            let reply = client.reply_to("POST");
            assert!(reply.body == body, "{length} bytes in chunks of {chunk} came back changed");
        }
    }
}

fn send_chunked(client: &mut Client, body: &[u8], chunk: usize) {
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in body.chunks(chunk) {
        client.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    client.send("0\r\n\r\n");
}

#[test]
fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let server = Server::of("echo.wat");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.reply_to("POST").status, 100);
    client.send("hi");
    assert_eq!(client.reply_to("POST").text(), "hi");
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_asked_for() {
    let server = Server::of_with("echo.wat", &["--body-max", "64KiB"]);
    assert_eq!(server.connect().post("/", &body(65_536)).body.len(), 65_536);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 65537\r\n\r\n");
    assert_eq!(client.reply_to("POST").status, 413);
}

#[test]
fn a_body_that_stops_coming_is_not_waited_for() {
    let server = Server::of_with("echo.wat", &["--body-timeout", "50ms"]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh");
    assert_eq!(client.reply_to("POST").status, 408);
    client.expect_close();
}

#[test]
fn a_client_that_leaves_within_a_body_harms_nobody() {
    let mut server = Server::of("echo.wat");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    drop(client);
    assert_eq!(server.connect().post("/", b"whole").text(), "whole");
    server.log_line(&["body unreadable"]);
}
