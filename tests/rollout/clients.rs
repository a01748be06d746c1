//! Clients: what tells them apart, and that they keep their version.

use super::{PINS, Site, assert_share, changes, count, versions_for};
use crate::harness::Client;
use crate::harness::modules::saying;

/// Number of clients.
const CLIENTS: usize = 10_000;

/// More requests than a step needs while its clients are counted.
const STEP: usize = 6_000;

/// Shares of the steps, and of what follows them.
const SHARES: [f64; 4] = [0.01, 0.1, 0.5, 1.0];

/// Rolls a version out to clients that are told apart by `key`, in three steps. Each client sends a
/// field. Checks the shares, and that no client goes back. Returns the versions in each step.
fn roll_out(site: &Site, key: &str, field: impl Fn(usize) -> String + Copy) -> Vec<Vec<u64>> {
    let mut events = site.events();
    let plan = format!("steps=1%25,10%25,50%25&hold=1ms&wait=1h&requests={STEP}&key={key}&percent=1%25");
    site.begin(saying("new"), &plan, 2);
    let phases = [
        ("begun", "step 1 of 3, 1%"),
        ("step", "step 2 of 3, 10%"),
        ("step", "step 3 of 3, 50%"),
        ("published", "step 3 of 3, 50%"),
    ];
    let mut seen: Vec<Vec<u64>> = Vec::new();
    for ((change, phase), share) in phases.into_iter().zip(SHARES) {
        changes(&mut events, 2, change, phase);
        if change == "published" {
            events.tells(serde_json::json!({ "event": "serving", "version": 2 }));
        }
        let versions = versions_for(&mut site.server.connect(), CLIENTS, field);
        assert_share(&versions, 2, share);
        if let Some(before) = seen.last() {
            let flips = before.iter().zip(&versions).filter(|(before, now)| now < before).count();
            assert_eq!(flips, 0, "in {phase}");
        }
        if change != "published" {
            assert!(count(&versions, 2) < STEP, "the step may have ended");
            site.pinned(2, STEP);
        }
        seen.push(versions);
    }
    seen
}

#[test]
fn of_ten_thousand_users_none_goes_back() {
    roll_out(&Site::start(&PINS), "header:x-user", |user| format!("x-user: user-{user}"));
}

#[test]
fn of_ten_thousand_cookies_none_goes_back_whatever_stands_beside_them() {
    let seen = roll_out(&Site::start(&PINS), "cookie:sid", |user| {
        format!("cookie: a={}; sid={user}; b={user}", user % 7)
    });
    assert!(count(&seen[0], 2) > 0);
}

#[test]
fn of_ten_thousand_addresses_behind_a_proxy_none_goes_back() {
    // Pins come from the address of the proxy.
    let flags = ["--trust-forwarded", "127.0.0.1"];
    let site = Site::start(&[&PINS[..], &flags].concat());
    roll_out(&site, "client", |user| format!("x-forwarded-for: 10.1.{}.{}", user / 250, user % 250));
}

#[test]
fn a_client_has_one_version_on_all_connections_and_paths() {
    let site = Site::start(&[]);
    site.begin(saying("new"), "steps=50%25&hold=1h&key=header:x-user", 2);
    let first = site.versions_for(200);
    assert!(count(&first, 1) > 0 && count(&first, 2) > 0);
    for (user, version) in first.iter().enumerate() {
        let mut client = site.server.connect();
        client.send(format!("POST /other?{user} HTTP/1.0\r\nX-User: \t{user} \r\ncontent-length: 0\r\n\r\n"));
        let reply = client.reply_to("POST");
        assert_eq!(reply.field("x-handler-version").unwrap(), version.to_string());
    }
}

#[test]
fn without_the_header_or_the_cookie_the_address_counts() {
    let site = Site::start(&["--trust-forwarded", "127.0.0.1"]);
    for (number, key, empty) in [(2, "header:x-user", "x-user: "), (3, "cookie:sid", "cookie: other=1; sid=")]
    {
        site.begin(saying(&format!("new {number}")), &format!("steps=50%25&hold=1h&key={key}"), number);
        let mut client = site.server.connect();
        let address = |user: usize| format!("x-forwarded-for: 10.0.0.{user}");
        let versions = versions_for(&mut client, 250, address);
        assert!(count(&versions, 1) > 0 && count(&versions, number) > 0);
        let again = versions_for(&mut client, 250, |user| format!("{}\r\n{empty}", address(user)));
        assert_eq!(again, versions, "{key}");
    }
}

#[test]
fn the_address_is_that_of_the_connection_without_its_port() {
    let site = Site::start(&[]);
    site.begin(saying("new"), "steps=50%25&hold=1h&key=client", 2);
    let version = |last: u8| {
        let mut client = Client::connect_from([127, 0, 1, last], site.server.addresses[0]);
        // A client that no flag trusts does not choose its address.
        versions_for(&mut client, 5, |number| format!("x-forwarded-for: 10.0.0.{number}"))
    };
    let first: Vec<_> = (1..=40).map(version).collect();
    for versions in &first {
        assert!(versions.iter().all(|each| *each == versions[0]), "{versions:?}");
    }
    let firsts: Vec<_> = first.iter().map(|versions| versions[0]).collect();
    // All 40 in one half: one chance in 2^39.
    assert!(count(&firsts, 1) > 0 && count(&firsts, 2) > 0);
    assert_eq!((1..=40).map(version).collect::<Vec<_>>(), first);
}

#[test]
fn behind_the_proxy_protocol_the_address_is_that_of_the_header() {
    let site = Site::start(&["--listen", "127.0.0.1:0,proxy", "--trust-forwarded", "127.0.0.1"]);
    site.begin(saying("new"), "steps=50%25&hold=1h&key=client", 2);
    let version = |last: usize, port: u16| {
        let mut client = site.server.connect();
        client.send(format!("PROXY TCP4 192.0.2.{last} 10.0.0.1 {port} 80\r\n"));
        let versions = versions_for(&mut client, 3, |number| format!("x-forwarded-for: 10.0.0.{number}"));
        assert!(versions.iter().all(|each| *each == versions[0]), "{versions:?}");
        versions[0]
    };
    let first: Vec<_> = (1..=40).map(|last| version(last, 1000)).collect();
    // All 40 in one half: one chance in 2^39.
    assert!(count(&first, 1) > 0 && count(&first, 2) > 0);
    assert_eq!((1..=40).map(|last| version(last, 2000)).collect::<Vec<_>>(), first);
}

#[test]
fn each_rollout_draws_its_clients_anew() {
    let site = Site::start(&[]);
    let plan = "steps=50%25&hold=1h&key=header:x-user";
    let chosen = |number: u64| {
        site.begin(saying(&format!("new {number}")), plan, number);
        let versions = site.versions_for(1000);
        versions.into_iter().map(|version| version == number).collect::<Vec<_>>()
    };
    let (first, second) = (chosen(2), chosen(3));
    let same = first.iter().zip(&second).filter(|(one, other)| one == other).count();
    assert!((400..600).contains(&same), "{same}");
}
