//! The PROXY protocol: the client that a trusted proxy names in a header before all other bytes is the
//! peer of the connection, and no other peer can name one.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::harness::{Client, Deployment, Folder, PATIENCE, Server, fixture_text, output_of, wait_until};
use crate::tls::parts::Secure;

const REQUEST: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LISTEN: [&str; 4] = ["--listen", "127.0.0.1:0,proxy", "--trust-forwarded", "127.0.0.1"];

/// Header of version 2 with a command, a family, and what its length counts.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, block].concat()
}

/// Addresses and ports of version 2 over IPv4.
const FOUR: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

/// Addresses and ports of version 2 over IPv6.
fn six() -> [u8; 36] {
    let mut six = [0; 36];
    six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    six[15] = 7;
    six[31] = 1;
    six
}

fn with_tlvs(addresses: &[u8]) -> Vec<u8> {
    // A name, a checksum that is not looked at, padding, and what no standard knows.
    [addresses, b"\x02\0\x06a.test", b"\x03\0\x04\0\0\0\0", b"\x04\0\x20", &[0; 32], b"\xea\0\x01x"].concat()
}

/// Headers, and the client that each names; `-` is the proxy itself.
fn headers() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4660 80\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.1 1 2\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "-"),
        (b"PROXY UNKNOWN ff:: ff:: 65535 65535\r\n".to_vec(), "-"),
        (v2(0x21, 0x11, &FOUR), "192.0.2.7"),
        (v2(0x21, 0x11, &with_tlvs(&FOUR)), "192.0.2.7"),
        (v2(0x21, 0x21, &six()), "2001:db8::7"),
        (v2(0x21, 0x21, &with_tlvs(&six())), "2001:db8::7"),
        // A proxy whose client speaks QUIC.
        (v2(0x21, 0x12, &FOUR), "192.0.2.7"),
        (v2(0x21, 0x31, &[b'/'; 216]), "-"),
        (v2(0x21, 0x00, b""), "-"),
        (v2(0x20, 0x00, b""), "-"),
        (v2(0x20, 0x11, &with_tlvs(&FOUR)), "-"),
    ]
}

/// Returns the client that the handler was told.
fn told(client: &mut Client) -> String {
    let reply = client.reply_to("GET");
    field(reply.text(), "x-forwarded-for").unwrap()
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
}

/// Returns the value of a sample, whose name ends in a space.
fn sample(control: &Path, name: &str) -> u64 {
    let mut stream = UnixStream::connect(control).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)).expect("a sample").parse().unwrap()
}

/// Returns how many headers had this outcome.
fn count(control: &Path, result: &str) -> u64 {
    sample(control, &format!("host_proxy_headers_total{{result=\"{result}\"}} "))
}

#[test]
fn the_header_names_the_client_however_its_bytes_arrive() {
    let flags = [&LISTEN[..], &["--log-fields", "target,client,peer"]].concat();
    let mut server = Server::of_with("show.wat", &flags);
    assert!(server.urls[0].ends_with(",proxy"), "{:?}", server.urls);
    for (number, (header, named)) in headers().into_iter().enumerate() {
        let expected = if named == "-" { "127.0.0.1" } else { named };
        let whole = [&header, REQUEST.as_bytes()].concat();
        for cut in 0..header.len() {
            let mut client = server.connect();
            client.send(&whole[..cut]);
            client.send(&whole[cut..]);
            assert_eq!(told(&mut client), expected, "{} cut at {cut}", header.escape_ascii());
        }
        let mut client = server.connect();
        for byte in &whole {
            client.send([*byte]);
        }
        assert_eq!(told(&mut client), expected, "{}", header.escape_ascii());
        // The connection goes on with the same client, and has one header.
        client.send(format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n"));
        assert_eq!(told(&mut client), expected);
        server.log_line(&[
            &format!("target=/{number} "),
            &format!("client={expected} "),
            &format!("peer={expected}"),
        ]);
        client.send(&whole);
        assert_ne!(client.reply_to("GET").status, 200);
    }
}

#[test]
fn what_is_no_header_gets_no_answer() {
    let place = Deployment::new();
    let mut server = place.start(&[&LISTEN[..], &["--log-level", "debug"]].concat());
    let v1 = |line: &str| format!("PROXY {line}\r\n").into_bytes();
    let long =
        |length: u16| [&v2(0x21, 0x11, &FOUR)[..14], &length.to_be_bytes(), &FOUR, &[0; 5000]].concat();
    let wrong = [
        b"\r\n".to_vec(),
        REQUEST.into(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
        b" PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
        b"PROXY\tTCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r \n".to_vec(),
        v1(""),
        v1("TCP4"),
        v1("TCP5 192.0.2.7 10.0.0.1 1 2"),
        v1("UDP4 192.0.2.7 10.0.0.1 1 2"),
        v1("UNKNOWNS 192.0.2.7 10.0.0.1 1 2"),
        v1("unknown"),
        v1("TCP4 192.0.2.7 10.0.0.1 1"),
        v1("TCP4 192.0.2.7 10.0.0.1 1 2 3"),
        v1("TCP4  192.0.2.7 10.0.0.1 1 2"),
        v1("TCP4 192.0.2.7 10.0.0.1 1 2 "),
        v1("TCP4 192.0.2.7 10.0.0.1 1 65536"),
        v1("TCP4 192.0.2.7 10.0.0.1 -1 2"),
        v1("TCP4 192.0.2.7 10.0.0.1 +1 2"),
        v1("TCP4 192.0.2.7 10.0.0.1 01 2"),
        v1("TCP4 192.0.2.256 10.0.0.1 1 2"),
        v1("TCP4 192.0.2.07 10.0.0.1 1 2"),
        v1("TCP4 192.0.2.7 nobody 1 2"),
        v1("TCP4 ::1 ::1 1 2"),
        v1("TCP6 192.0.2.7 10.0.0.1 1 2"),
        v1("TCP6 fe80::1%eth0 ::1 1 2"),
        v1("TCP6 [::1] ::1 1 2"),
        v1(&format!("UNKNOWN {}", "x".repeat(92))),
        b"PROXY TCP4 \xff\xfe\xfd\xfc 10.0.0.1 1 2\r\n".to_vec(),
        [b"PROXY UNKNOWN ", &[b'x'; 5000][..]].concat(),
        [b"\r\n\r\n\0\r\nQUIT\r".to_vec(), v2(0x21, 0x11, &FOUR)[12..].to_vec()].concat(),
        v2(0x11, 0x11, &FOUR),
        v2(0x31, 0x11, &FOUR),
        v2(0x22, 0x11, &FOUR),
        v2(0x2f, 0x11, &FOUR),
        v2(0x21, 0x10, &FOUR),
        v2(0x21, 0x13, &FOUR),
        v2(0x21, 0x41, &FOUR),
        v2(0x21, 0x01, &FOUR),
        v2(0x21, 0x11, &FOUR[..11]),
        v2(0x21, 0x11, b""),
        v2(0x21, 0x21, &FOUR),
        v2(0x21, 0x31, &[0; 215]),
        long(4081),
        long(u16::MAX),
    ];
    for header in &wrong {
        let mut client = server.connect();
        // The server may have closed the connection in between.
        client.try_send([header, REQUEST.as_bytes()].concat());
        assert_eq!(client.read_to_end(), b"", "{}", header.escape_ascii());
    }
    let mut all = wrong.len() as u64;
    assert!(all > 40);
    // A header that breaks off, wherever it does.
    for header in [&headers()[0].0, &headers()[5].0] {
        for end in 1..header.len() {
            let mut client = server.connect();
            client.send(&header[..end]);
            client.finish_sending();
            assert_eq!(client.read_to_end(), b"");
            all += 1;
        }
    }
    // A check whether the port is open is no mistake.
    let mut client = server.connect();
    client.finish_sending();
    assert_eq!(client.read_to_end(), b"");
    let control = place.socket();
    wait_until("all are counted", || count(&control, "bad") == all && count(&control, "none") == 1);
    server.log_line(&["bad PROXY header", "peer=127.0.0.1", "expected TCP4, TCP6 or UNKNOWN"]);
    server.log_line(&["bad PROXY header", "the connection ended within the header"]);
}

#[test]
fn a_header_of_a_peer_that_is_not_trusted_is_not_read() {
    let place = Deployment::of(fixture_text("show.wat"));
    let mut server = place.start(&[&LISTEN[..], &["--log-level", "debug"]].concat());
    let address = server.addresses[0];
    for bytes in [&headers()[0].0, &headers()[5].0, REQUEST.as_bytes()] {
        let mut client = Client::connect_from([127, 0, 0, 2], address);
        client.try_send([bytes, REQUEST.as_bytes()].concat());
        assert_eq!(client.read_to_end(), b"");
    }
    server.log_line(&["this peer may send no PROXY header (--trust-forwarded)", "peer=127.0.0.2"]);
    assert_eq!(count(&place.socket(), "untrusted"), 3);
    for (result, header) in [("client", 0), ("unknown", 3), ("local", 12)] {
        let mut client = server.connect();
        client.send([&headers()[header].0, REQUEST.as_bytes()].concat());
        told(&mut client);
        assert_eq!(count(&place.socket(), result), 1, "{result}");
    }
    assert!(place.tell(&["status"]).contains(&format!("listens on http://{address},proxy\n")));
}

#[test]
fn fields_are_believed_for_the_sake_of_the_client_in_the_header() {
    let flags = [&LISTEN[..], &["--trust-forwarded", "192.0.2.0/24"]].concat();
    let server = Server::of_with("show.wat", &flags);
    let claims = "x-forwarded-for: 198.51.100.1\r\nx-forwarded-proto: https\r\n";
    for (header, client) in [
        // Another proxy before the one that has connected.
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(), "198.51.100.1"),
        (b"PROXY TCP4 203.0.113.1 10.0.0.1 1 2\r\n".to_vec(), "203.0.113.1"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
        // The proxy itself.
        (v2(0x20, 0, b""), "198.51.100.1"),
        // A client that the proxy does not name could claim anything.
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (v2(0x21, 0, b""), "127.0.0.1"),
        (v2(0x21, 0x31, &[0; 216]), "127.0.0.1"),
    ] {
        let mut one = server.connect();
        one.send([&header, format!("GET / HTTP/1.1\r\nhost: a\r\n{claims}\r\n").as_bytes()].concat());
        let reply = one.reply_to("GET");
        let shown = header.escape_ascii();
        assert_eq!(field(reply.text(), "x-forwarded-for").as_deref(), Some(client), "{shown}");
        let is_believed = client == "198.51.100.1";
        assert_eq!(field(reply.text(), "x-forwarded-proto").is_some(), is_believed, "{shown}");
    }
}

#[test]
fn the_header_comes_before_tls_and_before_a_redirect() {
    let flags = ["--listen", "127.0.0.1:0,tls,proxy", "--listen", "127.0.0.1:0,proxy,redirect"];
    let module = crate::harness::fixture("show.wat");
    let secure = Secure::start(&[&flags[..], &["--trust-forwarded", "127.0.0.1", &module]].concat());
    assert!(secure.server.urls[0].starts_with("https://") && secure.server.urls[0].ends_with(",proxy"));
    let [tls, redirect] = secure.server.addresses[..] else { panic!() };
    for (header, named) in headers() {
        let mut client = secure.terms().connect_behind(&header, tls, "a.test").unwrap();
        let reply = client.ask("GET", "/");
        let expected = if named == "-" { "127.0.0.1" } else { named };
        assert_eq!(field(reply.text(), "x-forwarded-for").as_deref(), Some(expected));
        // The proxy itself could say what its own client speaks.
        let is_proxy = header.get(12) == Some(&0x20);
        assert_eq!(field(reply.text(), "x-forwarded-proto").as_deref(), (!is_proxy).then_some("https"));
        // A client that speaks no TLS is sent to it.
        for address in [tls, redirect] {
            let mut client = Client::connect(address);
            client.send([&header, REQUEST.as_bytes()].concat());
            let reply = client.reply_to("GET");
            let location = format!("https://a:{}/", tls.port());
            assert_eq!((reply.status, reply.field("location")), (308, Some(&*location)));
        }
    }
    // TLS without a header is none.
    assert!(secure.terms().connect(tls, "a.test").is_err());
}

#[test]
fn a_header_that_takes_long_is_given_up() {
    let place = Deployment::new();
    let mut server =
        place.start(&[&LISTEN[..], &["--head-timeout", "200ms", "--log-level", "debug"]].concat());
    for header in [&b""[..], b"PROXY TCP4 192.0.2.7", &headers()[6].0[..40]] {
        let mut client = server.connect();
        client.send(header);
        assert_eq!(client.read_to_end(), b"");
    }
    server.log_line(&["its PROXY header took too long (--head-timeout)"]);
    assert_eq!(count(&place.socket(), "late"), 3);
    // The time is that of the header alone.
    let mut client = server.connect();
    client.send([&headers()[0].0, REQUEST.as_bytes()].concat());
    assert_eq!(client.reply_to("GET").status, 200);
    wait_until("the time has passed for another one", || {
        let mut other = server.connect();
        other.read_to_end().is_empty()
    });
    assert_eq!(client.ask("GET", "/").status, 200);
}

#[test]
fn a_unix_socket_takes_headers_too() {
    let folder = Folder::new();
    let path = folder.path("http.sock");
    let listen = format!("unix:{path},proxy,mode=0600");
    let server = Server::of_with("show.wat", &["--listen", &listen, "--trust-forwarded", "unix"]);
    assert_eq!(server.urls, [format!("unix:{path},proxy")]);
    for (header, named) in headers() {
        for cut in [1, 15, header.len() - 1, header.len()] {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&header[..cut]).unwrap();
            let rest = [&header[cut..], b"GET / HTTP/1.0\r\n\r\n"].concat();
            stream.write_all(&rest).unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).unwrap();
            let expected = if named == "-" { "unknown" } else { named };
            assert_eq!(field(&reply, "x-forwarded-for").as_deref(), Some(expected), "{reply}");
        }
    }
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(REQUEST.as_bytes()).unwrap();
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    assert_eq!(reply, b"");
}

#[test]
fn connections_are_shared_fairly_among_the_clients_in_headers() {
    let place = Deployment::new();
    let server = place.start(&[&LISTEN[..], &["--connections", "4"]].concat());
    let connect = |last: u8| {
        let mut client = server.connect();
        client.send(format!("PROXY TCP4 192.0.2.{last} 10.0.0.1 1 2\r\n{REQUEST}"));
        assert_eq!(client.reply_to("GET").status, 200);
        client
    };
    let mut modest = connect(1);
    let mut greedy = [connect(2), connect(2), connect(2)];
    wait_until("all are idle", || sample(&place.socket(), "host_connections{state=\"idle\"} ") == 4);
    let _newcomer = connect(3);
    // The oldest would give way, if all were of one client.
    assert_eq!(modest.ask("GET", "/").status, 200);
    assert_eq!(greedy.iter_mut().filter_map(|client| (!client.is_open()).then_some(())).count(), 1);
}

/// Sends a header and a request, and returns what the handler was told, if it was asked.
fn named(address: SocketAddr, header: &str) -> Option<String> {
    let mut client = Client::connect(address);
    client.try_send(format!("{header}GET / HTTP/1.0\r\n\r\n"));
    field(&String::from_utf8(client.read_to_end()).unwrap(), "x-forwarded-for")
}

#[test]
fn an_upgrade_and_a_reload_keep_it() {
    let header = "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n";
    let place = Deployment::of(fixture_text("show.wat"));
    let http = place.path("http");
    let unix = format!("unix:{http},proxy");
    let mut server = place.start(&[&LISTEN[..], &["--listen", &unix, "--trust-forwarded", "unix"]].concat());
    let urls = server.urls.clone();
    server.upgrade();
    assert!(place.tell(&["status"]).contains(&urls.join(", ")));
    let address = server.addresses[0];
    assert_eq!(named(address, header).as_deref(), Some("192.0.2.7"));
    assert_eq!(named(address, ""), None);
    let mut stream = UnixStream::connect(&http).unwrap();
    stream.write_all(format!("{header}GET / HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_eq!(field(&reply, "x-forwarded-for").as_deref(), Some("192.0.2.7"));

    let folder = Folder::new();
    fs::write(folder.file("show.wat"), fixture_text("show.wat")).unwrap();
    let lines = |trusted: &str| {
        format!(
            "listen = ['127.0.0.1:0,proxy']\ncontrol = 'control'\nmodule = 'show.wat'\nno-probe = true\n{trusted}"
        )
    };
    let write = |trusted| fs::write(folder.file("host.toml"), lines(trusted)).unwrap();
    write("trust-forwarded = '127.0.0.1'");
    let mut command = crate::harness::host();
    command.current_dir(folder.file(""));
    let server = Server::begin_as_it_is(command).until_ready();
    let reload = || {
        let mut command = crate::harness::host();
        command.args(["reload", "--control"]).arg(folder.file("control")).current_dir(folder.file(""));
        output_of(&mut command)
    };
    let address = server.addresses[0];
    assert_eq!(named(address, header).as_deref(), Some("192.0.2.7"));
    write("trust-forwarded = '10.0.0.0/8'");
    let (code, said) = reload();
    assert_eq!(code, 0, "{said}");
    assert_eq!(named(address, header), None);
    write("trust-forwarded = '127.0.0.0/8'");
    assert_eq!(reload().0, 0);
    assert_eq!(named(address, header).as_deref(), Some("192.0.2.7"));
    write("");
    let (code, said) = reload();
    assert!(code == 1 && said.contains("expected --trust-forwarded CIDR with it"), "{said}");
    assert_eq!(named(address, header).as_deref(), Some("192.0.2.7"));
}

#[test]
fn a_header_at_an_address_that_takes_none_is_told_as_such() {
    let server = Server::of_with("show.wat", &["--dev"]);
    for header in [0, 3, 5] {
        let mut client = server.connect();
        client.send([&headers()[header].0, REQUEST.as_bytes()].concat());
        let said = String::from_utf8(client.read_to_end()).unwrap();
        assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
        assert!(said.contains("expected none, or `,proxy` behind the address of --listen"), "{said}");
    }
}
