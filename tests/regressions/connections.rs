//! Bugs of connections and of their buffers.

use std::ffi::OsStr;
use std::process::Command;

use crate::answers::INDEX;
use crate::harness::{Client, Deployment, Server, host, output_of, wait_until};

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

/// The page for a fault followed a response that had been sent in part, because the error
/// of the write was taken for a fault of the next request.
#[test]
fn a_page_stood_in_the_middle_of_a_response_that_was_read_too_slowly() {
    let flags = ["--write-timeout", "500ms", "--log-level", "debug"];
    let mut server = Server::of_with("echo.wat", &flags);
    let mut client = Client::connect_with_room(4096, server.addresses[0]);
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000\r\n\r\n";
    let request = [head.as_bytes(), &[b'x'; 3000]].concat();
    let sending = client.send_for_ever(request);
    server.log_line(&["connection ended early", "--write-timeout"]);
    let rest = String::from_utf8(client.read_to_end()).unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 OK") && !rest.contains("HTTP/1.1 400"), "{}", rest.len());
    sending.join().unwrap();
}

/// Each later request of a pipeline got a write timeout of its own.
#[test]
fn a_client_that_read_nothing_kept_its_connection_by_pipelined_long_calls() {
    let flags = ["--write-timeout", "500ms", "--write-rate-min", "0", "--log-level", "debug"];
    let mut server = Server::of_with("answers_much.wat", &flags);
    let mut client = Client::connect_with_room(4096, server.addresses[0]);
    client.try_send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200));
    server.log_line(&["connection ended early", "--write-timeout"]);
    assert_eq!(server.log_line_now(&["client gone"]), None);
}

/// The pages of the host were checked by the limit on heads of the module.
#[test]
fn a_low_limit_on_heads_of_responses_left_refused_requests_without_an_answer() {
    let server = Server::of_with("echo.wat", &["--response-head-max", "64"]);
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\nPOST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.reply_to("GET").status, 400);
    assert_eq!(client.reply_to("POST").text(), "hi");
}

/// The beginning of an empty line was lost when the connection was parked.
#[test]
fn a_lone_carriage_return_counted_as_nothing() {
    let server = Server::with(&["--head-timeout", "300ms"]);
    let mut client = server.connect();
    client.send("\r");
    assert_eq!(client.reply_to("GET").status, 408);
}

#[test]
fn a_server_in_another_pid_namespace_could_not_be_asked() {
    // For its clients, such a server has the process number 0; so has one in another container.
    let inside = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--pid", "--fork"]).arg(program);
        command
    };
    if !inside("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
        eprintln!("this user may not make namespaces, so this is left out");
        return;
    }
    let place = Deployment::new();
    let server = place.start(&[]);
    let mut command = inside(host().get_program());
    let (code, text) = output_of(command.args(["status", "--control"]).arg(place.socket()));
    assert_eq!((code, text.contains("listens on http")), (0, true), "{text}");
    server.stop();
}
