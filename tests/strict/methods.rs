//! Methods, and whether a connection stays open.

use super::row::{Row, declined, get, last, line, post, served};

#[rustfmt::skip]
pub fn methods() -> Vec<Row> {
    vec![
        served("9110 9.3.1", 200, "GET, and nothing said of the connection", get(b"host: a")),
        served("9110 9.3.2", 200, "HEAD", line(b"HEAD / HTTP/1.1")),
        served("9110 9.3.2", 404, "HEAD of what is not there", line(b"HEAD /x HTTP/1.1")),
        served("9110 9.3.3", 405, "POST", post(b"content-length: 5", b"hello")),
        served("9110 9.3.4", 405, "PUT", b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
        served("9110 9.3.5", 405, "DELETE", line(b"DELETE / HTTP/1.1")),
        served("9110 9.3.6", 405, "CONNECT to a host and a port", b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n"),
        served("9110 9.3.7", 204, "OPTIONS", line(b"OPTIONS / HTTP/1.1")),
        served("9110 9.3.8", 405, "TRACE, of which nothing comes back",
            b"TRACE / HTTP/1.1\r\nhost: a\r\ncookie: secret\r\n\r\n"),
        served("9110 9.1", 405, "a method that nobody knows", line(b"BREW / HTTP/1.1")),
        served("9110 9.1", 405, "a method in small letters", line(b"get / HTTP/1.1")),
        served("9110 9.1", 405, "a method in mixed case", line(b"Head / HTTP/1.1")),
        served("9110 9.1", 405, "a method of one letter", line(b"G / HTTP/1.1")),
        served("9110 5.6.2", 405, "a method of every sign", line(b"!#$%&'*+-.^_`|~09aZ / HTTP/1.1")),
        served("9112 6.3", 405, "a body with a method that nobody knows",
            b"BREW / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        served("9112 6.3", 404, "a body with HEAD", b"HEAD /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
        served("9112 6.3", 405, "a body with CONNECT",
            b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\ncontent-length: 5\r\n\r\nhello"),
    ]
}

#[rustfmt::skip]
pub fn connections() -> Vec<Row> {
    vec![
        served("9112 9.3", 200, "`keep-alive` in version 1.1", get(b"host: a\r\nconnection: keep-alive")),
        served("9112 9.3", 200, "`keep-alive` and no host in version 1.0", b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
        served("9112 9.3", 200, "`keep-alive` in a list in version 1.0",
            b"GET / HTTP/1.0\r\nconnection: foo, Keep-Alive\r\n\r\n"),
        served("9110 7.6.1", 200, "an option that only begins like `close`",
            get(b"host: a\r\nconnection: closed, close-by")),
        served("9112 C.2.2", 200, "`close` in a field that is none", get(b"host: a\r\nproxy-connection: close")),
        served("9112 9.3", 200, "a time in `keep-alive`", get(b"host: a\r\nkeep-alive: timeout=0, max=1")),
        last("9112 9.3", 200, "nothing said in version 1.0", line(b"GET / HTTP/1.0")),
        last("9112 9.3", 200, "another option in version 1.0", b"GET / HTTP/1.0\r\nconnection: foo\r\n\r\n"),
        last("9112 9.3", 200, "`close` before `keep-alive` in version 1.0",
            b"GET / HTTP/1.0\r\nconnection: close, keep-alive\r\n\r\n"),
        last("9112 9.6", 200, "`close`", get(b"host: a\r\nconnection: close")),
        last("9110 7.6.1", 200, "`close` in capitals", get(b"host: a\r\nConnection: CLOSE")),
        last("9110 7.6.1", 200, "`close` at the end of a list", get(b"host: a\r\nconnection: foo, close")),
        last("9110 7.6.1", 200, "`close` at the start of a list", get(b"host: a\r\nconnection: close,foo")),
        last("9110 5.6.1", 200, "`close` in a list with gaps", get(b"host: a\r\nconnection: ,\t, close ,")),
        last("9110 7.6.1", 200, "`close` in a second field", get(b"host: a\r\nconnection: foo\r\nconnection: close")),
        last("9110 7.6.1", 200, "`close` before `keep-alive`", get(b"host: a\r\nconnection: close, keep-alive")),
        last("9110 7.6.1", 200, "`close` behind `keep-alive`", get(b"host: a\r\nconnection: keep-alive, close")),
        last("9112 9.6", 405, "`close` with a body", post(b"connection: close\r\ncontent-length: 5", b"hello")),
        last("9112 9.6", 405, "`close` with a body in chunks",
            post(b"connection: close\r\ntransfer-encoding: chunked", b"0\r\n\r\n")),
        last("9112 9.6", 200, "`close` with HEAD", b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
        served("9110 7.8", 200, "an upgrade to WebSocket",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"),
        served("9110 7.8", 200, "an upgrade to HTTP/2",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
            http2-settings: AAMAAABkAAQAAP__\r\n\r\n"),
        served("9110 7.8", 405, "an upgrade with a body",
            post(b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5", b"hello")),
        served("9110 10.1.1", 200, "an expectation without a body", get(b"host: a\r\nexpect: 100-continue")),
        served("9110 10.1.1", 200, "an expectation in mixed case", get(b"host: a\r\nexpect: 100-Continue")),
        served("9110 10.1.1", 405, "an expectation with a body",
            post(b"expect: 100-continue\r\ncontent-length: 5", b"hello")),
        served("9110 10.1.1", 405, "an expectation with a body in chunks",
            post(b"expect: 100-continue\r\ntransfer-encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")),
        served("9110 10.1.1", 405, "an expectation in version 1.0",
            b"POST / HTTP/1.0\r\nconnection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello"),
        declined("9110 10.1.1", 417, "another expectation", get(b"host: a\r\nexpect: a miracle")),
        declined("9110 10.1.1", 417, "another expectation of HEAD",
            b"HEAD / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n\r\n"),
        declined("9110 10.1.1", 417, "an expectation, and another",
            get(b"host: a\r\nexpect: 100-continue\r\nexpect: 200-ok")),
    ]
}
