//! A shutdown or restart loses no request in flight.

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use command_fds::{CommandFdExt, FdMapping};

use crate::answers::{INDEX, ROUTE};
use crate::harness::{Client, Folder, Server, host, host_after, run_to_end};
use crate::tls::parts::{Authority, NOW, pair};

/// Returns a connection with a request in flight, which lacks only its body of two bytes.
fn in_flight(server: &Server) -> Client {
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.reply_to("POST").status, 100);
    client
}

#[test]
fn both_signals_end_it_with_success_and_idle_connections_are_closed() {
    for signal in ["TERM", "INT"] {
        let server = Server::start();
        let mut idle = server.connect();
        assert_eq!(idle.ask("GET", "/").status, 200);
        server.signal(signal);
        idle.expect_close();
        let (status, lines) = server.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
    }
}

#[test]
fn a_request_in_flight_is_answered_before_the_end_and_told_that_it_is_the_last() {
    let mut server = Server::of("echo.wat");
    let mut client = in_flight(&server);
    server.signal("TERM");
    server.log_line(&["shutting down", "connections=1"]);
    client.send("hi");
    let reply = client.reply_to("POST");
    assert_eq!((reply.text(), reply.field("connection")), ("hi", Some("close")));
    client.expect_close();
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_head_that_has_begun_and_a_connection_that_is_new_are_in_flight() {
    let mut server = Server::start();
    let mut begun = server.connect();
    begun.send("GET /route HTTP/1.1\r\nhost:");
    // A connection that sends its request only after the signal. The server may not even
    // have accepted it yet.
    let mut new = server.connect();
    server.signal("TERM");
    new.send("GET /route HTTP/1.1\r\nhost: a\r\n\r\n");
    server.log_line(&["shutting down"]);
    begun.send(" a\r\n\r\n");
    for mut client in [begun, new] {
        assert_eq!(client.reply_to("GET").text(), ROUTE);
        client.expect_close();
    }
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn requests_that_take_longer_than_the_drain_are_given_up() {
    let mut server = Server::with(&["--drain", "50ms"]);
    let _client = in_flight(&server);
    server.signal("TERM");
    server.log_line(&["some requests were not answered within the drain time (--drain)"]);
    assert_eq!(server.wait().0.code(), Some(0));
}

/// Sends requests until a response says `connection: close`, which must not come before
/// `told` is set. Counts the responses; every request must be answered.
fn asks_until_told(mut client: Client, told: &AtomicBool, answered: &AtomicUsize) {
    loop {
        let reply = client.ask("GET", "/route");
        assert_eq!(reply.text(), ROUTE);
        answered.fetch_add(1, SeqCst);
        if reply.field("connection") == Some("close") {
            assert!(told.load(SeqCst), "nothing was about to end");
            client.expect_close();
            return;
        }
    }
}

#[test]
fn every_request_under_load_is_answered_until_the_connection_is_told_to_end() {
    let mut server = Server::with(&["--log-level", "info,request=off"]);
    let (told, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            let client = server.connect();
            scope.spawn(|| asks_until_told(client, &told, &answered));
        }
        while answered.load(SeqCst) < 500 {
            thread::yield_now();
        }
        told.store(true, SeqCst);
        server.signal("TERM");
    });
    server.log_line(&["shutting down"]);
    let (status, lines) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(!lines.iter().any(|line| line.contains("some requests were not answered")), "{lines:?}");
}

/// Starts a server that gets a listening socket the way systemd passes one.
fn handed(socket: &TcpListener) -> Server {
    let server = handed_with(socket, &["--log-level", "info,request=off"]);
    assert_eq!(server.addresses, [socket.local_addr().unwrap()]);
    server
}

fn handed_with(socket: &TcpListener, flags: &[&str]) -> Server {
    // LISTEN_PID must be the server's own process id, so the shell that becomes the
    // server sets it.
    let mut command = host_after("export LISTEN_PID=$$");
    command.env("LISTEN_FDS", "1").arg0("sh");
    let parent_fd = socket.as_fd().try_clone_to_owned().unwrap();
    command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).unwrap();
    Server::spawn(command, flags)
}

#[test]
fn a_redirect_leads_to_a_socket_that_is_handed_over() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut flags = pair(&folder, "a");
    flags.extend(["--listen".into(), "127.0.0.1:0,redirect".into()]);
    let server = handed_with(&socket, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    let reply = Client::connect(server.addresses[1]).ask("GET", "/");
    assert_eq!(reply.status, 308);
    let port = socket.local_addr().unwrap().port();
    assert!(reply.field("location").unwrap().ends_with(&format!(":{port}/")));
}

#[test]
fn sockets_whose_number_cannot_be_read_are_an_error() {
    for (name, value, expected) in [
        ("LISTEN_FDS", "abc", "the number of sockets"),
        ("LISTEN_FDS", "-1", "the number of sockets"),
        ("LISTEN_PID", "x", "a process id"),
    ] {
        let output = run_to_end(host().args(["--no-control"]).env(name, value));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{name} is `{value}`; expected {expected}")), "{said}");
    }
}

#[test]
fn a_restart_with_a_socket_that_is_handed_over_drops_no_connection() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let done = AtomicBool::new(false);
    let mut server = handed(&socket);
    // Keeps the last server running until the threads of the clients have ended.
    let _last = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    assert_eq!(Client::connect(address).ask("GET", "/").text(), INDEX);
                }
            });
        }
        for _ in 0..3 {
            let next = handed(&socket);
            server.stop();
            server = next;
        }
        done.store(true, SeqCst);
        server
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::of("echo.wat");
    let _client = in_flight(&server);
    server.signal("TERM");
    server.log_line(&["shutting down"]);
    server.signal("INT");
    let (status, lines) = server.wait();
    assert_eq!(status.code(), Some(1));
    assert!(lines.iter().any(|line| line.starts_with("error: stopped by a second signal")), "{lines:?}");
}
