//! What HTTP/2 itself refuses is told in the log, and not as often as a client likes, and it is counted.

use super::client::H2;
use super::frames::{
    END, ENHANCE_YOUR_CALM, PROTOCOL_ERROR, asks_with, data, get, headers, ping, request, reset,
};
use crate::harness::{Deployment, Server, wait_until};
use crate::metrics::{scrape, value};

/// Sends a malformed request on each of some streams, and waits until all are reset.
fn malformed(client: &mut H2, streams: impl Iterator<Item = u32> + Clone) {
    let one = |stream| headers(stream, END, request("GET", "/secret", &[("connection", "close")]));
    client.send(streams.clone().flat_map(one).collect::<Vec<u8>>());
    for stream in streams {
        client.until("RST_STREAM", |client| client.answer(stream).reset.is_some());
        assert_eq!(client.answer(stream).reset, Some(PROTOCOL_ERROR));
    }
}

#[test]
fn a_refused_request_has_a_line_and_many_of_them_have_few() {
    let place = Deployment::new();
    let mut server = place.start(&["--h2c", "--head-max", "300", "--fields-max", "6"]);
    let mut client = H2::connect(server.addresses[0]);
    assert_eq!(client.ask(1, "/").status, 200);
    malformed(&mut client, [3].into_iter());
    let line = server.log_line(&["INFO", "request: ", "fault=\"refused by HTTP/2\""]);
    for text in ["method=- target=- status=400", "client=127.0.0.1 ", "id=", "cause=\"HTTP/2 does not allow"]
    {
        assert!(line.contains(text), "{text}: {line}");
    }
    malformed(&mut client, (5..205).step_by(2));
    // A head that is far too long, and one that is too long as over HTTP/1.1, which has a line of its own.
    let long = "x".repeat(900);
    client.send(headers(301, END, request("GET", "/", &[("x", &long)])));
    assert_eq!(client.reply(301).status, 431);
    client.send(headers(303, END, request("GET", "/", &[("x", &long[..300])])));
    assert_eq!(client.reply(303).status, 431);
    // Trailers, a body and requests that are reset are no requests that were refused.
    client.send(headers(401, 0, request("POST", "/", &[])));
    client.send([data(401, 0, b"abc"), headers(401, END, [])].concat());
    client.reply(401);
    client.send([headers(403, 0, request("POST", "/", &[])), reset(403, 8)].concat());
    assert_eq!(client.ask(405, "/").status, 200);
    let text = scrape(&place, "");
    assert_eq!(value(&text, "host_faults_total{fault=\"refused by HTTP/2\"}"), 102.0, "{text}");
    assert_eq!(value(&text, "host_faults_total{fault=\"head too long\"}"), 1.0, "{text}");
    assert_eq!(client.ask(407, "/").status, 200);
    let lines = server.stop();
    let refused = lines.iter().filter(|line| line.contains("refused by HTTP/2")).count();
    // One a second; so many seconds would have passed only on a machine that stands still.
    assert!((1..40).contains(&refused), "{refused}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
}

#[test]
fn the_end_of_a_connection_by_a_fault_of_its_client_has_a_line() {
    let mut server = Server::with(&["--h2c", "--h2-control", "20"]);
    let address = server.addresses[0];
    let mut client = H2::connect(address);
    client.send(asks_with(b"X", b"y"));
    client.ends();
    assert!(matches!(client.goaways[..], [(_, PROTOCOL_ERROR)]), "{}", client.shown());
    server.log_line(&[
        "INFO",
        "connection ended early: the client breaks the rules of HTTP/2",
        "peer=127.0.0.1",
    ]);
    let mut client = H2::connect(address);
    client.send(ping([7; 8]).repeat(100));
    client.ends();
    server.log_line(&["INFO", "connection ended: too many frames (--h2-control)", "peer=127.0.0.1"]);
    // One that just goes has none.
    let mut client = H2::connect(address);
    client.send(headers(1, END, get("/")));
    drop(client);
    let lines = server.stop();
    let ended = lines.iter().filter(|line| line.contains("connection ended")).count();
    assert_eq!(ended, 2, "{lines:?}");
}

#[test]
fn a_flood_is_counted_by_the_limit_that_it_passes() {
    let place = Deployment::new();
    let server = place.start(&["--h2c", "--h2-control", "20", "--h2-resets", "5"]);
    let floods =
        |limit: &str| value(&scrape(&place, ""), &format!("host_http2_floods_total{{limit=\"{limit}\"}}"));
    assert_eq!((floods("control"), floods("resets")), (0.0, 0.0));
    let flood = |frames: Vec<u8>| {
        let mut client = H2::connect(server.addresses[0]);
        client.send(frames);
        client.ends();
        assert!(matches!(client.goaways[..], [(_, ENHANCE_YOUR_CALM)]), "{}", client.shown());
    };
    flood(ping([7; 8]).repeat(100));
    flood(ping([7; 8]).repeat(100));
    let one = |stream| [headers(stream, 0, request("POST", "/", &[])), reset(stream, 8)].concat();
    flood((1..41).step_by(2).flat_map(one).collect());
    wait_until("the floods are counted", || (floods("control"), floods("resets")) == (2.0, 1.0));
    assert_eq!(H2::connect(server.addresses[0]).ask(1, "/").status, 200);
    assert_eq!(value(&scrape(&place, ""), "host_http2_connections_total"), 4.0);
}
