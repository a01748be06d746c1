//! Greedy clients, long calls and slow transfers do not starve others.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::harness::{Client, Deployment, Server, fixture_text, host_after, wait_until};

/// Local addresses of two clients. All other clients use 127.0.0.1.
const GREEDY: [u8; 4] = [127, 0, 0, 2];
const MODEST: [u8; 4] = [127, 0, 0, 3];

/// Returns `mixed.wat` with a function that drops an element segment. The host cannot reset
/// instances of such a module, so each request gets a new one.
fn mixed_and_made_anew() -> String {
    let table = "(module (table 2 funcref) (elem $e func) (func $drop (elem.drop $e))";
    fixture_text("mixed.wat").replacen("(module", table, 1)
}

/// Makes `rounds` quick requests while `endless` clients make requests that loop until the
/// deadline. Returns how many quick requests failed, and the longest time of one.
fn quick_beside_endless(server: &Server, endless: usize, rounds: usize) -> (usize, Duration) {
    (0..3).for_each(|_| assert_eq!(server.connect().ask("GET", "/l").status, 504));
    let (over, long, address) = (AtomicBool::new(false), AtomicUsize::new(0), server.addresses[0]);
    std::thread::scope(|scope| {
        for _ in 0..endless {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                while !over.load(Relaxed) {
                    long.fetch_add(1, Relaxed);
                    let status = client.ask("GET", "/l").status;
                    assert!([503, 504].contains(&status), "{status}");
                    if status == 503 {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            });
        }
        wait_until("all have asked", || long.load(Relaxed) >= endless);
        let mut client = server.connect();
        let (mut refused, mut longest) = (0, Duration::ZERO);
        for _ in 0..rounds {
            let since = Instant::now();
            refused += usize::from(client.ask("GET", "/fine").status != 200);
            longest = longest.max(since.elapsed());
        }
        over.store(true, Relaxed);
        (refused, longest)
    })
}

#[test]
fn quick_requests_keep_their_places_beside_a_hundred_endless_ones() {
    for module in [fixture_text("mixed.wat"), mixed_and_made_anew()] {
        let flags = ["--threads", "2", "--deadline", "100ms", "--log-level", "off"];
        let server = Server::of_text_with(&module, &flags);
        let (refused, longest) = quick_beside_endless(&server, 100, 300);
        assert_eq!(refused, 0, "{module}");
        // A quick request takes some milliseconds, but the machine may be busy.
        assert!(longest < Duration::from_secs(2), "{longest:?} {module}");
    }
}

#[test]
fn more_threads_than_places_for_short_calls_share_them_beside_endless_ones() {
    let flags = ["--threads=8", "--instances=4", "--queue=4", "--deadline=100ms", "--log-level=off"];
    let server = Server::of_with("mixed.wat", &flags);
    let (refused, _) = quick_beside_endless(&server, 16, 100);
    assert_eq!(refused, 0);
}

#[test]
fn a_new_client_is_answered_beside_as_many_slow_ones_as_there_may_be_connections() {
    let mut server = Server::with(&["--connections", "8", "--rate-window", "400ms"]);
    let mut slow: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for (index, client) in slow.iter_mut().enumerate() {
        let start = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n";
        client.send(if index % 2 == 0 { "GET / HT" } else { start });
    }
    for _ in 0..4 {
        let since = Instant::now();
        assert_eq!(server.connect().ask("GET", "/").status, 200);
        assert!(since.elapsed() < Duration::from_secs(5), "only after {:?}", since.elapsed());
        slow.iter_mut().for_each(|client| _ = client.try_send("x"));
    }
    server.log_line(&["status=408", "fault=\"gave way\"", "(--connections)"]);
    assert!(slow.iter_mut().any(Client::is_open), "the others go on where they were");
}

#[test]
fn a_client_that_takes_in_its_response_slowly_gives_way() {
    let flags = ["--connections", "1", "--rate-window", "400ms", "--log-level", "debug"];
    let mut server = Server::of_with("large_and_small.wat", &flags);
    let mut slow = server.connect();
    slow.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n".repeat(64));
    server.log_line(&["target=/large status=200"]);
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    server.log_line(&["connection ended early", "the slowest", "(--connections)"]);
}

/// Opens connections from the address `own`, makes a request on each, and waits until one
/// of them is parked.
fn resting(server: &mut Server, own: [u8; 4], count: usize) -> Vec<Client> {
    let address = server.addresses[0];
    let mut clients: Vec<_> = (0..count).map(|_| Client::connect_from(own, address)).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.ask("GET", "/").status, 200));
    server.log_line(&["connection parked", &own.map(|part| part.to_string()).join(".")]);
    clients
}

#[test]
fn the_address_with_the_most_connections_gives_way_first() {
    for (share, modest_stays) in [("on", true), ("off", false)] {
        let flags = ["--connections", "4", "--fair-share", share, "--log-level", "debug"];
        let mut server = Server::with(&flags);
        let mut modest = resting(&mut server, MODEST, 1).remove(0);
        let _greedy = resting(&mut server, GREEDY, 3);
        // Connects from a third address, which is one connection too many.
        assert_eq!(server.connect().ask("GET", "/").status, 200);
        assert_eq!(modest.is_open(), modest_stays, "{share}");
    }
}

#[test]
fn those_who_forward_for_others_have_no_share() {
    let flags = ["--connections", "3", "--trust-forwarded", "127.0.0.2", "--log-level", "debug"];
    let mut server = Server::with(&flags);
    let mut modest = resting(&mut server, MODEST, 1).remove(0);
    let mut proxy = resting(&mut server, GREEDY, 2);
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    assert!(!modest.is_open(), "it had rested for the longest time");
    assert!(proxy.iter_mut().all(Client::is_open));
}

#[test]
fn a_client_that_holds_all_calls_gives_way_in_the_queue() {
    let place = Deployment::of(fixture_text("loops.wat"));
    let flags = ["--instances", "2", "--queue", "2", "--deadline", "1h", "--queue-timeout", "1h"];
    let mut server = place.start(&flags);
    let address = server.addresses[0];
    let ask = |own: [u8; 4]| {
        let mut client = Client::connect_from(own, address);
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        client
    };
    let _greedy: Vec<Client> = (0..3).map(|_| ask(GREEDY)).collect();
    status_shows(&place, &["calls: 1 of 2\n", "queue: 2 of 2\n"]);
    let mut modest = ask(MODEST);
    server.log_line(&["status=503", "client=127.0.0.2", "fault=\"busy\""]);
    status_shows(&place, &["calls: 1 of 2\n", "queue: 2 of 2\n", "connections: 4 of "]);
    assert!(modest.is_open() && !modest.has_reply());
}

/// Waits until `host status` prints all of these texts.
fn status_shows(place: &Deployment, texts: &[&str]) {
    wait_until(&format!("{texts:?}"), || {
        let status = place.tell(&["status"]);
        texts.iter().all(|wanted| status.contains(wanted))
    });
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    for (flags, why) in [
        (["--body-rate-min", "1KiB", "--rate-window", "100ms"], "--body-rate-min"),
        (["--body-time-max", "100ms", "--body-rate-min", "0"], "--body-time-max"),
    ] {
        let mut server = Server::of_with("echo.wat", &flags);
        let mut client = server.connect();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
        // Sends less than a kilobyte a second, without a long pause.
        while client.try_send("x") && !client.has_reply() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(client.reply_to("POST").status, 408);
        server.log_line(&["fault=\"body too slow\"", why]);
    }
}

#[test]
fn a_response_that_is_taken_in_too_slowly_is_given_up() {
    let flags = ["--write-rate-min", "1GiB", "--rate-window", "200ms", "--log-level", "debug"];
    let mut server = Server::of_with("large_and_small.wat", &flags);
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n".repeat(64));
    server.log_line(&["connection ended early", "--write-rate-min"]);
}

#[test]
fn what_the_limits_allow_is_stated_at_start_and_held_against_what_there_is() {
    let mut server = Server::with(&["--connections", "100"]);
    let line = server.log_line(&["memory that the limits allow", "sum="]);
    for part in ["instances 8.", "bodies 1.0 GiB, connections ", "log "] {
        assert!(line.contains(part), "{line}");
    }
    // This limit on the data segment lets the server start, but is below what the other
    // limits allow.
    let mut server = Server::spawn(host_after("ulimit -d 2000000"), &["--connections", "100"]);
    server.log_line(&["WARN", "the limits allow", "RLIMIT_DATA", "--instances"]);
}
