//! Generated requests, the same in every run: what the handler sees, and what the client gets, is the
//! same over HTTP/1.1 and over HTTP/2.

use super::client::H2;
use super::frames::PROTOCOL_ERROR;
use super::versions::{Request, Same};
use crate::harness::{Random, Server};

/// Number of requests. Each takes a fraction of a millisecond in the dev profile.
const CASES: u32 = 2_000;

const METHODS: [&str; 10] =
    ["GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "M-SEARCH"];

const NAMES: [&str; 16] = [
    "accept",
    "accept-encoding",
    "authorization",
    "cache-control",
    "content-type",
    "forwarded",
    "if-none-match",
    "origin",
    "priority",
    "range",
    "te",
    "trailer",
    "user-agent",
    "x",
    "x-forwarded-for",
    "x-request-id",
];

/// Signs of targets.
const IN_TARGETS: &[u8] = b"abcxyz019-._~/?&=+:@!$'()*,;";

/// Signs of targets, some of which may not stand there. A fragment and
/// a backquote have cases of their own.
const NEAR_TARGETS: &[u8] = b"abc%/?[]|{}\"<>\\^";

/// Signs of names of fields.
const IN_NAMES: &[u8] = b"abcxyz019-_.!#$%&'*+^`|~";

/// Signs of values of fields.
const IN_VALUES: &[u8] = b"abcXYZ019 \t,;=\"\\:/?@[]{}()<>%&'*+-._~^`|!#$\x80\xc3\xa4\xff";

fn word(random: &mut Random, signs: &[u8], most: usize) -> Vec<u8> {
    (0..random.below(most + 1)).map(|_| signs[random.below(signs.len())]).collect()
}

fn text(random: &mut Random, signs: &[u8], most: usize) -> String {
    String::from_utf8(word(random, signs, most)).unwrap()
}

fn request(random: &mut Random) -> Request {
    let method = match random.below(20) {
        0 => "A".repeat(60 + random.below(8)),
        1 => text(random, b"ABCxyz!#-", 9) + "Q",
        _ => METHODS[random.below(METHODS.len())].to_owned(),
    };
    let target = match random.below(40) {
        0 => "*".to_owned(),
        1 => format!("/{}", "t".repeat(8_180 + random.below(24))),
        2 => text(random, b"abc/:?", 9) + "a",
        3 => format!("/{}", text(random, NEAR_TARGETS, 5)),
        _ => format!("/{}", text(random, IN_TARGETS, 40).replace('~', "%7E")),
    };
    let host = match random.below(30) {
        0 => None,
        1 => Some("a b".replace(' ', ":")),
        2 => Some(format!("[::1]:{}", random.below(70_000))),
        3 => Some(format!("u{}@a", random.below(9))),
        _ => Some(format!("{}a", text(random, b"abcXYZ019-._", 12))),
    };
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    for _ in 0..random.below(8) {
        let name = match random.below(3) {
            0 => format!("{}n", text(random, IN_NAMES, 20)),
            _ => NAMES[random.below(NAMES.len())].to_owned(),
        };
        // One that is there already would not stand beside the others of its name.
        if fields.iter().any(|(each, _)| *each == name) {
            continue;
        }
        for _ in 0..=random.below(3).saturating_sub(1) {
            // HTTP/2 allows this one alone.
            let value = if name == "te" { b"trailers".to_vec() } else { word(random, IN_VALUES, 60) };
            fields.push((name.clone(), value));
        }
    }
    if random.below(4) == 0 {
        let pairs: Vec<String> = (0..=random.below(5))
            .map(|_| format!("{}={}", text(random, b"abc", 5), text(random, b"0123", 9)))
            .collect();
        fields.insert(0, ("cookie".into(), pairs.join("; ").into_bytes()));
    }
    // The field for chunks, which HTTP/2 has not, is not to pass a limit.
    let mut has_length = random.below(2) == 0;
    let near_limit = random.below(60);
    match near_limit {
        0 => fields.push(("expect".into(), b"100-continue".to_vec())),
        1 => fields.push(("expect".into(), word(random, b"12-abc", 9))),
        2 => fields = vec![("x-many".into(), b"y".to_vec()); 96 + random.below(8)],
        3 => fields.push(("x-long".into(), vec![b'y'; 15_500 + random.below(1_000)])),
        _ => {}
    }
    has_length |= (2..=3).contains(&near_limit);
    let body = (random.below(3) > 0).then(|| match random.below(20) {
        0 => word(random, b"\0\r\n:x", 60_000),
        _ => word(random, b"\0\r\n:x", 300),
    });
    Request { method, target, host, fields, body, has_length }
}

#[test]
fn what_a_handler_sees_does_not_depend_on_the_version() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    let mut random = Random::new(0x5eed);
    let (mut http1, mut http2) = (server.connect(), H2::connect_wide(server.addresses[0]));
    let mut refused = 0;
    for number in 0..CASES {
        let request = request(&mut random);
        let bytes = request.in_http1();
        http1.send(&bytes);
        let mut reply = http1.reply_to(&request.method);
        if reply.status == 100 {
            reply = http1.reply_to(&request.method);
        }
        if reply.field("connection") == Some("close") {
            refused += 1;
            http1 = server.connect();
        }
        let block = request.in_http2("http", || random.below(2) == 0);
        let answer = request.ask(&mut http2, 2 * number + 1, &block);
        // The crate makes of malformed targets an error of the stream, even if more is wrong.
        let is_usual = |sign| IN_TARGETS.contains(&sign) || b"%7Et".contains(&sign);
        let is_well_formed = request.target.starts_with('/') && request.target.bytes().all(is_usual);
        if !is_well_formed && reply.status >= 400 && answer.reset == Some(PROTOCOL_ERROR) {
            continue;
        }
        let (expected, found) = (Same::of_http1(&reply, true), Same::of_http2(&answer, true));
        assert_eq!(found, expected, "{number}: {}", bytes[..bytes.len().min(2_000)].escape_ascii());
    }
    // Most requests reach the handler, and not all.
    assert!((20..CASES / 2).contains(&refused), "{refused}");
}
