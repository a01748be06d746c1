//! TLS: the same answers as without, and certificates that are replaced while the server runs. A bad
//! one never replaces a good one.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::NamedGroup;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

use self::parts::{Authority, NOW, Secure, Terms, put_authority};
use crate::harness::modules::answering;
use crate::harness::{Client, Folder, Server, fixture, host, output_of, wait_until};

mod certificates;
pub mod parts;

#[test]
fn requests_get_the_same_answers_as_without_tls() {
    let plain = Server::of("show.wat");
    let secure = Secure::start(&[&fixture("show.wat")]);
    let (mut one, mut other) = (plain.connect(), secure.connect());
    let large = "x".repeat(60_000);
    for (method, target, body) in [
        ("GET", "/", String::new()),
        ("HEAD", "/a?b", String::new()),
        ("POST", "/a", "body".into()),
        ("POST", "/large", large.clone()),
        ("PUT", "/", "y".repeat(16_384)),
        ("GET", "/?last", String::new()),
    ] {
        let request =
            |fields: &str| format!("{method} {target} HTTP/1.1\r\nhost: a.test\r\n{fields}\r\n{body}");
        let length = format!("content-length: {}\r\n", body.len());
        let request = request(if body.is_empty() { "" } else { &length });
        one.send(&request);
        other.send(&request);
        let (expected, found) = (one.reply_to(method), other.reply_to(method));
        assert_eq!((expected.status, &expected.reason), (found.status, &found.reason), "{method} {target}");
        // The handler echoes its request, in which the id, the time and TLS are others.
        let without = |body: &[u8]| -> Vec<String> {
            let text = String::from_utf8_lossy(body).into_owned();
            let is_other =
                |line: &&str| ["x-request-", "x-forwarded-proto"].iter().any(|name| line.starts_with(name));
            text.lines().filter(|line| !is_other(line)).map(str::to_owned).collect()
        };
        assert_eq!(without(&expected.body), without(&found.body), "{method} {target}");
    }
    // Several at once, and one in pieces.
    other.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\nPOST /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nab");
    other.send("c\r\n0\r\n");
    other.send("\r\n");
    for (method, target) in [("GET", "/1"), ("GET", "/2"), ("POST", "/3")] {
        let reply = other.reply_to(method);
        assert!(reply.text().starts_with(&format!("{method} {target} ")), "{}", reply.text());
    }
    // A URL as the target has the scheme of the connection.
    for (target, status) in [("https://a/x", 200), ("HTTPS://a/", 200), ("http://a/x", 421)] {
        assert_eq!(other.ask("GET", target).status, status, "{target}");
    }
    // What is refused closes the connection, by an end of TLS.
    other.send("GET  / HTTP/1.1\r\n\r\n");
    assert_eq!(other.reply_to("GET").status, 400);
    assert!(other.ends());
}

#[test]
fn the_handler_gets_the_certificate_of_the_client_which_nobody_else_can_set() {
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let place = Folder::new();
    put_authority(&place, "clients.pem", &clients);
    let robot = clients.issue_to_client("robot\u{fc}");
    let show = fixture("show.wat");
    for is_required in [false, true] {
        let whether = if is_required { "required" } else { "optional" };
        let secure =
            Secure::start(&[&show, "--tls-client-ca", &place.path("clients.pem"), "--tls-client", whether]);
        let connect = |shown| {
            let terms = Terms::with(&secure.authority, &[&TLS13, &TLS12], shown);
            terms.connect(secure.server.addresses[0], "a.test").unwrap()
        };
        let spoofed = "GET / HTTP/1.1\r\nhost: a\r\nX-Client-Cert-Sha256: 00\r\nx-client-cert-subject: CN=root\r\nX-Forwarded-Proto: gopher\r\n\r\n";
        let mut known = connect(Some(&robot));
        known.send(spoofed);
        let text = known.reply_to("GET").text().to_owned();
        let expected = format!(
            "x-forwarded-proto: https\r\nx-client-cert-sha256: {}\r\nx-client-cert-subject: CN=robot\\c3\\bc\r\n",
            robot.sha256()
        );
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("root") && !text.contains("gopher") && !text.contains("sha256: 00"), "{text}");
        let mut unknown = connect(None);
        unknown.send(spoofed);
        match unknown.try_reply_to("GET") {
            None => {
                assert!(is_required);
                // The alert arrives, although the server has not read the request.
                let mut rest = Vec::new();
                let said = unknown.stream.read_to_end(&mut rest).unwrap_err().to_string();
                assert!(said.contains("CertificateRequired"), "{said}");
            }
            Some(reply) => {
                assert!(!is_required);
                assert!(!reply.text().contains("client-cert"), "{}", reply.text());
            }
        }
        let stranger = strangers.issue_to_client("robot");
        let mut stranger = connect(Some(&stranger));
        stranger
            .stream
            .write_all(spoofed.as_bytes())
            .and_then(|()| stranger.stream.flush())
            .unwrap_or_default();
        assert!(stranger.try_reply_to("GET").is_none());
    }
    // Without TLS, a client cannot say that it uses TLS; a trusted proxy can.
    for (flags, is_kept) in [(&[][..], false), (&["--trust-forwarded", "127.0.0.1"][..], true)] {
        let server = Server::of_with("show.wat", flags);
        let mut client = server.connect();
        client.send(
            "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: https\r\nx-client-cert-sha256: 11\r\n\r\n",
        );
        let text = client.reply_to("GET").text().to_owned();
        assert_eq!(text.contains("x-forwarded-proto: https"), is_kept, "{text}");
        assert_eq!(text.contains("x-client-cert-sha256: 11"), is_kept, "{text}");
    }
}

#[test]
fn a_plain_port_sends_clients_to_https() {
    let secure = Secure::start(&[
        "--listen",
        "127.0.0.1:0,redirect",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0,plain",
    ]);
    let [redirect, tls, plain] = secure.server.addresses[..] else { panic!() };
    assert!(secure.server.urls[1].starts_with("https://") && secure.server.urls[2].starts_with("http://"));
    let port = tls.port();
    for (request, location) in [
        ("GET /a?b=c HTTP/1.1\r\nhost: a.test\r\n\r\n", format!("https://a.test:{port}/a?b=c")),
        ("POST / HTTP/1.1\r\nhost: a.test:80\r\n\r\n", format!("https://a.test:{port}/")),
        ("GET / HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n", format!("https://[::1]:{port}/")),
        ("GET / HTTP/1.1\r\nhost: [::1]\r\n\r\n", format!("https://[::1]:{port}/")),
        ("GET http://b.test:80/x HTTP/1.1\r\nhost: a\r\n\r\n", format!("https://b.test:{port}/x")),
        ("GET https://b.test/x HTTP/1.1\r\nhost: a\r\n\r\n", format!("https://b.test:{port}/x")),
        ("OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n", format!("https://a.test:{port}/")),
    ] {
        // The port of TLS does so, too, with a client that speaks none.
        for address in [redirect, tls] {
            let mut client = Client::connect(address);
            client.send(request);
            let reply = client.reply_to("GET");
            assert_eq!((reply.status, reply.field("location")), (308, Some(&*location)), "{request}");
            assert_eq!(reply.field("strict-transport-security"), None);
        }
    }
    let mut client = Client::connect(redirect);
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply_to("GET").status, 400);
    let mut client = Client::connect(redirect);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde");
    assert_eq!(client.reply_to("POST").status, 308);
    client.expect_close();
    assert_eq!(Client::connect(plain).ask("GET", "/").status, 200);
}

#[test]
fn responses_over_tls_alone_tell_browsers_to_stay_with_it() {
    let secure =
        Secure::start(&["--hsts", "2min", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0,plain"]);
    let hsts = "strict-transport-security";
    let mut client = secure.connect();
    for target in ["/", "/none"] {
        assert_eq!(client.ask("GET", target).field(hsts), Some("max-age=120"));
    }
    client.send("GET  / HTTP/1.1\r\n\r\n");
    assert_eq!(client.reply_to("GET").field(hsts), Some("max-age=120"));
    assert_eq!(Client::connect(secure.server.addresses[1]).ask("GET", "/").field(hsts), None);
    // A handler that says it itself says it alone.
    let folder = Folder::new();
    fs::write(
        folder.file("own.wat"),
        answering(b"HTTP/1.1 200 OK\nStrict-Transport-Security: max-age=1\n\nx"),
    )
    .unwrap();
    let secure = Secure::start(&["--hsts", "2min", &folder.path("own.wat")]);
    assert_eq!(secure.connect().ask("GET", "/").field(hsts), Some("max-age=1"));
}

#[test]
fn handshakes_are_bounded_and_counted() {
    let secure = Secure::start(&["--tls-timeout", "1s"]);
    let address = secure.server.addresses[0];
    // Nothing, the begin of a handshake, and no handshake.
    let hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    for bytes in [&[][..], &hello[..], b"\x16\x03\x01\xff\xff garbage"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 64, "{rest:?}");
    }
    let mut first = secure.connect();
    assert!(!first.is_resumed());
    assert_eq!(first.ask("GET", "/").status, 200);
    let text = secure.metrics();
    for sample in ["result=\"full\"} 1\n", "result=\"failed\"} 3\n", "result=\"resumed\"} 0\n"] {
        assert!(text.contains(&format!("host_tls_handshakes_total{{{sample}")), "{text}");
    }
    assert!(text.contains("host_certificate_not_after_seconds{file="), "{text}");
    assert_eq!(first.ask("GET", "/").status, 200, "the timeout is that of the handshake");
}

#[test]
fn a_request_may_come_with_the_end_of_the_handshake() {
    let secure = Secure::start(&[]);
    for version in [&TLS12, &TLS13] {
        let terms = Terms::with(&secure.authority, &[version], None);
        for _ in 0..2 {
            let mut client = terms.connect_with(
                secure.server.addresses[0],
                "a.test",
                "GET /route HTTP/1.1\r\nhost: a\r\n\r\n",
            );
            assert_eq!(client.reply_to("GET").text(), "<h1> hello route</h1>");
        }
    }
}

#[test]
fn a_session_is_resumed_with_both_versions() {
    for version in [&TLS12, &TLS13] {
        let secure = Secure::start(&[]);
        let terms = Terms::with(&secure.authority, &[version], None);
        for round in 0..3 {
            let mut client = terms.connect(secure.server.addresses[0], "a.test").unwrap();
            assert_eq!(client.is_resumed(), round > 0, "{version:?}, round {round}");
            assert_eq!(client.ask("GET", "/").status, 200);
        }
    }
}

#[test]
fn an_older_version_than_allowed_is_refused() {
    let secure = Secure::start(&["--tls-min", "1.3"]);
    let connect = |version| {
        Terms::with(&secure.authority, &[version], None).connect(secure.server.addresses[0], "a.test")
    };
    assert!(connect(&TLS12).is_err_and(|why| why.contains("ProtocolVersion")));
    assert_eq!(connect(&TLS13).unwrap().ask("GET", "/").status, 200);
}

#[test]
fn a_client_that_does_not_read_is_given_up_over_tls_too() {
    let flags = ["--write-timeout", "1s", "--write-rate-min", "0", "--response-max", "8MiB"];
    let secure = Secure::start(&[&[&*fixture("answers_much.wat")], &flags[..]].concat());
    let mut client = secure.connect();
    for _ in 0..100 {
        // The server stops to read when it cannot write.
        if client.stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").is_err() {
            break;
        }
    }
    let given_up = ["host_connections{state=\"active\"} 0\n", "host_connections{state=\"idle\"} 0\n"];
    wait_until("given up", || given_up.iter().all(|sample| secure.metrics().contains(sample)));
    assert_eq!(secure.connect().ask("GET", "/").status, 200);
}

#[test]
fn a_large_answer_arrives_whole_at_a_slow_client() {
    let secure = Secure::start(&[&fixture("echo.wat"), "--body-max", "8MiB", "--response-max", "9MiB"]);
    let mut client = secure.connect();
    // Far less than the answer.
    SockRef::from(&client.stream.sock).set_recv_buffer_size(8 << 10).unwrap();
    let body: String = (0..400_000).map(|number| format!("{number:08}\n")).collect();
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.send(&body);
    let reply = client.reply_to("POST");
    assert_eq!(reply.status, 200);
    assert!(reply.text().ends_with(&body));
}

#[test]
fn a_key_is_agreed_on_that_quantum_computers_do_not_find() {
    let client = Secure::start(&[]).connect();
    let group = client.stream.conn.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}

#[test]
fn a_broken_authority_of_clients_is_a_mistake_in_the_configuration() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    let lines = "tls-cert = 'a.pem'\ntls-key = 'a.key'\ntls-client-ca = 'clients.pem'\n";
    fs::write(folder.file("host.toml"), lines).unwrap();
    fs::write(folder.file("clients.pem"), "").unwrap();
    let check = || output_of(host().args(["config", "check", "host.toml"]).current_dir(folder.file("")));
    let (code, said) = check();
    assert!(code == 1 && said.contains("clients.pem (--tls-client-ca): it has no block"), "{code} {said}");
    put_authority(&folder, "clients.pem", &authority);
    assert_eq!(check().0, 0);
}
