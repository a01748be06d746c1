//! Ends of connections: those that the server wants, and those that the client wants.

use super::client::H2;
use super::frames::{
    END, INITIAL_WINDOW_SIZE, INTERNAL_ERROR, LARGEST, NO_ERROR, REFUSED_STREAM, data, get, goaway, headers,
    request, update,
};
use crate::harness::Server;

#[test]
fn a_server_that_ends_answers_what_is_open() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    let mut client = H2::connect_with(server.addresses[0], &[(INITIAL_WINDOW_SIZE, 0)]);
    let mut resting = H2::connect(server.addresses[0]);
    client.send([headers(1, 0, request("POST", "/", &[])), headers(3, END, get("/"))].concat());
    client.until("a head", |client| client.answer(3).status == 200);
    server.signal("TERM");
    // The first one says that no more is to be sent; the second one names the last stream, once
    // what was on the way has arrived.
    client.until("two GOAWAYs", |client| client.goaways.len() == 2);
    assert_eq!(client.goaways, [(LARGEST, NO_ERROR), (3, NO_ERROR)]);
    // What is opened now is not answered, and not refused either.
    client.send(headers(5, END, get("/")));
    client.send([update(1, 1000), update(3, 1000), data(1, END, b"hello")].concat());
    assert!(client.reply(1).text().ends_with("hello"));
    assert_eq!(client.reply(3).status, 200);
    client.ends();
    assert!(!client.streams.contains_key(&5), "{}", client.shown());
    resting.ends();
    assert_eq!(resting.goaways.last(), Some(&(0, NO_ERROR)));
    let (status, _) = server.wait();
    assert!(status.success());
}

#[test]
fn a_connection_has_as_many_requests_as_the_limit_says() {
    let server = Server::of_with("show.wat", &["--h2c", "--connection-requests", "3"]);
    let mut client = H2::connect(server.addresses[0]);
    for stream in [1, 3, 5] {
        assert_eq!(client.ask(stream, "/").status, 200);
    }
    client.ends();
    assert_eq!(client.goaways.last(), Some(&(5, NO_ERROR)), "{}", client.shown());
    // Those that were sent at once are answered as far as they were taken, and the client learns
    // which ones.
    let mut client = H2::connect(server.addresses[0]);
    client.send((1..20).step_by(2).flat_map(|stream| headers(stream, END, get("/"))).collect::<Vec<u8>>());
    client.ends();
    let (last, code) = *client.goaways.last().unwrap();
    assert!(code == NO_ERROR && last >= 5, "{}", client.shown());
    for (stream, answer) in &client.streams {
        assert!(*stream <= last && answer.is_whole && answer.status == 200, "{stream}: {answer:?}");
    }
    assert_eq!(client.streams.len() as u32, last.div_ceil(2));
}

#[test]
fn a_client_that_ignores_the_end_is_not_served_for_ever() {
    let server = Server::of_with("show.wat", &["--h2c", "--connection-requests", "3"]);
    let mut client = H2::connect_wide(server.addresses[0]);
    client.ignores_pings = true;
    // A request is open at any time.
    let open = |stream| headers(stream, 0, request("POST", "/", &[]));
    client.send(open(1));
    for stream in (1..).step_by(2) {
        client.send([open(stream + 2), data(stream, END, b"x")].concat());
        let is_over = |answer: &super::client::Answer| answer.is_whole || answer.reset.is_some();
        while !client.streams.get(&stream).is_some_and(is_over) && client.take_in() {}
        if client.is_over {
            break;
        }
    }
    let (refused, answered): (Vec<_>, Vec<_>) =
        client.streams.values().partition(|answer| answer.reset == Some(REFUSED_STREAM));
    assert!(!refused.is_empty() && answered.len() > 3, "{} refused, {}", refused.len(), answered.len());
    assert_eq!(client.goaways.last().map(|(_, code)| *code), Some(NO_ERROR));
}

#[test]
fn a_client_that_says_goodbye_gets_its_answers() {
    let server = Server::of_with("show.wat", &["--h2c"]);
    for code in [NO_ERROR, INTERNAL_ERROR, 0xdead_beef] {
        let mut client = H2::connect(server.addresses[0]);
        let opens = |stream| headers(stream, 0, request("POST", "/", &[]));
        client.send([opens(1), opens(3), goaway(0, code), data(3, END, b"hello")].concat());
        assert!(client.reply(3).text().ends_with("hello"));
        client.send(data(1, END, b"hello"));
        assert!(client.reply(1).text().ends_with("hello"));
        client.ends();
        assert_eq!(client.goaways.last(), Some(&(3, NO_ERROR)), "{code}");
    }
}
