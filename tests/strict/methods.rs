use super::row::{Row, declined, last, served};

const INDEX: &str = "<h1> hello index</h1>";
const NOT_ALLOWED: &str = "<h1>error 405 method not allowed</h1>";

#[rustfmt::skip]
pub fn methods() -> Vec<Row> {
    vec![
        served("9110 9.3.1", 200, "GET", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").with(INDEX),
        served("9110 9.3.2", 200, "HEAD", b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").with(""),
        served("9110 9.3.2", 404, "HEAD of what is not there", b"HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n").with(""),
        served("9110 9.3.3", 405, "POST", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")
            .with(NOT_ALLOWED),
        served("9110 9.3.4", 405, "PUT", b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.3.5", 405, "DELETE", b"DELETE / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.3.6", 405, "CONNECT", b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.3.7", 204, "OPTIONS", b"OPTIONS / HTTP/1.1\r\nhost: a\r\n\r\n").with(""),
        served("9110 9.3.8", 405, "TRACE, of which nothing comes back",
            b"TRACE / HTTP/1.1\r\nhost: a\r\ncookie: secret\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.1", 405, "a method that nobody knows", b"BREW / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.1", 405, "a method in small letters", b"get / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.1", 405, "a method in mixed case", b"Head / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9110 9.1", 405, "a method of one letter", b"G / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9110 5.6.2", 405, "a method of every sign",
            b"!#$%&'*+-.^_`|~09aZ / HTTP/1.1\r\nhost: a\r\n\r\n").with(NOT_ALLOWED),
        served("9112 6.3", 405, "a body with a method that nobody knows",
            b"BREW / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            .with(NOT_ALLOWED),
        served("9112 6.3", 404, "a body with HEAD",
            b"HEAD /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello").with(""),
        served("9112 6.3", 405, "a body with CONNECT",
            b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\ncontent-length: 5\r\n\r\nhello").with(NOT_ALLOWED),
    ]
}

#[rustfmt::skip]
pub fn connections() -> Vec<Row> {
    vec![
        served("9112 9.3", 200, "nothing said in version 1.1", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").with(INDEX),
        served("9112 9.3", 200, "`keep-alive` in version 1.1",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\r\n").with(INDEX),
        served("9112 9.3", 200, "`keep-alive` in version 1.0",
            b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").with(INDEX),
        served("9112 9.3", 200, "`keep-alive` in a list in version 1.0",
            b"GET / HTTP/1.0\r\nconnection: foo, Keep-Alive\r\n\r\n").with(INDEX),
        served("9110 7.6.1", 200, "an option that only begins like `close`",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: closed, close-by\r\n\r\n").with(INDEX),
        served("9112 C.2.2", 200, "`close` in a field that is none", b"GET / HTTP/1.1\r\nhost: a\r\nproxy-connection: close\r\n\r\n")
            .with(INDEX),
        served("9112 9.3", 200, "a time in `keep-alive`",
            b"GET / HTTP/1.1\r\nhost: a\r\nkeep-alive: timeout=0, max=1\r\n\r\n").with(INDEX),
        last("9112 9.3", 200, "nothing said in version 1.0", b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").with(INDEX),
        last("9112 9.3", 200, "another option in version 1.0", b"GET / HTTP/1.0\r\nconnection: foo\r\n\r\n").with(INDEX),
        last("9112 9.3", 200, "`close` before `keep-alive` in version 1.0",
            b"GET / HTTP/1.0\r\nconnection: close, keep-alive\r\n\r\n").with(INDEX),
        last("9112 9.6", 200, "`close`", b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` in capitals",
            b"GET / HTTP/1.1\r\nhost: a\r\nConnection: CLOSE\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` at the end of a list",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: foo, close\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` at the start of a list",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close,foo\r\n\r\n").with(INDEX),
        last("9110 5.6.1", 200, "`close` in a list with gaps",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: ,\t, close ,\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` in a second field",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: foo\r\nconnection: close\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` before `keep-alive`",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close, keep-alive\r\n\r\n").with(INDEX),
        last("9110 7.6.1", 200, "`close` behind `keep-alive`",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, close\r\n\r\n").with(INDEX),
        last("9112 9.6", 405, "`close` with a body",
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello").with(NOT_ALLOWED),
        last("9112 9.6", 405, "`close` with a body in chunks",
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            .with(NOT_ALLOWED),
        last("9112 9.6", 200, "`close` with HEAD", b"HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").with(""),
        served("9110 7.8", 200, "an upgrade to WebSocket",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").with(INDEX),
        served("9110 7.8", 200, "an upgrade to HTTP/2",
            b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
            http2-settings: AAMAAABkAAQAAP__\r\n\r\n").with(INDEX),
        served("9110 7.8", 405, "an upgrade with a body",
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\nhello")
            .with(NOT_ALLOWED),
        served("9110 10.1.1", 200, "an expectation without a body",
            b"GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n").with(INDEX),
        served("9110 10.1.1", 200, "an expectation in mixed case",
            b"GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\n\r\n").with(INDEX),
        served("9110 10.1.1", 405, "an expectation with a body",
            b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello").with(NOT_ALLOWED),
        served("9110 10.1.1", 405, "an expectation with a body in chunks",
            b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n\
            5\r\nhello\r\n0\r\n\r\n").with(NOT_ALLOWED),
        served("9110 10.1.1", 405, "an expectation in version 1.0",
            b"POST / HTTP/1.0\r\nconnection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello")
            .with(NOT_ALLOWED),
        declined("9110 10.1.1", 417, "another expectation", b"GET / HTTP/1.1\r\nhost: a\r\nexpect: a miracle\r\n\r\n"),
        declined("9110 10.1.1", 417, "another expectation of HEAD",
            b"HEAD / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n\r\n"),
        declined("9110 10.1.1", 417, "an expectation, and another",
            b"GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nexpect: 200-ok\r\n\r\n"),
    ]
}
