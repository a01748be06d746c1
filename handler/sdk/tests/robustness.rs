//! Calls every part of the SDK with random requests and texts. They are the same in every run; the
//! fuzz target `sdk` generates others.

#[path = "../../../tests/harness/random.rs"]
mod random;

mod everything;

use random::Random;

const SOUND: &[&[u8]] = &[
    b"GET /a/b?q=a%20b+c&q=%ff&&=x HTTP/1.1\r\nhost: a\r\ncookie: a=b; c=%44; d\r\ncookie: e=\"f\"\r\n\
        accept: text/html;q=0.5, */*;q=0.1\r\naccept: application/*\r\n\r\n",
    b"POST /route HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded; charset=utf-8\r\n\
        content-length: 11\r\n\r\na=1&b=%&c=+",
    b"PUT /x/b HTTP/1.1\r\naccept: text/plain;format=\"a,b\\\";c\";q=0.3\r\ncontent-length: 2\r\n\r\n12",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"GET /a.css HTTP/1.1\r\nrange: bytes=1-2, -3\r\nif-none-match: \"v2\", W/\"v1\"\r\n\
        if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    b"GET /b HTTP/1.1\r\nrange: bytes=4-8\r\nif-match: \"v1\"\r\nif-range: \"v1\"\r\n\
        if-unmodified-since: Sunday, 06-Nov-94 08:49:37 GMT\r\nx-request-time: 1795334400000\r\n\
        cookie: a=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843.9999999999.b\r\n\r\n",
    b"OPTIONS /a/b/?c HTTP/1.1\r\norigin: null\r\naccess-control-request-method: PUT\r\n\r\n",
    b"GET /a/b/c?d HTTP/1.1\r\norigin: https://a.example\r\nx-request-id: 1-1\r\nx-forwarded-for: ::1\r\n\
        x-request-time: 1795334400000\r\n\r\n",
];

#[test]
fn no_request_panics() {
    let mut random = Random::new(0x5eed);
    for _ in 0..20_000 {
        let mut request = SOUND[random.below(SOUND.len())].to_vec();
        for _ in 0..random.below(6) {
            let place = random.below(request.len());
            match random.below(4) {
                0 => request[place] = b"\0\t\r\n :;,=&%+/?\"\\aZ09\x7f\x80\xff"[random.below(23)],
                1 if request.len() > 1 => drop(request.remove(place)),
                2 => request.insert(place, request[place]),
                _ => request.truncate(place.max(1)),
            }
        }
        everything::ask_for_everything(&request);
    }
    for length in 0..2_000 {
        let bytes: Vec<u8> = (0..length % 70).map(|_| random.below(256) as u8).collect();
        everything::ask_for_everything(&bytes);
        everything::ask_for_everything(&[b"GET / HTTP/1.1\r\n", &bytes[..]].concat());
    }
}

#[test]
fn every_text_comes_back_from_where_it_was_encoded() {
    let mut random = Random::new(0xc0de);
    for _ in 0..5_000 {
        let character = |_| {
            let end = [0x80, 0x800, 0x11_0000][random.below(3)];
            char::from_u32(random.below(end) as u32)
        };
        let text: String = (0..12).filter_map(character).collect();
        let end = text.floor_char_boundary(random.below(text.len() + 1));
        everything::send_round(&text[..end]);
    }
}
