use crate::harness::{Server, fixture};

/// Sends a request to the default handler, and expects this status, and that a
/// request behind it on the same connection is answered where it is to live on.
#[track_caller]
fn answered(server: &Server, request: &str, status: u16) {
    let mut client = server.connect();
    client.send(request);
    let method = request.split(' ').next().unwrap();
    let reply = client.reply_to(method);
    assert_eq!(reply.status, status, "{}", request.escape_debug());
    assert_eq!(client.ask("GET", "/route").text(), "<h1> hello route</h1>");
}

#[test]
fn it_has_to_be_clear_which_server_is_meant() {
    let server = Server::start();
    for (head, status) in [
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n", 200),
        ("GET / HTTP/1.1\r\nhost: [::1]:4444\r\n", 200),
        ("GET / HTTP/1.1\r\nhost:\r\n", 200),
        ("GET http://a.example/ HTTP/1.1\r\nhost: A.example:80\r\n", 200),
        ("GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: user@a\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: [::1\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a:1:2\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a:http\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: a/b\r\n", 400),
        ("GET http://a.example/ HTTP/1.1\r\nhost: b.example\r\n", 400),
    ] {
        answered(&server, &format!("{head}\r\n"), status);
    }
}

#[test]
fn an_expectation_is_met_or_refused() {
    let server = Server::start();
    answered(&server, "GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\n\r\n", 200);
    answered(&server, "GET / HTTP/1.1\r\nhost: a\r\nexpect: a miracle\r\n\r\n", 417);
}

#[test]
fn a_client_that_takes_in_nothing_is_given_up() {
    let large = fixture("answers_much.wat").into_os_string();
    let flags = ["--write-timeout", "100ms", "--log-level", "debug"].map(Into::into);
    let mut server = Server::with(&[vec![large], flags.to_vec()].concat());
    let mut client = server.connect();
    // More than any buffers on the way hold.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(8));
    server.log_line(&["a connection ended early", "took in nothing for too long (--write-timeout)"]);
    assert_eq!(server.connect().ask("GET", "/").body.len(), 4_194_304);
}
