//! Windows (RFC 9113, section 5.2): a response is held until the client has room for it, and one that
//! is held does not hold up the others.

use super::client::H2;
use super::frames::{CANCEL, END, INITIAL_WINDOW_SIZE, data, get, headers, request, reset, settings, update};
use crate::harness::Server;

/// Length of the response to each request.
const LENGTH: usize = 1000;

/// Returns a client whose streams have this window, and which awaits a response on each of these
/// streams.
fn awaiting(server: &Server, window: u32, streams: &[u32]) -> H2 {
    let mut client = H2::connect_with(server.addresses[0], &[(INITIAL_WINDOW_SIZE, window)]);
    for &stream in streams {
        client.send(
            [headers(stream, 0, request("POST", "/", &[])), data(stream, END, [b'x'; LENGTH])].concat(),
        );
    }
    client
}

/// Checks that this many bytes have come on a stream, and no more are to come.
#[track_caller]
fn has(client: &mut H2, stream: u32, bytes: usize) {
    client.until("a part", |client| {
        client.answer(stream).body.len() >= bytes && client.answer(stream).status > 0
    });
    client.settle();
    assert_eq!(client.answer(stream).body.len(), bytes);
    assert_eq!(client.answer(stream).is_whole, bytes == LENGTH);
}

#[test]
fn a_response_goes_on_as_the_window_of_its_stream_does() {
    let server = Server::of_with("echo.wat", &["--h2c"]);
    let mut client = awaiting(&server, 0, &[1]);
    has(&mut client, 1, 0);
    for bytes in [1, 399, 599] {
        let before = client.answer(1).body.len();
        client.send(update(1, bytes));
        has(&mut client, 1, before + bytes as usize);
    }
    client.send(update(1, 100));
    has(&mut client, 1, LENGTH);
}

#[test]
fn a_window_may_be_below_zero() {
    let server = Server::of_with("echo.wat", &["--h2c"]);
    let mut client = awaiting(&server, 500, &[1]);
    has(&mut client, 1, 500);
    // 400 below zero, then 100 below zero, then 100 above.
    client.send(settings(&[(INITIAL_WINDOW_SIZE, 100)]));
    has(&mut client, 1, 500);
    client.send(update(1, 300));
    has(&mut client, 1, 500);
    client.send(update(1, 200));
    has(&mut client, 1, 600);
    // Settings widen the windows of open streams, too.
    client.send(settings(&[(INITIAL_WINDOW_SIZE, 350)]));
    has(&mut client, 1, 850);
    client.send(settings(&[(INITIAL_WINDOW_SIZE, 5000)]));
    has(&mut client, 1, LENGTH);
}

#[test]
fn streams_share_the_window_of_the_connection() {
    let server = Server::of_with("echo.wat", &["--h2c"]);
    let streams: Vec<u32> = (1..=131).step_by(2).collect();
    // All but the last fit into the first window of a connection, but for a part.
    let mut client = awaiting(&server, 65_535, &streams);
    let came = |client: &H2| client.streams.values().map(|answer| answer.body.len()).sum::<usize>();
    client.until("the window is used up", |client| came(client) == 65_535);
    client.settle();
    assert_eq!(came(&client), 65_535);
    // What has no body, and what is refused, needs no window.
    client.send(headers(133, END, request("HEAD", "/", &[])));
    assert_eq!(client.reply(133).status, 200);
    client.send(update(0, 465));
    for stream in streams {
        assert_eq!(client.reply(stream).body.len(), LENGTH);
    }
}

#[test]
fn a_response_that_is_held_holds_up_no_other() {
    let server = Server::of_with("echo.wat", &["--h2c"]);
    let mut client = awaiting(&server, 0, &[1, 3, 5]);
    for stream in [1, 3, 5] {
        has(&mut client, stream, 0);
    }
    client.send(update(5, 1000));
    assert_eq!(client.reply(5).body.len(), LENGTH);
    // One that the client gives up makes no room for others, and does no harm.
    client.send(reset(1, CANCEL));
    client.send(update(3, 1000));
    assert_eq!(client.reply(3).body.len(), LENGTH);
    client.settle();
    assert_eq!(client.answer(1).body.len(), 0);
}

#[test]
fn a_large_response_takes_many_windows() {
    let server = Server::of_with("answers_much.wat", &["--h2c", "--response-max", "8MiB"]);
    let mut client = H2::connect(server.addresses[0]);
    client.send(headers(1, END, get("/")));
    let mut granted = 65_535;
    while !client.answer(1).is_whole {
        client.until("a window is used up", |client| {
            client.answer(1).body.len() == granted || client.answer(1).is_whole
        });
        client.send([update(0, 60_000), update(1, 60_000)].concat());
        granted += 60_000;
    }
    let answer = client.reply(1);
    assert_eq!(answer.field("content-length"), Some(&*answer.body.len().to_string()));
    assert!(answer.body.len() > 4_000_000 && answer.body.iter().all(|byte| *byte == 0));
}

#[test]
fn a_server_asks_for_more_of_a_body_as_it_reads() {
    let server = Server::of_with("echo.wat", &["--h2c", "--body-max", "4MiB", "--response-max", "5MiB"]);
    let mut client = H2::connect_wide(server.addresses[0]);
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    client.send(headers(1, 0, request("POST", "/", &[])));
    client.send_body(1, &body, true);
    let answer = client.reply(1);
    assert_eq!(answer.status, 200);
    assert!(answer.body.ends_with(&body));
}
