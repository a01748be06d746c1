//! Pseudo fields and other fields of requests (RFC 9113, section 8).

use super::case::{Case, answered, ended, is_reset, shown};
use super::frames::{END, PROTOCOL_ERROR, asks, asks_by, asks_with, data, headers, posts, request};
use super::hpack::block;

type Fields<'a> = &'a [(&'a str, &'a str)];

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "a");
const PATH: (&str, &str) = (":path", "/");

/// Returns a request on stream 3 with a path.
fn path(path: &str) -> Vec<u8> {
    headers(3, END, request("GET", path, &[]))
}

fn by_authority(authority: &str, more: Fields<'_>) -> Vec<u8> {
    asks_by(&[&[METHOD, SCHEME, (":authority", authority), PATH], more].concat())
}

/// Expects an answer to a request that names its server by `host` alone.
fn by_host(name: &str, scheme: &str) -> Case {
    let fields = [METHOD, (":scheme", scheme), PATH, ("host", "b")];
    shown("9113 8.3.1", &format!("{name} and host alone"), asks_by(&fields), "GET / HTTP/1.1|host: b||")
}

fn without_authority(more: Fields<'_>) -> Vec<u8> {
    asks_by(&[&[METHOD, SCHEME, PATH], more].concat())
}

fn options(target: &str) -> Vec<u8> {
    headers(3, END, request("OPTIONS", target, &[]))
}

fn connects(fields: Fields<'_>) -> Vec<u8> {
    asks_by(&[&[(":method", "CONNECT")], fields].concat())
}

#[rustfmt::skip]
pub fn pseudo() -> Vec<Case> {
    vec![
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "no :method", asks_by(&[SCHEME, AUTHORITY, PATH])),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "no :scheme", asks_by(&[METHOD, AUTHORITY, PATH])),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "no :path", asks_by(&[METHOD, SCHEME, AUTHORITY])),
        is_reset("9113 8.3", PROTOCOL_ERROR, "no pseudo fields", asks_by(&[("x", "y")])),
        is_reset("9113 8.3", PROTOCOL_ERROR, "no fields", asks_by(&[])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":method twice", asks_by(&[METHOD, METHOD, SCHEME, AUTHORITY, PATH])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":scheme twice", asks_by(&[METHOD, SCHEME, SCHEME, AUTHORITY, PATH])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":path twice", asks_by(&[METHOD, SCHEME, AUTHORITY, PATH, PATH])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":authority twice",
            asks_by(&[METHOD, SCHEME, AUTHORITY, (":authority", "b"), PATH])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":path behind a field",
            asks_by(&[METHOD, SCHEME, AUTHORITY, ("x", "y"), PATH])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":authority behind a field",
            asks_by(&[METHOD, SCHEME, PATH, ("x", "y"), AUTHORITY])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":path again behind a field", asks(&[("x", "y"), (":path", "/b")])),
        ended("9113 8.3", PROTOCOL_ERROR, "an unknown pseudo field", asks_by(&[METHOD, SCHEME, AUTHORITY, PATH, (":x", "y")])),
        ended("9113 8.3", PROTOCOL_ERROR, "a pseudo field without a name", asks_by(&[METHOD, SCHEME, AUTHORITY, PATH, (":", "y")])),
        is_reset("9113 8.3", PROTOCOL_ERROR, ":status in a request",
            asks_by(&[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")])),
        shown("9113 8.3", "pseudo fields in another order", asks_by(&[PATH, AUTHORITY, SCHEME, METHOD, ("x", "y")]),
            "GET / HTTP/1.1|host: a|x: y||"),
        ended("9113 8.3.1", PROTOCOL_ERROR, "an empty :method", asks_by(&[(":method", ""), SCHEME, AUTHORITY, PATH])),
        ended("9110 9.1", PROTOCOL_ERROR, "a :method of two words",
            asks_by(&[(":method", "GET /x"), SCHEME, AUTHORITY, PATH])),
        shown("9110 9.1", "a method in lower case", headers(3, END, request("get", "/", &[])),
            "get / HTTP/1.1|host: a||"),
        answered("9110 9.1", 501, "a method that is too long", headers(3, END, request(&"A".repeat(65), "/", &[]))),
        answered("9110 7.4", 421, "an empty :scheme", asks_by(&[METHOD, (":scheme", ""), AUTHORITY, PATH])),
        answered("9110 7.4", 421, "the scheme of TLS", asks_by(&[METHOD, (":scheme", "https"), AUTHORITY, PATH])),
        answered("9110 7.4", 421, "an unknown scheme", asks_by(&[METHOD, (":scheme", "ftp"), AUTHORITY, PATH])),
        answered("9110 4.2.3", 200, "the scheme in capitals", asks_by(&[METHOD, (":scheme", "HTTP"), AUTHORITY, PATH])),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "a scheme with a space", asks_by(&[METHOD, (":scheme", "a b"), AUTHORITY, PATH])),
        // Without an authority the crate keeps no scheme, and that of the connection counts.
        by_host("the scheme of the connection", "http"),
        by_host("the scheme of TLS", "https"),
        by_host("an unknown scheme", "ftp"),
        by_host("an empty scheme", ""),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "a scheme with a space and host alone",
            asks_by(&[METHOD, (":scheme", "a b"), PATH, ("host", "b")])),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "host alone without a scheme", asks_by(&[METHOD, PATH, ("host", "b")])),
    ]
}

#[rustfmt::skip]
pub fn targets() -> Vec<Case> {
    vec![
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "an empty :path", path("")),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "a :path without a slash", path("b")),
        answered("9113 8.3.1", 400, "a query alone", path("?b")),
        answered("9110 7.1", 400, "* with GET", path("*")),
        shown("9113 8.3.1", "* with OPTIONS", options("*"), "OPTIONS * HTTP/1.1|host: a||"),
        shown("9113 8.3.1", "OPTIONS of a path", options("/b"), "OPTIONS /b HTTP/1.1|host: a||"),
        // The crate leaves a fragment out, as some clients do.
        shown("9112 3.2", "a fragment", path("/b#c"), "GET /b HTTP/1.1|host: a||"),
        // HTTP/1.1 takes it, as a client may send it; RFC 3986 does not allow it.
        is_reset("9112 3.2", PROTOCOL_ERROR, "a backquote in :path", path("/`b")),
        is_reset("9112 3.2", PROTOCOL_ERROR, "a space in :path", path("/b c")),
        is_reset("9112 3.2", PROTOCOL_ERROR, "a version of HTTP in :path", path("/ HTTP/1.1")),
        is_reset("9113 10.3", PROTOCOL_ERROR, "the end of a line in :path", path("/\r\nx: y")),
        is_reset("9113 8.2.1", PROTOCOL_ERROR, "NUL in :path", path("/\0")),
        is_reset("9113 8.2.1", PROTOCOL_ERROR, "DEL in :path", path("/\x7f")),
        answered("9112 3.2", 400, "bytes above ASCII in :path", path("/\u{fc}")),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "a URL as :path", path("http://a/b")),
        shown("9112 3.2.1", "a path is left as it came", path("//b/../%2e%2E/%7a?c=/d?e"),
            "GET //b/../%2e%2E/%7a?c=/d?e HTTP/1.1|host: a||"),
        shown("9113 8.3.1", "a path of two slashes", path("//b"), "GET //b HTTP/1.1|host: a||"),
        // The handler decides, and this one answers with a body, which is not allowed.
        answered("9110 9.3.6", 502, "CONNECT", connects(&[(":authority", "a:1")])),
        is_reset("9113 8.5", PROTOCOL_ERROR, "CONNECT with :scheme and :path", connects(&[SCHEME, (":authority", "a:1"), PATH])),
        answered("9113 8.5", 400, "CONNECT without :authority", connects(&[])),
        is_reset("8441 4", PROTOCOL_ERROR, "extended CONNECT",
            connects(&[(":protocol", "websocket"), SCHEME, AUTHORITY, PATH])),
        is_reset("8441 4", PROTOCOL_ERROR, ":protocol with GET",
            asks_by(&[METHOD, (":protocol", "websocket"), SCHEME, AUTHORITY, PATH])),
    ]
}

#[rustfmt::skip]
pub fn hosts() -> Vec<Case> {
    vec![
        answered("9113 8.3.1", 400, "userinfo in :authority", by_authority("user@a", &[])),
        answered("9113 8.3.1", 400, "userinfo with a password in :authority", by_authority("user:b@a", &[])),
        is_reset("9113 8.3.1", PROTOCOL_ERROR, "an empty :authority", by_authority("", &[])),
        is_reset("9110 4.2.1", PROTOCOL_ERROR, "a path in :authority", by_authority("a/b", &[])),
        is_reset("9110 4.2.1", PROTOCOL_ERROR, "a space in :authority", by_authority("a b", &[])),
        is_reset("9113 10.3", PROTOCOL_ERROR, "the end of a line in :authority", by_authority("a\r\nx: y", &[])),
        shown("9110 4.2.1", "a name with a comma", by_authority("a,b", &[]), "GET / HTTP/1.1|host: a,b||"),
        answered("9110 4.2.1", 400, "a port that is no number", by_authority("a:b", &[])),
        shown("9110 4.2.1", "a port", by_authority("a:80", &[]), "GET / HTTP/1.1|host: a:80||"),
        shown("9110 4.2.1", "an address of IPv6", by_authority("[::1]:1", &[]), "GET / HTTP/1.1|host: [::1]:1||"),
        answered("9110 7.2", 400, "neither :authority nor host", without_authority(&[])),
        shown("9113 8.3.1", "host alone", without_authority(&[("host", "b")]), "GET / HTTP/1.1|host: b||"),
        answered("9110 7.2", 400, "host twice", without_authority(&[("host", "b"), ("host", "b")])),
        answered("9110 7.2", 400, "host twice beside :authority", asks(&[("host", "a"), ("host", "a")])),
        answered("9113 8.3.1", 400, "another host than :authority", asks(&[("host", "b")])),
        answered("9113 8.3.1", 400, "another port than :authority", asks(&[("host", "a:80")])),
        answered("9113 8.3.1", 400, "an empty host beside :authority", asks(&[("host", "")])),
        shown("9113 8.3.1", "the same host", asks(&[("host", "a")]), "GET / HTTP/1.1|host: a||"),
        shown("9113 8.3.1", "the same host in capitals", asks(&[("x", "y"), ("host", "A")]),
            "GET / HTTP/1.1|host: a|x: y||"),
        answered("9110 7.2", 400, "a host with a space", without_authority(&[("host", "a b")])),
        shown("9110 7.2", "an empty host", without_authority(&[("host", "")]), "GET / HTTP/1.1|host: ||"),
    ]
}

#[rustfmt::skip]
pub fn fields() -> Vec<Case> {
    vec![
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "connection", asks(&[("connection", "close")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "keep-alive", asks(&[("keep-alive", "5")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "proxy-connection", asks(&[("proxy-connection", "keep-alive")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "transfer-encoding", asks(&[("transfer-encoding", "chunked")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "transfer-encoding and a body",
            posts(&[("transfer-encoding", "chunked")], b"0\r\n\r\n")),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "upgrade", asks(&[("upgrade", "h2c")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "te", asks(&[("te", "gzip")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "te of two", asks(&[("te", "trailers, gzip")])),
        shown("9113 8.2.2", "te of trailers alone is not passed on", asks(&[("te", "trailers")]),
            "GET / HTTP/1.1|host: a||"),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name in capitals", asks_with(b"X", b"y")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "content-length in capitals", asks_with(b"Content-Length", b"0")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "an empty name", asks_with(b"", b"y")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name with a space", asks_with(b"x y", b"z")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name that ends in a colon", asks_with(b"x:", b"z")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name with NUL", asks_with(b"x\0", b"z")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name above ASCII", asks_with(b"x\xfc", b"z")),
        ended("9113 10.3", PROTOCOL_ERROR, "the end of a line in a name", asks_with(b"x\r\ny", b"z")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "NUL in a value", asks_with(b"x", b"y\0z")),
        ended("9113 8.2.1", PROTOCOL_ERROR, "CR in a value", asks_with(b"x", b"y\rz")),
        ended("9113 10.3", PROTOCOL_ERROR, "LF in a value", asks_with(b"x", b"y\nhost: z")),
        ended("9110 5.5", PROTOCOL_ERROR, "a control character in a value", asks_with(b"x", b"y\x01z")),
        ended("9110 5.5", PROTOCOL_ERROR, "DEL in a value", asks_with(b"x", b"y\x7fz")),
        shown("9110 5.5", "a tab in a value", asks_with(b"x", b"y\tz"), "GET / HTTP/1.1|host: a|x: y\tz||"),
        answered("9110 5.5", 200, "bytes above ASCII in a value", asks_with(b"x", b"y\xff\x80")),
        shown("9110 5.5", "an empty value", asks_with(b"x", b""), "GET / HTTP/1.1|host: a|x: ||"),
        shown("9113 8.2.1", "white space around a value is gone", asks_with(b"x", b" y\t"),
            "GET / HTTP/1.1|host: a|x: y||"),
        shown("9110 5.1", "every sign that a name may have", asks(&[("!#$%&'*+-.^_`|~09", "y")]),
            "GET / HTTP/1.1|host: a|!#$%&'*+-.^_`|~09: y||"),
        shown("9113 8.2.3", "cookies are joined", asks(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]),
            "GET / HTTP/1.1|host: a|cookie: a=1; b=2|x: y||"),
        shown("9110 5.3", "values of one name stay apart", asks(&[("x", "1"), ("x", "2, 3"), ("x", "")]),
            "GET / HTTP/1.1|host: a|x: 1|x: 2, 3|x: ||"),
        shown("9110 7.6.1", "what the server vouches for cannot be claimed",
            asks(&[("x-request-id", "1"), ("x-forwarded-for", "b"), ("x-forwarded-proto", "https"), ("x-request-time", "1")]),
            "GET / HTTP/1.1|host: a||"),
        answered("9110 10.1.1", 417, "an unknown expectation", asks(&[("expect", "200-ok")])),
        shown("9110 9.3.2", "HEAD", headers(3, END, request("HEAD", "/", &[])), ""),
    ]
}

#[rustfmt::skip]
pub fn trailers() -> Vec<Case> {
    let trailed = |fields: Fields<'_>| {
        [headers(3, 0, request("POST", "/", &[])), data(3, 0, b"hello"), headers(3, END, block(fields))].concat()
    };
    let seen = "POST / HTTP/1.1|host: a|content-length: 5||hello";
    vec![
        shown("9110 6.5.1", "trailers are not passed on", trailed(&[("x", "y")]), seen),
        shown("9110 6.5.1", "a length in trailers", trailed(&[("content-length", "31")]), seen),
        shown("9110 6.5.1", "a host in trailers", trailed(&[("host", "b")]), seen),
        shown("9113 8.1", "empty trailers", trailed(&[]), seen),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "connection in trailers", trailed(&[("connection", "close")])),
        is_reset("9113 8.2.2", PROTOCOL_ERROR, "transfer-encoding in trailers",
            trailed(&[("transfer-encoding", "chunked")])),
        ended("9113 8.2.1", PROTOCOL_ERROR, "a name in capitals in trailers", trailed(&[("X", "y")])).last(3),
        is_reset("9113 8.1", PROTOCOL_ERROR, "trailers that do not end the request",
            [headers(3, 0, request("POST", "/", &[])), data(3, 0, b"hello"), headers(3, 0, block(&[("x", "y")]))].concat()),
        shown("9113 8.1", "trailers without a body",
            [headers(3, 0, request("POST", "/", &[])), headers(3, END, block(&[("x", "y")]))].concat(),
            "POST / HTTP/1.1|host: a||"),
    ]
}
