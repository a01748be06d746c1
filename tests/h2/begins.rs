//! Begins of connections: prefaces on plain ports, over TLS and on Unix sockets, and clients that speak
//! another version than was agreed on.

use super::client::{H2, tcp};
use super::frames::{END, HEADER_TABLE_SIZE, PREFACE, SETTINGS, data, get, headers, request, settings};
use crate::harness::{Client, Folder, Server};
use crate::tls::parts::Secure;

#[test]
fn a_preface_may_come_in_single_bytes() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    let mut client = H2::over(tcp(server.addresses[0]));
    for byte in [PREFACE, &settings(&[(HEADER_TABLE_SIZE, 0)]), &headers(1, END, get("/"))].concat() {
        client.send([byte]);
    }
    assert_eq!(client.reply(1).status, 200);
}

#[test]
fn requests_may_come_with_the_preface() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    let mut client = H2::over(tcp(server.addresses[0]));
    let post = [headers(3, 0, request("POST", "/", &[])), data(3, END, b"hello")].concat();
    client.send([PREFACE, &settings(&[(HEADER_TABLE_SIZE, 0)]), &headers(1, END, get("/")), &post].concat());
    assert_eq!(client.reply(1).status, 200);
    assert!(client.reply(3).text().ends_with("hello"));
}

#[test]
fn the_preface_is_refused_where_it_is_not_expected() {
    let plain = Server::of("show.wat");
    let mut client = plain.connect();
    client.send([PREFACE, &settings(&[])].concat());
    assert_eq!(client.reply_to("PRI").status, 505);
    client.expect_close();
    // Behind another request it is no preface.
    let server = Server::of_with("show.wat", &["--h2c"]);
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/").status, 200);
    client.send([PREFACE, &settings(&[])].concat());
    assert_eq!(client.reply_to("PRI").status, 505);
    client.expect_close();
    // An upgrade by a field is gone from HTTP/2 (RFC 9113, section 3.1).
    let mut client = server.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n");
    let reply = client.reply_to("GET");
    assert_eq!((reply.status, reply.field("upgrade")), (200, None));
}

#[test]
fn both_versions_are_spoken_on_one_port() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    assert_eq!(H2::connect(server.addresses[0]).ask(1, "/").status, 200);
    assert_eq!(Client::connect(server.addresses[0]).ask("GET", "/").status, 200);
}

#[test]
fn what_is_nearly_a_preface_is_none() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    for (bytes, is_http1) in [
        (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\t"[..], false),
        (b"PRI * HTTP/2.0\r\nhost: a\r\n\r\n\r\n\r\n", false),
        (b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", true),
        (b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
        (b"GET / HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
        (b"pri * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
    ] {
        let mut client = server.connect();
        client.send(bytes);
        client.finish_sending();
        if is_http1 {
            assert_eq!(client.reply_to("GET").status, 505, "{}", bytes.escape_ascii());
            client.expect_close();
            continue;
        }
        // SETTINGS, perhaps GOAWAY, and no response.
        let rest = client.read_to_end();
        let is_frames = rest.get(3) == Some(&SETTINGS) && !rest.windows(5).any(|bytes| bytes == b"HTTP/");
        assert!(is_frames, "{}: {}", bytes.escape_ascii(), rest.escape_ascii());
    }
    assert_eq!(H2::connect(server.addresses[0]).ask(1, "/").status, 200);
}

#[test]
fn a_unix_socket_speaks_both_versions() {
    let folder = Folder::new();
    let place = folder.path("web");
    let server =
        Server::with(&[&*crate::harness::fixture("show.wat"), "--h2c", "--listen", &format!("unix:{place}")]);
    assert_eq!(H2::connect_unix(&folder.file("web")).ask(1, "/").status, 200);
    drop(server);
}

#[test]
fn tls_agrees_on_a_version() {
    let secure = Secure::start(&[&crate::harness::fixture("show.wat")]);
    let address = secure.server.addresses[0];
    let connect =
        |protocols: &[&[u8]]| secure.terms().speaking(protocols).connect(address, "a.test").unwrap();
    // HTTP/2 is preferred, and HTTP/1.1 is what is spoken without an agreement.
    for (offered, agreed) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
        (&[b"h2"], Some(b"h2")),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut client = connect(offered);
        assert_eq!(client.stream.conn.alpn_protocol(), agreed, "{offered:?}");
        if agreed == Some(b"h2") {
            let mut client = H2::over(client.stream);
            client.begin(&[]);
            let https = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")];
            client.send(headers(1, END, super::hpack::block(&https)));
            assert_eq!(client.reply(1).status, 200);
            // The scheme is that of the connection.
            assert_eq!(client.ask(3, "/").status, 421);
        } else {
            assert_eq!(client.ask("GET", "/").status, 200);
        }
    }
    // Who speaks neither gets no connection.
    assert!(secure.terms().speaking(&[b"h3"]).connect(address, "a.test").is_err());
    // The preface after http/1.1, and a request of HTTP/1.1 after h2.
    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        let mut client = connect(protocols);
        client.send([PREFACE, &settings(&[])].concat());
        assert_eq!(client.reply_to("PRI").status, 505);
        assert!(client.ends());
    }
    let mut client = connect(&[b"h2"]);
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    let mut client = H2::over(client.stream);
    client.ends();
    assert!(client.streams.is_empty(), "{}", client.shown());
}

#[test]
fn http2_can_be_turned_off() {
    let secure = Secure::start(&[&crate::harness::fixture("show.wat"), "--no-h2"]);
    let terms = secure.terms().speaking(&[b"h2", b"http/1.1"]);
    let mut client = terms.connect(secure.server.addresses[0], "a.test").unwrap();
    assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.ask("GET", "/").status, 200);
}
