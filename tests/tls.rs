//! TLS: the same answers as without, the right certificate for each client, and certificates that
//! are replaced while the server runs. A bad one never replaces a good one.

pub mod parts;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use rustls::version::{TLS12, TLS13};

use self::parts::{Authority, FUTURE, NOW, PAST, Terms, TlsClient, put_authority};
use crate::harness::modules::answering;
use crate::harness::{Client, Configured, Folder, Server, fixture, host, output_of, wait_until};

/// Server with certificates of an authority. The first is for `a.test`, `*.wild.test` and
/// 127.0.0.1.
struct Secure {
    authority: Authority,
    folder: Folder,
    server: Server,
}

impl Secure {
    fn start(flags: &[&str]) -> Secure {
        Secure::start_with(&[], flags)
    }

    /// Starts a server with more certificates, each for one name.
    fn start_with(more: &[&str], flags: &[&str]) -> Secure {
        let (authority, folder) = (Authority::new("authority"), Folder::new());
        authority.issue(&["a.test", "*.wild.test", "127.0.0.1"], NOW).put(&folder, "a");
        let mut arguments = pair(&folder, "a");
        for name in more {
            authority.issue(&[name], NOW).put(&folder, name);
            arguments.extend(pair(&folder, name));
        }
        arguments.extend(["--control".into(), folder.path("control")]);
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Secure { server: Server::with(&arguments), authority, folder }
    }

    fn terms(&self) -> Terms {
        Terms::new(&self.authority)
    }

    fn connect(&self) -> TlsClient {
        self.terms().connect(self.server.addresses[0], "a.test").unwrap()
    }

    /// Runs `host cert`.
    fn cert(&self) -> (i32, String) {
        output_of(host().args(["cert", "--control"]).arg(self.folder.file("control")))
    }

    /// Waits until the files are refused, and returns why.
    fn is_refused(&self, cause: &str) -> String {
        let mut said = String::new();
        wait_until("refused", || {
            said = self.cert().1;
            said.contains("refused, so these go on: ") && said.contains(cause)
        });
        assert_eq!(self.cert().0, 1);
        said
    }

    fn metrics(&self) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(self.folder.file("control")).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// Returns the flags of a certificate.
fn pair(folder: &Folder, name: &str) -> Vec<String> {
    let file = |end: &str| folder.path(&format!("{name}.{end}"));
    vec!["--tls-cert".into(), file("pem"), "--tls-key".into(), file("key")]
}

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
fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let secure = Secure::start_with(&["b.test", "c.wild.test"], &[]);
    let of = |name: &str| {
        let client = secure.terms().connect(secure.server.addresses[0], name);
        client.map(|client| client.certificate())
    };
    let (a, b, c) = (of("a.test").unwrap(), of("b.test").unwrap(), of("c.wild.test").unwrap());
    assert!(a != b && b != c && a != c);
    assert_eq!(of("x.wild.test").unwrap(), a);
    // An address is no name of TLS, so the first certificate is for it, too.
    assert_eq!(of("127.0.0.1").unwrap(), a);
    // A wildcard stands for one label. The client gets the first certificate, and refuses it.
    for name in ["y.x.wild.test", "wild.test", "unknown.test"] {
        let refused = of(name).unwrap_err();
        assert!(refused.contains("not valid for name"), "{name}: {refused}");
    }
}

#[test]
fn a_certificate_is_swapped_and_connections_live_on() {
    let secure = Secure::start(&[]);
    let mut old = secure.connect();
    let before = old.certificate();
    assert_eq!(old.ask("GET", "/").status, 200);
    for round in 0..3 {
        let next = secure.authority.issue(&["a.test"], NOW);
        next.put(&secure.folder, "a");
        wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
        assert_eq!(old.ask("GET", "/").status, 200, "round {round}");
    }
    assert_eq!(old.certificate(), before);
    let (code, said) = secure.cert();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("  names   a.test\n") && said.contains("2100-01-01T00:00:00Z"), "{said}");
    assert!(said.contains("issuer  CN=authority"), "{said}");
}

#[test]
fn a_bad_certificate_never_replaces_a_good_one() {
    let mut secure = Secure::start(&[]);
    let good = secure.connect().certificate();
    let (authority, folder) = (&secure.authority, &secure.folder);
    let cert = |text: &str| fs::write(folder.file("a.pem"), text).unwrap();
    let key = |text: &str| fs::write(folder.file("a.key"), text).unwrap();
    let next = authority.issue(&["a.test"], NOW);
    cert(&next.cert);
    secure.is_refused("is not that of this certificate");
    cert("no certificate");
    secure.is_refused("it has no block `BEGIN CERTIFICATE`");
    cert("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    secure.is_refused("certificate 1 of the chain is malformed");
    fs::remove_file(folder.file("a.pem")).unwrap();
    secure.is_refused("there is no such file");
    cert(&next.cert);
    key("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    secure.is_refused("it is encrypted; expected one without a password");
    key("");
    secure.is_refused("it has no block `BEGIN PRIVATE KEY`");
    let expired = authority.issue(&["a.test"], PAST);
    expired.put(folder, "a");
    secure.is_refused("it expired at 2021-01-01T00:00:00Z");
    authority.issue(&["a.test"], FUTURE).put(folder, "a");
    secure.is_refused("it is not valid before 2090-01-01T00:00:00Z");
    authority.issue(&[], NOW).put(folder, "a");
    secure.is_refused("has no names (subjectAltName)");
    // A chain in another order.
    cert(&format!("{}{}", next.cert, next.cert));
    key(&next.key);
    let said = secure.is_refused("certificate 2 of the chain is not that of the issuer of one before it");
    assert!(said.contains(&format!("sha256  {good}")), "{said}");
    assert_eq!(secure.connect().certificate(), good);
    // A chain with its authority is in order.
    cert(&format!("{}{}", next.cert, authority.pem()));
    wait_until("the good certificate", || secure.connect().certificate() == next.sha256());
    assert!(!secure.cert().1.contains("refused"));
    secure.server.log_line(&[
        "a certificate is not replaced: the one before it goes on",
        "is not that of this certificate",
    ]);
    secure.server.log_line(&["certificate published for new connections", "a.pem"]);
}

#[test]
fn a_certificate_whose_time_begins_is_published_then() {
    let secure = Secure::start(&[]);
    let begin = SystemTime::now() + Duration::from_secs(3);
    let next = secure.authority.issue_from(&["a.test"], begin);
    next.put(&secure.folder, "a");
    secure.is_refused("it is not valid before ");
    wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
    assert!(SystemTime::now() >= begin - Duration::from_secs(1));
}

#[test]
fn an_issuer_of_the_same_name_with_another_key_is_another_one() {
    let secure = Secure::start(&[]);
    let next = secure.authority.issue(&["a.test"], NOW);
    let both = |authority: &Authority| format!("{}{}", next.cert, authority.pem());
    fs::write(secure.folder.file("a.key"), &next.key).unwrap();
    fs::write(secure.folder.file("a.pem"), both(&Authority::new("authority"))).unwrap();
    secure.is_refused("certificate 2 of the chain is not that of the issuer of one before it");
    fs::write(secure.folder.file("a.pem"), both(&secure.authority)).unwrap();
    wait_until("the next certificate", || secure.connect().certificate() == next.sha256());
}

#[test]
fn a_reload_adds_certificates_as_a_whole_or_not_at_all() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    authority.issue(&["b.test"], NOW).put(&folder, "b");
    let place = Configured::start(folder, "tls-cert = 'a.pem'\ntls-key = 'a.key'\n");
    let terms = Terms::new(&authority);
    let connect = |name: &str| terms.connect(place.server.addresses[0], name);
    assert!(connect("a.test").is_ok() && connect("b.test").is_err());
    let both = "tls-cert = ['a.pem', 'b.pem']\ntls-key = ['a.key', 'b.key']\n";
    let (code, said) = place.reload(both);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("tls-cert") && said.contains("tls-key"), "{said}");
    assert_eq!(connect("b.test").unwrap().ask("GET", "/").status, 200);
    for (lines, cause) in [
        ("tls-cert = ['a.pem', 'b.pem']\ntls-key = ['b.key', 'a.key']\n", "is not that of this certificate"),
        ("tls-cert = ['a.pem', 'b.pem']\ntls-key = 'a.key'\n", "found 2 of --tls-cert and 1 of --tls-key"),
        ("tls-cert = ['a.pem', 'c.pem']\ntls-key = ['a.key', 'c.key']\n", "there is no such file"),
        ("", "TLS is turned on and off by a restart only"),
    ] {
        let (code, said) = place.reload(lines);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(cause), "{said}");
        assert!(connect("a.test").is_ok() && connect("b.test").is_ok());
    }
    // A change of who may come ends the sessions from before it.
    assert!(
        connect("b.test").unwrap().ask("GET", "/").status == 200 && connect("b.test").unwrap().is_resumed()
    );
    put_authority(&place.folder, "clients.pem", &authority);
    let (code, said) = place.reload(&format!("{both}tls-client-ca = 'clients.pem'\n"));
    assert_eq!(code, 0, "{said}");
    let mut without = connect("b.test").unwrap();
    assert!(!without.is_resumed());
    without.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(without.try_reply_to("GET").is_none());
}

#[test]
fn what_cannot_be_served_is_told_at_the_start() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    authority.issue(&["b.test"], NOW).put(&folder, "b");
    let (a, b) = (pair(&folder, "a"), pair(&folder, "b"));
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (arguments, expected) in [
        (words(&["--tls-cert", &a[1], "--tls-key", &b[3]]), "is not that of this certificate"),
        (words(&["--tls-cert", &a[1]]), "found 1 of --tls-cert and 0 of --tls-key"),
        (
            words(&["--tls-cert", "none.pem", "--tls-key", &a[3]]),
            "cannot use the certificate none.pem (--tls-cert): there is no such file",
        ),
        (words(&["--listen", "127.0.0.1:0,tls"]), "127.0.0.1:0,tls needs a certificate"),
        (words(&["--listen", "127.0.0.1:0,redirect"]), "127.0.0.1:0,redirect needs a certificate"),
        (words(&["--hsts", "1d"]), "--hsts needs a certificate"),
        (words(&["--tls-client-ca", "x"]), "--tls-client-ca needs a certificate"),
        (
            [a.clone(), words(&["--tls-client-ca", &a[3]])].concat(),
            "(--tls-client-ca): it has no block `BEGIN CERTIFICATE`",
        ),
        (
            [a.clone(), words(&["--listen", "127.0.0.1:0,https"])].concat(),
            "found `,https` behind the address; expected ,tls ,plain or ,redirect",
        ),
    ] {
        let mut command = host();
        command.args(["--no-control"]).args(&arguments);
        if !arguments.contains(&"--listen".to_owned()) {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let (code, said) = output_of(&mut command);
        assert!(code == 1 || code == 2, "{code} {said}");
        assert!(
            said.starts_with("error: ") && said.lines().count() == 1 && said.contains(expected),
            "{said}"
        );
    }
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
            None => assert!(is_required),
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
    let secure = Secure::start(&["--tls-timeout", "100ms"]);
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
    let flags = ["--write-timeout", "200ms", "--write-rate-min", "0", "--response-max", "8MiB"];
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
    let body: String = (0..400_000).map(|number| format!("{number:08}\n")).collect();
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len()));
    client.send(&body);
    std::thread::sleep(Duration::from_millis(300));
    let reply = client.reply_to("POST");
    assert_eq!(reply.status, 200);
    assert!(reply.text().ends_with(&body));
}

#[test]
fn an_upgrade_keeps_connections_and_certificates() {
    let (authority, folder) = (Authority::new("authority"), Folder::new());
    authority.issue(&["a.test"], NOW).put(&folder, "a");
    let mut place = Configured::start(folder, "tls-cert = 'a.pem'\ntls-key = 'a.key'\n");
    let terms = Terms::new(&authority);
    let address = place.server.addresses[0];
    let mut old = terms.connect(address, "a.test").unwrap();
    assert_eq!(old.ask("GET", "/").status, 200);
    place.server.upgrade();
    let last = old.ask("GET", "/");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    assert!(old.ends());
    assert_eq!(terms.connect(address, "a.test").unwrap().ask("GET", "/").status, 200);
    // A certificate that has become bad since keeps the old process.
    fs::write(place.folder.file("a.key"), "").unwrap();
    let cause = place.server.fails_to_upgrade();
    assert!(cause.contains("it has no block `BEGIN PRIVATE KEY`"), "{cause}");
    assert_eq!(terms.connect(address, "a.test").unwrap().ask("GET", "/").status, 200);
}
