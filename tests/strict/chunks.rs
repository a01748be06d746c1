//! Chunked bodies.

use super::row::{Row, post, refused, served};

/// Returns a POST whose chunked body is encoded as these bytes.
fn chunked(chunks: &[u8]) -> Vec<u8> {
    post(b"transfer-encoding: chunked", chunks)
}

/// Returns a POST with a valid chunk, the last chunk, and these bytes as trailers.
fn trailed(trailers: &[u8]) -> Vec<u8> {
    chunked(&[b"5\r\nhello\r\n0\r\n", trailers].concat())
}

#[rustfmt::skip]
pub fn well_formed() -> Vec<Row> {
    vec![
        served("9112 7.1", 200, "one chunk", chunked(b"5\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1", 200, "several chunks", chunked(b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n")),
        served("9112 7.1", 200, "no chunk but the last", chunked(b"0\r\n\r\n")).with(""),
        served("9112 7.1", 200, "a size in small letters", chunked(b"a\r\n0123456789\r\n0\r\n\r\n"))
            .with("0123456789"),
        served("9112 7.1", 200, "a size in capitals", chunked(b"A\r\n0123456789\r\n0\r\n\r\n")).with("0123456789"),
        served("9112 7.1", 200, "a size with leading zeros", chunked(b"0005\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1", 200, "a size of 16 digits", chunked(b"0000000000000005\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1", 200, "a last chunk of three zeros", chunked(b"5\r\nhello\r\n000\r\n\r\n")),
        served("9112 7.1", 200, "data that holds line ends", chunked(b"6\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"))
            .with("\r\n\r\n\r\n"),
        served("9112 7.1", 200, "data that looks like the last chunk", chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"))
            .with("0\r\n\r\n"),
        served("9112 7.1", 200, "data of every kind", chunked(b"6\r\n\0\n\r\x7f\x80\xff\r\n0\r\n\r\n"))
            .with(b"\0\n\r\x7f\x80\xff"),
        served("9112 7.1.1", 200, "an extension", chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "an extension without a value", chunked(b"5;a\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "several extensions", chunked(b"5;a;b=c;d\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "an extension in quotes", chunked(b"5;a=\"b;\\\"c\"\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "a space before an extension", chunked(b"5 ;a\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "white space in an extension", chunked(b"5\t; a = b ; c\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "an extension above ASCII", chunked(b"5;a=\"\xe4\"\r\nhello\r\n0\r\n\r\n")),
        served("9112 7.1.1", 200, "an extension of the last chunk", chunked(b"5\r\nhello\r\n0;a\r\n\r\n")),
        served("9112 7.1.1", 200, "an extension that looks like a size", chunked(b"5;7\r\nhello\r\n0\r\n\r\n")),
    ]
}

#[rustfmt::skip]
pub fn malformed() -> Vec<Row> {
    vec![
        refused("9112 7.1", 400, "a size like in C", chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size with a plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size below zero", chunked(b"-1\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size that is no number", chunked(b"g\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a letter behind the size", chunked(b"5g\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size with an underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size with a comma", chunked(b"5,\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size in quotes", chunked(b"\"5\"\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "no size", chunked(b"\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "an empty line before the size", chunked(b"\r\n5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "no size before an extension", chunked(b";a\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a space before the size", chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a tab before the size", chunked(b"\t5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a space behind the size", chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a tab behind the size", chunked(b"5\t\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "two sizes", chunked(b"5 5\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a word between size and extension", chunked(b"5 b;a\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a space behind the last size", chunked(b"5\r\nhello\r\n0 \r\n\r\n")),
        refused("9112 7.1", 400, "a size of 17 digits", chunked(b"00000000000000005\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size that is 5 once it has overflown",
            chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a last chunk of 17 zeros", chunked(b"5\r\nhello\r\n00000000000000000\r\n\r\n")),
        refused("9112 7.1", 400, "a size that ends in a bare LF", chunked(b"5\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size that ends in a bare CR", chunked(b"5\rhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a size that ends in CR CR LF", chunked(b"5\r\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a last size that ends in a bare LF", chunked(b"5\r\nhello\r\n0\n\r\n")),
        refused("9112 7.1", 400, "a NUL behind the size", chunked(b"5\0\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a vertical tab behind the size", chunked(b"5\x0b;a\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "an empty line at the end that is a bare LF", chunked(b"5\r\nhello\r\n0\r\n\n")),
        refused("9112 7.1", 400, "an empty line at the end that is a bare CR", chunked(b"5\r\nhello\r\n0\r\n\r")),
        refused("9112 7.1", 400, "data that is too short", chunked(b"5\r\nhell\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "data that is too long", chunked(b"5\r\nhello!\r\n0\r\n\r\n")),
        refused("9112 7.1", 400, "data that goes on for the length of a line end", chunked(b"5\r\nhelloXX0\r\n\r\n")),
        refused("9112 7.1", 400, "no line end behind the data", chunked(b"5\r\nhello0\r\n\r\n")),
        refused("9112 7.1", 400, "a bare LF behind the data", chunked(b"5\r\nhello\n0\r\n\r\n")),
        refused("9112 7.1", 400, "a bare CR behind the data", chunked(b"5\r\nhello\r0\r\n\r\n")),
        refused("9112 7.1", 400, "LF CR behind the data", chunked(b"5\r\nhello\n\r0\r\n\r\n")),
        refused("9112 7.1", 400, "no last chunk", chunked(b"5\r\nhello\r\n")),
        refused("9112 7.1", 400, "a wrong size with HEAD",
            b"HEAD / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n\r\n"),
        refused("9112 7.1", 400, "a wrong size behind a good chunk", chunked(b"5\r\nhello\r\n0x1\r\n!\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a bare LF in an extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a bare CR in an extension", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "an extension that ends in a bare LF", chunked(b"5;a\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a line end in quotes", chunked(b"5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "NUL in an extension", chunked(b"5;a\0b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "ESC in an extension", chunked(b"5;a=\x1b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "DEL in an extension", chunked(b"5;a\x7f\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a space behind an extension", chunked(b"5;a=b \r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a space behind a name", chunked(b"5;a \r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "an extension without a name", chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a value without a name", chunked(b"5;=b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "an equals sign without a value", chunked(b"5;a=\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "two names", chunked(b"5;a b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "two values", chunked(b"5;a=b c\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a name of no token", chunked(b"5;a@b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "quotes that do not end", chunked(b"5;a=\"b\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "an escaped quote that ends nothing", chunked(b"5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a word behind quotes", chunked(b"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "an extension above ASCII without quotes", chunked(b"5;a=\xe4\r\nhello\r\n0\r\n\r\n")),
        refused("9112 7.1.1", 400, "a bare LF in an extension of the last chunk",
            chunked(b"5\r\nhello\r\n0;a\n\r\n")),
    ]
}

#[rustfmt::skip]
pub fn trailers() -> Vec<Row> {
    vec![
        served("9112 7.1.2", 200, "a trailer", trailed(b"x: y\r\n\r\n")),
        served("9112 7.1.2", 200, "several trailers", trailed(b"x: y\r\nx: z\r\nw:\r\n\r\n")),
        served("9110 6.5.1", 200, "a trailer that would frame the message",
            trailed(b"content-length: 31\r\ntransfer-encoding: gzip\r\n\r\n")),
        served("9110 6.5.1", 200, "a trailer that would name another server", trailed(b"host: b\r\n\r\n")),
        served("9110 6.5.1", 200, "a trailer that would end the connection", trailed(b"connection: close\r\n\r\n")),
        refused("9112 5", 400, "a trailer without a colon", trailed(b"x\r\n\r\n")),
        refused("9112 5", 400, "a trailer without a name", trailed(b": y\r\n\r\n")),
        refused("9112 5.1", 400, "a space before the colon of a trailer", trailed(b"x : y\r\n\r\n")),
        refused("9110 5.1", 400, "a trailer whose name is two words", trailed(b"x x: y\r\n\r\n")),
        refused("9110 5.1", 400, "a trailer whose name is above ASCII", trailed(b"\xe4: y\r\n\r\n")),
        refused("9110 5.5", 400, "NUL in a trailer", trailed(b"x: \0\r\n\r\n")),
        refused("9110 5.5", 400, "DEL in a trailer", trailed(b"x: \x7f\r\n\r\n")),
        refused("9112 5.2", 400, "a folded trailer", trailed(b"x: y\r\n z\r\n\r\n")),
        refused("9112 5.2", 400, "a space before the first trailer", trailed(b" x: y\r\n\r\n")),
        refused("9112 2.2", 400, "a trailer that ends in a bare LF", trailed(b"x: y\n\r\n")),
        refused("9112 2.2", 400, "a trailer that ends in a bare CR", trailed(b"x: y\rz: y\r\n\r\n")),
        refused("9112 2.2", 400, "an empty line behind a trailer that is a bare LF", trailed(b"x: y\r\n\n")),
        refused("9112 7.1.2", 400, "a request in place of trailers", trailed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")),
    ]
}
