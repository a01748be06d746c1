//! Bugs of connections and of their buffers.

use crate::answers::INDEX;
use crate::harness::{Client, Server, wait_until};

/// The order to close a connection for a new one stayed pending after a connection had
/// closed by itself, and ended the new connection.
#[test]
fn a_new_connection_was_closed_for_room_that_was_no_longer_needed() {
    let mut server = Server::with(&["--connections", "1"]);
    let mut first = server.connect();
    first.send("GET / HTTP/1.1\r\nhost: a\r\n");
    let mut second = server.connect();
    server.log_line(&["connection limit reached"]);
    first.send("connection: close\r\n\r\n");
    assert_eq!(first.reply_to("GET").text(), INDEX);
    first.expect_close();
    drop(first);
    assert_eq!(second.ask("GET", "/").text(), INDEX);
    assert_eq!(second.ask("GET", "/route").status, 200);
}

/// Closing a socket with unread bytes resets it, and the client loses the response.
#[test]
fn a_client_that_went_on_sending_lost_its_refusal() {
    let server = Server::of("echo.wat");
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n");
    client.send(vec![0; 8_000_000]);
    assert_eq!(client.reply_to("POST").status, 413);
    client.expect_close();
}

/// A short piece of a body can keep a read buffer of 64 KiB alive.
#[test]
fn bodies_were_counted_by_their_length_and_not_by_their_buffers() {
    // The budget is enough for about thirty of the forty bodies of 1 MiB.
    let flags = ["--buffer-max", "32MiB", "--log-level", "off"];
    let server = Server::of_with("echo.wat", &flags);
    let before = server.resources().resident_kib;
    let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    }
    let piece = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
    for _ in 0..256 {
        clients.iter_mut().for_each(|client| _ = client.try_send(&piece));
    }
    // No body is complete, so each response is a refusal.
    wait_until("seven are refused", || {
        clients.iter_mut().filter_map(|client| client.has_reply().then_some(())).count() >= 7
    });
    let grown = server.resources().resident_kib.saturating_sub(before);
    // Allows 400 KiB more for each connection, which also has a read buffer.
    assert!(grown < (32 << 10) + 40 * 400, "{grown} KiB");
}
