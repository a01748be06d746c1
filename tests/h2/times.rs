//! Times: what comes too slowly ends, and with it as little as can be.

use super::client::{H2, tcp};
use super::frames::{
    CANCEL, END, ENHANCE_YOUR_CALM, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PING, PREFACE, UNKNOWN,
    continuation, data, frame, get, headers, request, settings, update,
};
use crate::harness::Server;

/// Begins of heads and of frames.
fn begun() -> [(&'static str, Vec<u8>); 7] {
    let whole = frame(HEADERS, END, 3, get("/"));
    [
        ("a part of a frame's head", whole[..5].to_vec()),
        ("a frame's head", whole[..9].to_vec()),
        ("a part of HEADERS", whole[..15].to_vec()),
        ("HEADERS without their end", whole.clone()),
        ("CONTINUATION without an end", [whole, continuation(3, 0, b"")].concat()),
        ("a part of PING", frame(PING, 0, 0, [0; 8])[..10].to_vec()),
        ("a part of an unknown type", frame(UNKNOWN, 0, 0, [0; 100])[..50].to_vec()),
    ]
}

#[test]
fn what_has_begun_ends_in_time() {
    let server = Server::of_with("show.wat", &["--h2c", "--head-timeout", "1s"]);
    let address = server.addresses[0];
    std::thread::scope(|scope| {
        for (what, bytes) in begun() {
            scope.spawn(move || {
                let mut client = H2::connect(address);
                client.send(headers(1, 0, request("POST", "/", &[])));
                client.send(bytes);
                client.ends();
                assert_eq!(client.goaways, [(1, ENHANCE_YOUR_CALM)], "{what}: {}", client.shown());
            });
        }
        // Before the first frame the server sends no GOAWAY.
        for length in ["PRI * HTTP/2.0\r\n".len(), PREFACE.len() - 1] {
            scope.spawn(move || {
                let mut client = H2::over(tcp(address));
                client.send(&PREFACE[..length]);
                client.ends();
                assert!(client.streams.is_empty(), "{length}: {}", client.shown());
            });
        }
        // Settings are not asked for by the clock, and a connection that rests is no head that waits.
        scope.spawn(move || {
            let mut client = H2::over(tcp(address));
            client.send([PREFACE, &settings(&[])].concat());
            client.until("settings", |client| client.acks > 0);
        });
    });
    assert_eq!(H2::connect(address).ask(1, "/").status, 200);
}

#[test]
fn a_body_that_does_not_come_ends_its_stream_alone() {
    for (flags, begin) in [
        (&["--body-timeout", "1s"][..], &b""[..]),
        (&["--body-timeout", "1s"], b"hel"),
        (&["--body-rate-min", "1000", "--rate-window", "1s", "--write-rate-min", "0"], b"hel"),
        (&["--body-time-max", "1s"], b"hel"),
    ] {
        let server = Server::of_with("show.wat", &[&["--h2c"], flags].concat());
        let mut client = H2::connect_with(server.addresses[0], &[(INITIAL_WINDOW_SIZE, 0)]);
        client.send(headers(1, END, get("/held")));
        client.send(
            [headers(3, 0, request("POST", "/", &[("content-length", "5")])), data(3, 0, begin)].concat(),
        );
        client.send(update(3, 1000));
        client.until("RST_STREAM", |client| client.answer(3).reset.is_some());
        let answer = client.answer(3);
        assert_eq!((answer.status, answer.is_whole, answer.reset), (408, true, Some(NO_ERROR)), "{flags:?}");
        // The other stream goes on, and what was on the way is ignored.
        client.send([data(3, END, b"lo"), update(1, 1000)].concat());
        assert!(client.reply(1).text().starts_with("GET /held "));
        client.send(headers(5, END, get("/")));
        client.send(update(5, 1000));
        assert_eq!(client.reply(5).status, 200);
        assert!(client.goaways.is_empty());
    }
}

#[test]
fn a_window_that_stays_shut_ends_its_stream_alone() {
    for flags in [
        &["--write-timeout", "1s", "--write-rate-min", "0"][..],
        &["--write-rate-min", "100000", "--rate-window", "1s", "--body-rate-min", "0"],
    ] {
        let server = Server::of_with("show.wat", &[&["--h2c"], flags].concat());
        let mut client = H2::connect_with(server.addresses[0], &[(INITIAL_WINDOW_SIZE, 0)]);
        client.send(headers(1, 0, request("POST", "/", &[])));
        client.send(headers(3, END, get("/")));
        client.until("RST_STREAM", |client| client.answer(3).reset.is_some());
        let answer = client.answer(3);
        assert_eq!((answer.status, answer.is_whole, answer.reset), (200, false, Some(CANCEL)), "{flags:?}");
        client.send([update(1, 1000), data(1, END, b"hello")].concat());
        assert!(client.reply(1).text().ends_with("hello"));
        assert!(client.goaways.is_empty());
    }
}

#[test]
fn a_connection_that_rests_is_ended() {
    let server = Server::of_with("show.wat", &["--h2c", "--idle-timeout", "1s"]);
    for has_asked in [false, true] {
        let mut client = H2::connect(server.addresses[0]);
        if has_asked {
            assert_eq!(client.ask(1, "/").status, 200);
        }
        client.ends();
        let last = u32::from(has_asked);
        // The first one says that no more may come, and the second one what was answered.
        assert_eq!(client.goaways.last(), Some(&(last, NO_ERROR)), "{}", client.shown());
    }
    // One that waits for its body does not rest.
    let mut client = H2::connect(server.addresses[0]);
    let mut other = H2::connect(server.addresses[0]);
    client.send(headers(1, 0, request("POST", "/", &[])));
    other.ends();
    client.send(data(1, END, b"hello"));
    assert!(client.reply(1).text().ends_with("hello"));
}
