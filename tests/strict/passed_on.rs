//! Requests as the handler gets them.

use super::row::{Row, get, line, post, served};

/// Returns the lines of a request as the handler gets it, joined by `|` and without the
/// headers that the server adds.
pub fn kept(message: &[u8]) -> String {
    let added = ["x-request-id: ", "x-forwarded-for: ", "x-request-time: "];
    let text = String::from_utf8_lossy(message);
    let lines = text.split("\r\n").filter(|line| !added.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("|")
}

#[rustfmt::skip]
pub fn requests() -> Vec<Row> {
    vec![
        served("9112 7.1", 200, "a body in chunks has a length",
            post(b"transfer-encoding: chunked", b"2;x\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"))
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9110 6.5.1", 200, "trailers are not fields",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
            5\r\nhello\r\n0\r\nhost: b\r\nx-admin: yes\r\ncontent-length: 31\r\n\r\n")
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9112 7.1.2", 200, "trailers that were announced are not fields",
            post(b"te: trailers\r\ntrailer: x-admin\r\ntransfer-encoding: chunked", b"0\r\nx-admin: yes\r\n\r\n"))
            .with("POST / HTTP/1.1|host: a||"),
        served("9110 8.6", 200, "a length has no zeros before it", post(b"content-length: 005", b"hello"))
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9110 5.1", 200, "a name that is nearly another stays what it is",
            get(b"host: a\r\ncontent_length: 5\r\ntransfer_encoding: chunked"))
            .with("GET / HTTP/1.1|host: a|content_length: 5|transfer_encoding: chunked||"),
        served("9112 5.1", 200, "white space around a value is gone", get(b"host:\ta \r\nx: \t y\tz "))
            .with("GET / HTTP/1.1|host: a|x: y\tz||"),
        served("9110 5.3", 200, "values of one name stay apart and in order",
            get(b"host: a\r\nX: 1, 2\r\ny: 4\r\nx: 3\r\nx:"))
            .with("GET / HTTP/1.1|host: a|x: 1, 2|y: 4|x: 3|x: ||"),
        served("9110 8.6", 200, "a length of 0 is not passed on", post(b"content-length: 0", b""))
            .with("POST / HTTP/1.1|host: a||"),
        served("9112 3.2.2", 200, "a URL is its path and its host",
            b"GET http://A.example:80/b?c HTTP/1.1\r\nhost: a.example\r\n\r\n")
            .with("GET /b?c HTTP/1.1|host: A.example:80||"),
        served("9112 3.2.4", 200, "a URL that asks for the server is an asterisk", line(b"OPTIONS http://a HTTP/1.1"))
            .with("OPTIONS * HTTP/1.1|host: a||"),
        served("9112 3.2.1", 200, "a path is left as it came", line(b"GET //b/../%2e%2E/%7a?c=/d HTTP/1.1"))
            .with("GET //b/../%2e%2E/%7a?c=/d HTTP/1.1|host: a||"),
        served("9112 3.2.2", 200, "the server of a URL takes the place of the host",
            b"GET http://a:81/b HTTP/1.1\r\nx: y\r\nHost: c\r\n\r\n")
            .with("GET /b HTTP/1.1|host: a:81|x: y||"),
        served("9112 3.2.4", 200, "an asterisk stays one", line(b"OPTIONS * HTTP/1.1"))
            .with("OPTIONS * HTTP/1.1|host: a||"),
        served("9112 3.2.4", 200, "a URL with a path asks for that path", line(b"OPTIONS http://a/b HTTP/1.1"))
            .with("OPTIONS /b HTTP/1.1|host: a||"),
        served("9112 3.2.2", 200, "a URL of a host alone has the path /", line(b"GET http://a HTTP/1.1"))
            .with("GET / HTTP/1.1|host: a||"),
        served("9112 3.2.2", 200, "a URL without a path has the path /", line(b"GET http://a?b HTTP/1.1"))
            .with("GET /?b HTTP/1.1|host: a||"),
        served("9112 2.3", 200, "version 1.0 is not passed on", b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .with("GET / HTTP/1.1||"),
        served("9112 2.2", 200, "empty lines before a request are gone", b"\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .with("GET / HTTP/1.1|host: a||"),
        served("9110 7.6.1", 200, "a field that `connection` names is gone",
            get(b"host: a\r\nconnection: X-Drop, foo\r\nx-drop: 1\r\nx-keep: 2\r\nX-DROP: 3"))
            .with("GET / HTTP/1.1|host: a|x-keep: 2||"),
        served("9110 7.6.1", 200, "fields of the connection are gone by themselves",
            b"GET / HTTP/1.1\r\nhost: a\r\nkeep-alive: 5\r\nte: trailers\r\nupgrade: h2c\r\n\
            proxy-connection: keep-alive\r\nx-keep: 2\r\n\r\n")
            .with("GET / HTTP/1.1|host: a|x-keep: 2||"),
        served("9110 7.6.1", 200, "`connection` cannot take away the host or the length",
            post(b"connection: host, content-length\r\ncontent-length: 5", b"hello"))
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9110 7.6.1", 200, "`connection` cannot take away the chunks",
            post(b"connection: transfer-encoding\r\ntransfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"))
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9110 7.8", 200, "an upgrade is not passed on",
            get(b"host: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA"))
            .with("GET / HTTP/1.1|host: a||"),
        served("9110 10.1.1", 200, "an expectation that is met is not passed on",
            post(b"expect: 100-continue\r\ncontent-length: 5", b"hello"))
            .with("POST / HTTP/1.1|host: a|content-length: 5||hello"),
        served("9110 7.6.1", 200, "what the server vouches for cannot be claimed",
            get(b"host: a\r\nX-Request-Id: 1\r\nx_request_id: 2\r\nX-Forwarded-For: b\r\nx-request-time: 1"))
            .with("GET / HTTP/1.1|host: a|x_request_id: 2||"),
    ]
}
