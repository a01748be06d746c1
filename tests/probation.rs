//! Promise: a version that is worse than the one before it is undone by itself.

use std::fs;

use crate::harness::modules::{answering, saying, trapping_at};
use crate::harness::{Deployment, Server, wait_until};

/// More requests than the judge needs.
const PLENTY: usize = 10_000;

/// Sends requests with these targets until version 1 answers, and returns how many other
/// versions answered.
fn until_undone(server: &Server, target: impl Fn(usize) -> String) -> usize {
    let mut client = server.connect();
    let is_other = |number: &usize| {
        let reply = client.ask("GET", &target(*number));
        reply.field("x-handler-version") != Some("1")
    };
    (0..PLENTY).take_while(is_other).count()
}

#[test]
fn a_version_that_fails_what_the_one_before_answers_is_rolled_back_and_rejected() {
    let place = Deployment::of(saying("old"));
    let mut server = place.start(&[]);
    fs::write(place.file(), trapping_at('x', "new")).unwrap();
    server.log_line(&["serving version 2"]);
    // Good answers are no reason, and make the share of failures small.
    let mut client = server.connect();
    (0..300).for_each(|_| assert_eq!(client.ask("GET", "/").text(), "new"));
    let failed = until_undone(&server, |number| format!("/x{number}"));
    assert!((9..PLENTY).contains(&failed), "{failed}");
    let line = server.log_line(&["a version was worse than the one before it", "version=2", "serving=1"]);
    // The evidence decides, or the share if many requests failed before it did.
    let decides = ["requests fail that version 1 answers", "do so only since version 2"];
    assert!(decides.iter().any(|text| line.contains(text)) && line.contains("GET /x"), "{line}");
    wait_until("the rejection", || place.tell(&["versions"]).contains("rejected"));
    let versions = place.tell(&["versions"]);
    assert!(versions.contains("watch: "), "{versions}");
    assert!(place.tell(&["rollback", "2"]).contains("version 2 was rejected"));
    // The file still has the same bytes, and is not taken up again by itself.
    let bytes = fs::read(place.file()).unwrap();
    fs::write(place.file(), bytes).unwrap();
    server.says("old", 1);
    drop(server);
    let server = place.start(&["--no-watch"]);
    server.says("old", 1);
}

#[test]
fn one_client_and_one_request_are_enough_if_a_large_share_fails() {
    let place = Deployment::of(saying("old"));
    let mut server = place.start(&["--no-watch"]);
    place.serves(trapping_at('x', "new"), 2);
    let failed = until_undone(&server, |_| "/x".into());
    assert!((20..PLENTY).contains(&failed), "{failed}");
    let line = server.log_line(&["a version was worse"]);
    assert!(line.contains("requests failed, and 3 of 3 that were run again do so only since"), "{line}");
}

#[test]
fn an_answer_of_500_counts_like_a_fault() {
    let place = Deployment::of(saying("old"));
    let server = place.start(&["--no-watch", "--gate", "off"]);
    place.serves(answering(b"HTTP/1.1 500 Oh\n\n"), 2);
    let failed = until_undone(&server, |number| format!("/{number}"));
    assert!((9..PLENTY).contains(&failed), "{failed}");
}

#[test]
fn a_version_that_fails_as_before_stays() {
    let place = Deployment::of(trapping_at('x', "old"));
    let mut server = place.start(&["--no-watch", "--watch-after", "1s"]);
    place.serves(trapping_at('x', "new"), 2);
    let mut client = server.connect();
    for number in 0..200 {
        assert_eq!(client.ask("GET", &format!("/x{number}")).status, 500);
    }
    let line = server.log_line(&["the version stays", "version=2"]);
    assert!(line.contains("worse=0") && line.contains("failed="), "{line}");
    server.says("new", 2);
}

#[test]
fn nothing_is_undone_without_a_watch_or_after_a_rollback() {
    let place = Deployment::of(saying("old"));
    let server = place.start(&["--no-watch", "--watch-after", "0s"]);
    place.serves(trapping_at('x', "bad"), 2);
    fail_on_version_2(&server);
    drop(server);
    let server = place.start(&["--no-watch", "--gate", "off"]);
    server.says("bad", 2);
    place.serves(saying("good"), 3);
    // A rollback by an operator is not judged.
    assert!(place.tell(&["rollback"]).contains("serving version 2"));
    fail_on_version_2(&server);
}

fn fail_on_version_2(server: &Server) {
    let mut client = server.connect();
    for number in 0..50 {
        let reply = client.ask("GET", &format!("/x{number}"));
        assert_eq!((reply.status, reply.field("x-handler-version")), (500, Some("2")));
    }
}

#[test]
fn a_large_request_that_fails_keeps_no_others_of_its_client_from_the_judge() {
    let place = Deployment::of(saying("old"));
    let server = place.start(&["--no-watch"]);
    place.serves(trapping_at('x', "new"), 2);
    let mut client = server.connect();
    let body = "a".repeat(70_000);
    client.send(format!("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\n{body}"));
    assert!(client.reply_to("POST").status >= 500);
    assert!(until_undone(&server, |number| format!("/x{number}")) < PLENTY);
}
