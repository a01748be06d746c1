//! A table of requests gets the same answers over HTTP/1.1 and HTTP/2, with TLS and without.

use super::client::H2;
use super::versions::{Request, Same};
use crate::harness::{Client, Server, fixture};
use crate::tls::parts::Secure;

/// Method, target, host if any, further fields, and body if any.
type Row = (
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [(&'static str, &'static str)],
    Option<&'static [u8]>,
);

const HOST: Option<&str> = Some("a.test");

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("GET",     "/",             HOST, &[], None),
    ("GET",     "/route",        HOST, &[], None),
    ("GET",     "/route?a=b&c",  HOST, &[], None),
    ("GET",     "/nope",         HOST, &[], None),
    ("GET",     "//",            HOST, &[], None),
    ("GET",     "/%72oute",      HOST, &[], None),
    ("GET",     "/a/../b;c?d=%", HOST, &[], None),
    ("GET",     "*",             HOST, &[], None),
    ("HEAD",    "/",             HOST, &[], None),
    ("HEAD",    "/route",        HOST, &[], None),
    ("HEAD",    "/nope",         HOST, &[], None),
    ("OPTIONS", "/",             HOST, &[], None),
    ("OPTIONS", "/nope",         HOST, &[], None),
    ("OPTIONS", "*",             HOST, &[], None),
    ("POST",    "/",             HOST, &[], None),
    ("POST",    "/",             HOST, &[], Some(b"")),
    ("POST",    "/",             HOST, &[], Some(b"hello")),
    ("POST",    "/nope",         HOST, &[], Some(b"hello")),
    ("PUT",     "/route",        HOST, &[], Some(b"hello")),
    ("DELETE",  "/",             HOST, &[], None),
    ("PATCH",   "/",             HOST, &[], Some(b"hello")),
    ("TRACE",   "/",             HOST, &[], None),
    ("BREW",    "/",             HOST, &[], None),
    ("get",     "/",             HOST, &[], None),
    ("GET",     "/",             HOST, &[], Some(b"a body of GET")),
    ("GET",     "/",             None, &[], None),
    ("GET",     "/",             Some("a.test:81"), &[], None),
    ("GET",     "/",             Some("[::1]:81"), &[], None),
    ("GET",     "/",             Some("user@a.test"), &[], None),
    ("GET",     "/",             Some("a,b"), &[], None),
    ("GET",     "/",             Some("a:b"), &[], None),
    ("POST",    "/",             HOST, &[("expect", "100-continue")], Some(b"hello")),
    ("GET",     "/",             HOST, &[("expect", "100-continue")], None),
    ("POST",    "/",             HOST, &[("expect", "something")], Some(b"hello")),
    ("GET",     "/",             HOST, &[("expect", "100-continue, more")], None),
    ("GET",     "/",             HOST, &[("cookie", "a=1; b=2;c=3; d=")], None),
    ("GET",     "/",             HOST, &[("cookie", "a=1"), ("x", "y")], None),
    ("GET",     "/",             HOST, &[("x", "1"), ("x", "2, 3"), ("x", ""), ("y", "z")], None),
    ("GET",     "/",             HOST, &[("te", "trailers")], None),
    ("GET",     "/",             HOST, &[("range", "bytes=0-1"), ("if-none-match", "\"a\", W/\"b\"")], None),
    ("GET",     "/",             HOST, &[("accept-encoding", "gzip, br"), ("accept", "*/*;q=0.1")], None),
    ("GET",     "/",             HOST, &[("x-request-id", "1"), ("x-forwarded-for", "b"), ("x-request-time", "0")], None),
    ("GET",     "/",             HOST, &[("forwarded", "for=b"), ("x-forwarded-host", "b")], None),
    ("GET",     "/",             HOST, &[("x", "y\tz")], None),
    ("POST",    "/",             HOST, &[("content-type", "application/json; charset=utf-8")], Some(b"{\"a\": [1]}\r\n\0\xff")),
];

/// Returns the rows, and those that are too long to be written down.
fn requests() -> Vec<Request> {
    let request = |&(method, target, host, fields, body): &Row| Request {
        method: method.into(),
        target: target.into(),
        host: host.map(str::to_owned),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
        body: body.map(<[u8]>::to_vec),
        has_length: true,
    };
    let mut requests: Vec<Request> = TABLE.iter().map(request).collect();
    let plain = || request(&TABLE[0]);
    for length in [8192, 8193, 12_000] {
        requests.push(Request { target: format!("/{}", "a".repeat(length - 1)), ..plain() });
        requests.push(Request { target: format!("/?{}", "a".repeat(length - 2)), ..plain() });
    }
    for length in [64, 65] {
        requests.push(Request { method: "A".repeat(length), ..plain() });
    }
    for count in [99, 100, 101] {
        requests.push(Request { fields: vec![("x".into(), b"y".to_vec()); count - 1], ..plain() });
    }
    for length in [16_000, 16_384, 18_000] {
        requests.push(Request { fields: vec![("x".into(), vec![b'y'; length])], ..plain() });
    }
    for (length, has_length) in [(1, false), (5_000, true), (5_000, false), (100_000, true), (100_000, false)]
    {
        let body = (0..length).map(|number| (number % 256) as u8).collect();
        requests.push(Request { method: "POST".into(), body: Some(body), has_length, ..plain() });
    }
    requests
}

#[test]
fn the_answers_do_not_depend_on_the_version() {
    for module in [None, Some(fixture("show.wat"))] {
        let shows = module.is_some();
        let modules: Vec<&str> = module.as_deref().into_iter().collect();
        let plain = Server::with(&[&["--h2c"], &modules[..]].concat());
        let secure = Secure::start(&modules);
        let (address, with_tls) = (plain.addresses[0], secure.server.addresses[0]);
        let mut h2c = H2::connect_wide(address);
        let terms = secure.terms().speaking(&[b"h2"]);
        let mut h2 = H2::wide_over(terms.connect(with_tls, "a.test").unwrap().stream);
        for (place, request) in requests().iter().enumerate() {
            let stream = 2 * place as u32 + 1;
            let bytes = request.in_http1();
            // What is refused ends a connection of HTTP/1.1.
            let mut http1 = Client::connect(address);
            http1.send(&bytes);
            let mut expected = http1.reply_to(&request.method);
            let mut https = secure.connect();
            https.send(&bytes);
            let mut over_tls = https.reply_to(&request.method);
            if expected.status == 100 {
                (expected, over_tls) = (http1.reply_to(&request.method), https.reply_to(&request.method));
            }
            let expected = Same::of_http1(&expected, shows);
            let about = || {
                let start = &bytes[..bytes.len().min(200)];
                format!("{module:?}: {}", start.escape_ascii())
            };
            assert_eq!(Same::of_http1(&over_tls, shows), expected, "HTTP/1.1 over TLS, {}", about());
            let answer = request.ask(&mut h2c, stream, &request.in_http2("http", || true));
            assert_eq!(Same::of_http2(&answer, shows), expected, "h2c, {}", about());
            let answer = request.ask(&mut h2, stream, &request.in_http2("https", || false));
            assert_eq!(Same::of_http2(&answer, shows), expected, "h2, {}", about());
        }
        h2c.settle();
        h2.settle();
        assert!(h2c.goaways.is_empty() && h2.goaways.is_empty());
    }
}
