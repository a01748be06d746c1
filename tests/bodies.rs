use crate::harness::{Client, Server};

/// All byte values, over and over.
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
            // One-byte chunks of a megabyte would test patience alone.
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
fn trailers_are_read_and_kept_from_the_handler() {
    let server = Server::of("echo.wat");
    let mut client = server.connect();
    client.send(
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nhost: evil\r\n\r\n",
    );
    assert_eq!(client.reply_to("POST").text(), "hi");
    assert_eq!(client.post("/", b"next").text(), "next");
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
fn a_body_is_taken_up_to_its_limit() {
    let args = |server: &str| [fixture(server), "--body-max".into(), "64KiB".into()];
    let server = Server::with(&args("echo.wat"));
    assert_eq!(server.connect().post("/", &body(65_536)).body.len(), 65_536);

    // With a length the answer comes at once: nobody asks for the body first.
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 65537\r\n\r\n");
    let reply = client.reply_to("POST");
    assert_eq!((reply.status, reply.text()), (413, "<h1>error 413 payload too large</h1>"));

    // In chunks it comes when the limit is passed, not at the body's end.
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10001\r\n");
    client.send(body(65_537));
    assert_eq!(client.reply_to("POST").status, 413);
}

fn fixture(name: &str) -> std::ffi::OsString {
    crate::harness::fixture(name).into()
}

#[test]
fn a_body_that_stops_coming_is_not_waited_for() {
    let server = Server::with(&[fixture("echo.wat"), "--body-timeout".into(), "50ms".into()]);
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nh");
    assert_eq!(client.reply_to("POST").status, 408);
    client.expect_close();
}

#[test]
fn a_body_with_wrong_chunks_is_refused() {
    let server = Server::of("echo.wat");
    for chunks in ["x\r\nhi\r\n0\r\n\r\n", "-1\r\n", "2\r\nhixx0\r\n\r\n", "11111111111111111\r\n"] {
        let mut client = server.connect();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"));
        assert_eq!(client.reply_to("POST").status, 400, "{chunks:?}");
        client.expect_close();
    }
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
