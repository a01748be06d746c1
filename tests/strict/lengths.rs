//! Headers that tell where a message ends.

use super::row::{Row, get, post, refused, served};

/// Returns a POST with this `content-length` and a body of five bytes.
fn length(value: &[u8]) -> Vec<u8> {
    post(&[b"content-length:", value].concat(), b"hello")
}

/// Returns a POST with this `transfer-encoding` and a chunked body of five bytes.
fn coding(value: &[u8]) -> Vec<u8> {
    post(&[b"transfer-encoding:", value].concat(), b"5\r\nhello\r\n0\r\n\r\n")
}

#[rustfmt::skip]
pub fn content_length() -> Vec<Row> {
    vec![
        served("9110 8.6", 200, "a length", length(b" 5")),
        served("9110 8.6", 200, "a length without a space", length(b"5")),
        served("9110 8.6", 200, "a length in white space", length(b" \t 5 \t")),
        served("9110 8.6", 200, "a length with leading zeros", length(b" 005")),
        served("9110 8.6", 200, "more zeros than a number has digits", length(b" 0000000000000000000000005")),
        served("9110 8.6", 200, "a name in capitals", post(b"CONTENT-LENGTH: 5", b"hello")),
        served("9112 6.3", 200, "no body by a length of 0", post(b"content-length: 0", b"")).with(""),
        served("9112 6.3", 200, "no body without a length", post(b"x: y", b"")).with(""),
        served("9112 6.3", 200, "a body that looks like a request", post(b"content-length: 9", b"GET / HTT"))
            .with("GET / HTT"),
        served("9110 9.3.1", 200, "a body with GET", b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
        served("9110 9.3.2", 200, "a body with HEAD",
            b"HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
        served("9112 6.3", 200, "a length in version 1.0",
            b"POST / HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello"),
        served("9112 6.3", 200, "no length in version 1.0", b"POST / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            .with(""),
        refused("9112 6.3", 400, "a length with a plus", length(b" +5")),
        refused("9112 6.3", 400, "a length below zero", length(b" -5")),
        refused("9112 6.3", 400, "minus zero", length(b" -0")),
        refused("9112 6.3", 400, "two lengths between a space", length(b" 5 5")),
        refused("9112 6.3", 400, "two lengths between a tab", length(b" 5\t5")),
        refused("9112 6.3", 400, "a list of equal lengths", length(b" 5, 5")),
        refused("9112 6.3", 400, "a list of equal lengths without a space", length(b" 5,5")),
        refused("9112 6.3", 400, "a list of different lengths", length(b" 5, 0")),
        refused("9112 6.3", 400, "a length and a comma", length(b" 5,")),
        refused("9112 6.3", 400, "a comma and a length", length(b" ,5")),
        refused("9112 6.3", 400, "a hexadecimal length", length(b" 0x5")),
        refused("9112 6.3", 400, "a digit above nine", length(b" a")),
        refused("9112 6.3", 400, "a length with a dot", length(b" 5.0")),
        refused("9112 6.3", 400, "a length with an exponent", length(b" 5e0")),
        refused("9112 6.3", 400, "a length with an underscore", length(b" 0_5")),
        refused("9112 6.3", 400, "a length in quotes", length(b" \"5\"")),
        refused("9112 6.3", 400, "a length with a semicolon", length(b" 5;")),
        refused("9112 6.3", 400, "a length with a no-break space", length(b" 5\xa0")),
        refused("9112 6.3", 400, "a digit of another script", length(b" \xd9\xa5")),
        refused("9112 6.3", 400, "an empty length", length(b"")),
        refused("9112 6.3", 400, "a length of white space", length(b" \t")),
        refused("9112 6.3", 400, "a length in words", length(b" five")),
        refused("9112 6.3", 413, "a length of 2 to the power of 64", length(b" 18446744073709551616")),
        refused("9112 6.3", 413, "a length that is 5 once it has overflown", length(b" 18446744073709551621")),
        refused("9112 6.3", 413, "a length of forty nines", length("9".repeat(40).as_bytes())),
        refused("9112 6.3", 400, "equal lengths", length(b" 5\r\ncontent-length: 5")),
        refused("9112 6.3", 400, "equal lengths in two cases", length(b" 5\r\nContent-LENGTH: 5")),
        refused("9112 6.3", 400, "equal lengths apart", length(b" 5\r\nx: y\r\ncontent-length: 5")),
        refused("9112 6.3", 400, "a length, and one with a zero before it", length(b" 5\r\ncontent-length: 05")),
        refused("9112 6.3", 400, "different lengths", length(b" 5\r\ncontent-length: 0")),
        refused("9112 6.3", 400, "different lengths in the other order", length(b" 0\r\ncontent-length: 5")),
        refused("9112 6.3", 400, "a length and an empty one", length(b" 5\r\ncontent-length:")),
        refused("9112 6.3", 400, "a wrong length with GET", get(b"host: a\r\ncontent-length: x")),
        refused("9112 6.3", 400, "a wrong length with HEAD",
            b"HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n"),
        refused("9112 6.3", 400, "a wrong length in version 1.0",
            b"POST / HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5, 5\r\n\r\nhello"),
        refused("9112 6.3", 413, "the largest length that is a number", length(b" 18446744073709551615")),
    ]
}

#[rustfmt::skip]
pub fn transfer_encoding() -> Vec<Row> {
    vec![
        served("9112 6.1", 200, "chunked without a space", coding(b"chunked")),
        served("9112 6.1", 200, "chunked in white space", coding(b"\t chunked \t")),
        served("9112 7", 200, "chunked in capitals", coding(b" CHUNKED")),
        served("9112 7", 200, "chunked in mixed case", coding(b" cHuNkEd")),
        served("9110 5.1", 200, "a name in mixed case",
            post(b"Transfer-ENCODING: chunked", b"5\r\nhello\r\n0\r\n\r\n")),
        served("9112 6.1", 200, "chunked with GET",
            b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        refused("9112 6.1", 501, "another coding", coding(b" gzip")),
        refused("9112 6.1", 501, "a coding that is none any more", coding(b" identity")),
        refused("9112 6.1", 501, "another coding below chunked", coding(b" gzip, chunked")),
        refused("9112 6.3", 400, "another coding above chunked", coding(b" chunked, gzip")),
        refused("9112 6.3", 400, "identity above chunked", coding(b" chunked, identity")),
        refused("9112 6.1", 501, "another coding in a field before", coding(b" gzip\r\ntransfer-encoding: chunked")),
        refused("9112 6.1", 501, "a letter before chunked", coding(b" xchunked")),
        refused("9112 6.1", 501, "a letter behind chunked", coding(b" chunkedx")),
        refused("9112 6.1", 501, "chunked cut short", coding(b" chunke")),
        refused("9112 6.1", 501, "HEAD with another coding",
            b"HEAD / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n"),
        refused("9112 6.1", 400, "chunked twice", coding(b" chunked, chunked")),
        refused("9112 6.1", 400, "chunked in two fields", coding(b" chunked\r\ntransfer-encoding: chunked")),
        refused("9112 6.1", 400, "chunked in two fields and cases",
            coding(b" chunked\r\nTRANSFER-encoding: Chunked")),
        refused("9112 6.3", 400, "another coding in a field behind chunked",
            coding(b" chunked\r\ntransfer-encoding: gzip")),
        refused("9112 6.1", 400, "an empty coding", coding(b"")),
        refused("9112 6.1", 400, "chunked and an empty field", coding(b" chunked\r\ntransfer-encoding:")),
        refused("9112 7", 400, "chunked with a parameter", coding(b" chunked;q=1")),
        refused("9112 6.1", 400, "chunked in quotes", coding(b" \"chunked\"")),
        refused("9112 6.1", 400, "chunked in single letters", coding(b" chu nked")),
        refused("9110 5.6.1", 400, "nothing before chunked", coding(b" , chunked")),
        refused("9110 5.6.1", 400, "nothing behind chunked", coding(b" chunked,")),
        refused("9110 5.6.1", 400, "a comma alone", coding(b" ,")),
        refused("9110 5.5", 400, "chunked behind a vertical tab", coding(b" \x0bchunked")),
        refused("9110 5.5", 400, "chunked before NUL", coding(b" chunked\0")),
        refused("9112 6.1", 400, "chunked before a no-break space", coding(b" chunked\xa0")),
        refused("9112 6.1", 400, "chunked before a length", coding(b" chunked\r\ncontent-length: 5")),
        refused("9112 6.1", 400, "chunked behind a length",
            post(b"content-length: 5\r\ntransfer-encoding: chunked", b"0\r\n\r\n")),
        refused("9112 6.1", 400, "chunked, and a length of 0", coding(b" chunked\r\ncontent-length: 0")),
        refused("9112 6.1", 400, "chunked, and a length apart", coding(b" chunked\r\nx: y\r\nContent-Length: 5")),
        refused("9112 6.1", 400, "chunked, and a wrong length", coding(b" chunked\r\ncontent-length: x")),
        refused("9112 6.1", 400, "chunked in version 1.0",
            b"POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        refused("9112 6.1", 400, "chunked in version 1.0 that is to live on",
            b"POST / HTTP/1.0\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    ]
}
