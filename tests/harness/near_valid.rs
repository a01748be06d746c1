//! Makes nearly valid requests and responses: joins parts that are valid or nearly valid, and makes
//! random changes.

use super::Random;

/// Returns input for `wire::requests::check`: a byte that says how to cut the requests
/// into pieces, and then the requests.
pub fn requests(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![pick(random, &[0, 0, 1, 3, 40, 140, 190, 230])];
    for _ in 0..1 + random.below(4) {
        request(random, &mut bytes);
    }
    change(random, &mut bytes, 1);
    bytes
}

fn request(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut put = |piece: &[u8]| bytes.extend_from_slice(piece);
    put(pick(random, &[b"", b"", b"", b"\r\n", b"\r\n\r\n"]));
    put(pick(random, &METHODS));
    put(b" ");
    match random.below(12) {
        // A target whose length is near its limit.
        0 => put(&[b"/", &vec![b'a'; 58 + random.below(10)][..]].concat()),
        _ => put(pick(random, &TARGETS)),
    }
    let usual = random.below(8) > 0;
    put(if usual { b" HTTP/1.1" } else { pick(random, &VERSIONS) });
    put(end(random));
    if usual || random.below(2) == 0 {
        put(b"host: a");
        put(end(random));
    }
    for _ in 0..random.below(4) {
        put(pick(random, &FIELDS));
        put(end(random));
    }
    if random.below(16) == 0 {
        // A number of headers, or a length of the head, that is near its limit.
        match random.below(2) {
            0 => (0..4 + random.below(6)).for_each(|_| put(b"a:b\r\n")),
            _ => put(&[b"a:", &vec![b'b'; 400 + random.below(90)][..], b"\r\n"].concat()),
        }
    }
    match random.below(5) {
        0 | 1 => put(end(random)),
        2 => {
            let body = BODIES[random.below(BODIES.len())];
            // Now and then the stated length is wrong, or is stated twice.
            let length = body.len() + pick(random, &[0, 0, 0, 0, 0, 0, 1, 250]);
            let times = if random.below(10) == 0 { 2 } else { 1 };
            put(format!("content-length: {length}\r\n").repeat(times).as_bytes());
            put(end(random));
            put(body);
        }
        _ => {
            let usual: &[u8] = b"transfer-encoding: chunked\r\n\r\n";
            put(pick(random, &[usual, usual, b"Transfer-Encoding:CHUNKED \t\r\n\r\n"]));
            for _ in 0..random.below(4) {
                let data = vec![b'x'; 1 + random.below(20) * random.below(10)];
                chunk_line(random, data.len(), &mut put);
                put(&data);
                put(end(random));
            }
            chunk_line(random, 0, &mut put);
            for _ in 0..random.below(2) {
                put(pick(random, &TRAILERS));
                put(end(random));
            }
            put(end(random));
        }
    }
}

/// Adds the line before a chunk: its size, sometimes too long, and sometimes an extension.
fn chunk_line(random: &mut Random, length: usize, put: &mut impl FnMut(&[u8])) {
    let size = match random.below(10) {
        0 => format!("{length:X}"),
        1 => format!("{length:016x}"),
        2 => format!("{length:017x}"),
        _ => format!("{length:x}"),
    };
    put(size.as_bytes());
    if random.below(4) == 0 {
        put(pick(random, &[b";a", b" \t;a=\"b;\"", b" ", b";", b";a\nb", b"\t;\xff", b";a\x00", b"x"]));
    }
    put(end(random));
}

/// Returns input for `wire::responses::check`: the response of a module.
pub fn response(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |piece: &[u8]| bytes.extend_from_slice(piece);
    let end: &[u8] = pick(random, &[b"\n", b"\r\n"]);
    put(b"HTTP/1.1 ");
    match random.below(3) {
        0 => put(format!("{:03}", 90 + random.below(560)).as_bytes()),
        _ => put(pick(random, &STATUSES)),
    }
    put(pick(random, &[b" OK", b" OK", b" ", b"", b" \xc3\xa4", b" a\tb ", b"  x"]));
    put(end);
    let body = BODIES[random.below(BODIES.len())];
    for _ in 0..random.below(4) {
        put(pick(random, &FIELDS));
        put(end);
    }
    if random.below(3) == 0 {
        put(format!("content-length: {}", body.len() + pick(random, &[0, 0, 0, 1])).as_bytes());
        put(end);
    }
    put(end);
    put(body);
    change(random, &mut bytes, 0);
    bytes
}

/// Returns a line end, which is nearly always CR LF.
fn end(random: &mut Random) -> &'static [u8] {
    let unusual: [&[u8]; 6] = [b"\n", b"\r", b"", b"\r\r\n", b" \r\n", b"\r\n "];
    unusual.get(random.below(120)).copied().unwrap_or(b"\r\n")
}

/// Makes one to three random changes after the first `from` bytes in half of the cases, and none in
/// the others.
fn change(random: &mut Random, bytes: &mut Vec<u8>, from: usize) {
    for _ in 0..random.below(6).saturating_sub(2) {
        if bytes.len() <= from {
            return;
        }
        let place = from + random.below(bytes.len() - from);
        match random.below(6) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => drop(bytes.remove(place)),
            2 => bytes.insert(place, pick(random, b"\r\n\t \0:;,#\x7f\xff0@")),
            3 => bytes.truncate(place),
            4 => {
                let end = (place + random.below(40)).min(bytes.len());
                let again = bytes[place..end].to_vec();
                bytes.splice(place..place, again);
            }
            _ => {
                let piece: &[u8] = pick(random, &FIELDS);
                bytes.splice(place..place, [b"\r\n", piece, b"\r\n"].concat());
            }
        }
    }
}

fn pick<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len())]
}

const METHODS: [&[u8]; 10] =
    [b"GET", b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"CONNECT", b"get", b"A!#"];

const VERSIONS: [&[u8]; 5] = [b" HTTP/1.0", b" HTTP/1.0", b" HTTP/2.0", b" HTTP/1.2", b" http/1.1"];

const STATUSES: [&[u8]; 10] =
    [b"200", b"200", b"204", b"205", b"304", b"404", b"500", b"502", b"101", b"100"];

const TRAILERS: [&[u8]; 5] = [b"x-after: 1", b"host: evil", b"content-length: 5", b"no field", b" x: y"];

#[rustfmt::skip]
const TARGETS: [&[u8]; 18] = [
    b"/", b"/", b"/a?b", b"//a/../%41", b"*", b"http://a/", b"http://A:80?b", b"https://a/b", b"http://b/",
    b"a:80", b"a", b"http:///", b"/a#b", b"/a\"<>{}|^`\\", b"/%zz", b"http://u@a/", b"ftp://a/",
    b"http://a",
];

const BODIES: [&[u8]; 6] =
    [b"", b"x", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"0\r\n\r\n", b"\0\xff\r\n", &[b'b'; 250]];

#[rustfmt::skip]
const FIELDS: [&[u8]; 46] = [
    b"a: b", b"A:b", b"a:  b\t ", b"a:", b"b: \xff\x80", b"x-b: c, d", b"host: a", b"host: b", b"host:",
    b"Host: a:80", b"host: [::1]:4444", b"host: a b", b"host: u@a", b"connection: close",
    b"Connection: keep-alive", b"connection: keep-alive, A, close", b"connection: x-b, host",
    b"connection: x-request-id", b"keep-alive: 5", b"te: trailers", b"trailer: x-after", b"upgrade: h2c",
    b"connection: upgrade", b"proxy-connection: close", b"x-request-id: mine", b"X-Forwarded-For: 1.2.3.4",
    b"x-request-time: 1", b"x-handler-version: 9", b"expect: 100-continue", b"Expect: 100-Continue",
    b"expect: a miracle", b"content-length: 0", b"content-length: 1", b"content-length: +1",
    b"content-length: 1, 1", b"content-length: 18446744073709551616", b"content-length: 257",
    b"transfer-encoding: chunked", b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: chunked, chunked", b"transfer-encoding: identity", b"transfer-encoding:",
    b"date: now", b" folded", b"a : b", b"no colon",
];
