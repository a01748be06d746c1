//! Compressed fields that are hostile or only unusual (RFC 7541).

use super::case::{Case, answered, ended, shown};
use super::frames::{END, PROTOCOL_ERROR, get, headers};
use super::hpack::{block, code_of, huffman, integer, literal, string};

/// What the RFC calls COMPRESSION_ERROR, the crate calls PROTOCOL_ERROR: both end the connection.
const BAD: u32 = PROTOCOL_ERROR;

/// Returns a request on stream 3 with bytes behind its pseudo fields.
fn behind(bytes: &[u8]) -> Vec<u8> {
    headers(3, END, [get("/"), bytes.to_vec()].concat())
}

/// Returns a request on stream 3 with bytes before its pseudo fields.
fn before(bytes: &[u8]) -> Vec<u8> {
    headers(3, END, [bytes.to_vec(), get("/")].concat())
}

/// Returns a literal field whose value is these bytes, marked as compressed.
fn packed(bytes: &[u8]) -> Vec<u8> {
    behind(&[b"\0\x01x", &integer(0x80, 7, bytes.len())[..], bytes].concat())
}

/// Returns bytes of bits; the last byte is filled up with these.
fn bits(bits: &str, fill: char) -> Vec<u8> {
    let mut bits = bits.to_owned();
    bits.extend(std::iter::repeat_n(fill, bits.len().wrapping_neg() % 8));
    bits.as_bytes().chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0'))).collect()
}

#[rustfmt::skip]
pub fn hostile() -> Vec<Case> {
    let a = code_of(b'a'.into());
    vec![
        ended("7541 6.1", BAD, "an entry of number 0", behind(b"\x80")),
        ended("7541 2.3.3", BAD, "an entry behind the static table", behind(b"\xbe")),
        ended("7541 2.3.3", BAD, "an entry far behind the table", behind(&integer(0x80, 7, 1000))),
        ended("7541 2.3.3", BAD, "a name of an entry behind the table", behind(b"\x7e\x01y")),
        ended("7541 2.3.3", BAD, "an entry that was never put into the table",
            [headers(3, END, get("/")), headers(5, END, [get("/"), vec![0xbe]].concat())].concat()).last(3),
        ended("7541 5.1", BAD, "an integer of 32 bits and more", behind(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")),
        ended("7541 5.1", BAD, "an integer without an end", behind(&[0xff; 100])),
        ended("7541 5.1", BAD, "an integer that breaks off", behind(b"\xff")),
        ended("7541 5.1", BAD, "an integer of zeros without an end", behind(&[&[0xff][..], &[0x80; 100], &[0]].concat())),
        ended("7541 5.2", BAD, "a huge length of a name", behind(b"\0\x7f\xff\xff\xff\x07")),
        ended("7541 5.2", BAD, "a huge length of a value", behind(b"\0\x01x\x7f\xff\xff\xff\x07")),
        ended("7541 5.2", BAD, "a length behind the end", behind(b"\0\x01x\x05yyyy")),
        ended("7541 5.2", BAD, "a field without a value", behind(b"\0\x01x")),
        ended("7541 5.2", BAD, "a field without a name", behind(b"\0")),
        ended("7541 5.2", BAD, "EOS in a string", packed(&bits(&format!("{a}{}", code_of(256)), '1'))),
        ended("7541 5.2", BAD, "EOS and more in a string", packed(&bits(&format!("{a}{}{a}", code_of(256)), '1'))),
        ended("7541 5.2", BAD, "padding of zeros", packed(&bits(&a, '0'))),
        ended("7541 5.2", BAD, "padding of eight bits", packed(&[bits(&a, '1'), vec![0xff]].concat())),
        ended("7541 5.2", BAD, "padding of a whole string", packed(&[0xff])),
        ended("7541 6.3", BAD, "a table above the limit", before(&integer(0x20, 5, 4097))),
        ended("7541 6.3", BAD, "a table of a huge size", before(b"\x3f\xff\xff\xff\x07")),
        ended("7541 4.2", BAD, "a size of the table behind a field", behind(b"\x20")),
        ended("7541 4.2", BAD, "a size of the table between fields",
            headers(3, END, [block(&[(":method", "GET")]), b"\x20".to_vec(), block(&[(":path", "/")])].concat())),
        ended("7541 5.2", BAD, "a compressed name in capitals", behind(&[&[0][..], &huffman(b"X"), &string(b"y")].concat())),
        ended("9113 10.3", BAD, "a compressed end of a line in a value",
            behind(&[&b"\0\x01x"[..], &huffman(b"y\r\nhost: z")].concat())),
    ]
}

#[rustfmt::skip]
pub fn unusual() -> Vec<Case> {
    let seen = "GET / HTTP/1.1|host: a|x: yes||";
    let by_index = |name: usize, value: &[u8]| [integer(0, 4, name), string(value)].concat();
    vec![
        shown("7541 6.2.3", "a field that is never indexed", behind(b"\x10\x01x\x03yes"), seen),
        shown("7541 6.2.1", "a field that is indexed", behind(b"\x40\x01x\x03yes"), seen),
        shown("7541 6.2.1", "a field that is used again",
            [headers(5, END, [get("/"), b"\x40\x01x\x03yes".to_vec()].concat()),
                headers(7, END, [get("/"), b"\xbe".to_vec()].concat())].concat(), seen).on(7).also(&[5]),
        shown("7541 6.2.1", "an entry of the table that was just put there", behind(b"\x40\x01x\x03yes\xbe"),
            "GET / HTTP/1.1|host: a|x: yes|x: yes||"),
        shown("7541 5.2", "a compressed name and value", behind(&[&[0][..], &huffman(b"x"), &huffman(b"yes")].concat()), seen),
        shown("7541 5.2", "an empty compressed value", behind(b"\0\x01x\x80"), "GET / HTTP/1.1|host: a|x: ||"),
        shown("7541 5.1", "an integer with zeros behind it", behind(b"\0\x01x\x03yes\x0f\x80\x80\x00\x00"),
            "GET / HTTP/1.1|host: a|x: yes|accept-charset: ||"),
        shown("7541 4.2", "a table of no bytes", before(b"\x20"), "GET / HTTP/1.1|host: a||"),
        shown("7541 4.2", "two sizes of the table", before(b"\x20\x3f\xe1\x1f"), "GET / HTTP/1.1|host: a||"),
        shown("7541 4.4", "a field that is larger than the table", 
            headers(3, END, [get("/"), [b"\x40\x01x".to_vec(), string(&[b'y'; 5000])].concat()].concat()),
            format!("GET / HTTP/1.1|host: a|x: {}||", "y".repeat(5000))),
        shown("7541 A", "pseudo fields of the static table", headers(3, END, [b"\x82\x86\x84".to_vec(), by_index(1, b"a")].concat()),
            "GET / HTTP/1.1|host: a||"),
        shown("7541 A", "an empty field host of the static table", headers(3, END, b"\x82\x86\x84\xa6"),
            "GET / HTTP/1.1|host: ||"),
        answered("7541 A", 200, "fields of the static table",
            headers(3, END, [get("/"), (15..=61).filter(|index| ![28, 35, 38, 57].contains(index)).map(|index| 0x80 | index).collect()].concat())),
        shown("7541 C", "bytes above ASCII in a compressed value",
            headers(3, END, [get("/"), literal(b"x", b"yes"), b"\0\x01z".to_vec(), huffman("\u{e4}".as_bytes())].concat()),
            "GET / HTTP/1.1|host: a|x: yes|z: \u{e4}||"),
    ]
}
