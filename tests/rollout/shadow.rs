//! Shadow: the candidate gets copies of requests, and no client gets its answers.

use serde_json::json;

use super::{Site, changes};
use crate::harness::modules::{saying, trapping_at};
use crate::harness::wait_until;

/// Shadow of all requests that does not end by itself.
const ALL: &str = "steps=off&shadow=1h&percent=100%25";

/// Waits until this many requests ran again, or were left out, and returns the state.
fn after(site: &Site, requests: u64) -> serde_json::Value {
    let mut status = site.status();
    wait_until("the requests run again", || {
        status = site.status();
        status["report"]["requests"].as_u64().unwrap() + status["left_out"].as_u64().unwrap() >= requests
    });
    status
}

#[test]
fn no_client_gets_the_candidate_and_the_report_counts_the_differences() {
    let site = Site::start(&[]);
    let file = site.file("new.wat", saying("new"));
    let (code, said) = site.run(&["shadow", &file, "--percent", "100", "--for", "1h"]);
    assert!(code == 0 && said.starts_with("version 2 (sha256 "), "{said}");
    assert!(said.contains(") gets copies of requests: shadow for 1h\n"), "{said}");
    let mut client = site.server.connect();
    for number in 0..200 {
        let reply = client.ask("GET", &format!("/{number}"));
        assert_eq!((reply.text(), reply.field("x-handler-version")), ("old", Some("1")));
    }
    let status = after(&site, 200);
    let counts = &status["report"]["counts"];
    assert!(counts["different"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(counts["different"], status["report"]["requests"], "{status}");
    assert_eq!((&status["served"], &status["state"]), (&json!(0), &json!("shadow")));
    site.has_versions(&[(1, "current", ""), (2, "rollout", "0%")]);
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 0 && said.starts_with("version 2 gets copies of requests, "), "{said}");
    assert!(said.contains("the candidate answered 0 requests, of which 0 failed\n"), "{said}");
    assert!(said.contains("body differs at line 1: \"old\" -> \"new\""), "{said}");
    // It is not published by an order.
    let (code, said) = site.run(&["rollout", "promote"]);
    assert!(code == 1 && said.contains("the candidate of a shadow is not published"), "{said}");
}

#[test]
fn the_same_answers_are_no_difference() {
    let site = Site::start(&[]);
    site.begin(format!(";; {}", saying("old")).replace(";; ", ";; other bytes\n"), ALL, 2);
    site.serves_all(1);
    let status = after(&site, 300);
    assert_eq!(status["report"]["counts"]["same"], status["report"]["requests"], "{status}");
}

#[test]
fn a_share_of_the_requests_is_copied() {
    let site = Site::start(&[]);
    site.begin(saying("new"), "steps=off&shadow=1h&percent=10%25", 2);
    let requests = site.versions_for(2000).len() as u64;
    // 200 are expected; the deviation is 13.
    let status = after(&site, 130);
    let copied = status["report"]["requests"].as_u64().unwrap() + status["left_out"].as_u64().unwrap();
    assert!((130..=270).contains(&copied), "{copied} of {requests}");
}

#[test]
fn a_shadow_that_is_over_leaves_its_report_and_no_version() {
    let site = Site::start(&[]);
    let mut events = site.events();
    let file = site.file("new.wat", saying("new"));
    let (code, said) = site.run(&["shadow", &file, "--percent", "100", "--for", "300ms"]);
    assert_eq!(code, 0, "{said}");
    changes(&mut events, 2, "begun", "shadow");
    site.serves_all(1);
    changes(&mut events, 2, "over", "shadow");
    site.has_versions(&[(1, "current", "")]);
    let status = site.is_in("over", None);
    assert!(status["cause"].is_null() && status["report"]["requests"].is_u64(), "{status}");
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 0 && said.starts_with("the shadow of version 2 is over\n"), "{said}");
    // Its number is not used again.
    site.begin(saying("new"), ALL, 3);
}

#[test]
fn a_candidate_that_fails_is_rejected_in_the_shadow_and_no_client_sees_it() {
    for plan in [ALL, "steps=50%25&shadow=1h&hold=1h&percent=100%25"] {
        let site = Site::start(&[]);
        let mut events = site.events();
        site.begin(trapping_at('x', "new"), plan, 2);
        let mut client = site.server.connect();
        let mut number = 0;
        wait_until("the verdict", || {
            number += 1;
            assert_eq!(client.ask("GET", &format!("/x{number}")).text(), "old");
            site.status()["state"] == "rejected"
        });
        changes(&mut events, 2, "begun", "shadow");
        let ended = changes(&mut events, 2, "rejected", "shadow");
        let cause = ended["cause"].as_str().unwrap();
        assert!(cause.contains("requests fail that version 1 answers"), "{cause}");
        events.tells(json!({ "event": "rejected", "version": 2, "stage": "shadow", "by": "verdict" }));
        site.has_versions(&[(1, "current", ""), (2, "rejected", "")]);
        assert!(site.reason(2).starts_with("shadow: "), "{}", site.reason(2));
    }
}

#[test]
fn requests_that_the_journal_skips_are_not_copied() {
    let site = Site::start(&["--journal-skip", "/private*", "--journal-skip", "POST /login"]);
    site.begin(saying("new"), ALL, 2);
    let mut client = site.server.connect();
    for number in 0..20 {
        client.ask("GET", &format!("/private/{number}"));
        client.post("/login", b"secret");
    }
    // What comes later runs later.
    for number in 0..5 {
        client.ask("GET", &format!("/public/{number}"));
        after(&site, number + 1);
    }
    let status = site.status();
    assert_eq!((&status["report"]["requests"], &status["left_out"]), (&json!(5), &json!(0)), "{status}");
    assert!(!status.to_string().contains("private"), "{status}");
}

#[test]
fn a_shadow_is_aborted_like_a_rollout() {
    let site = Site::start(&[]);
    site.begin(saying("new"), ALL, 2);
    assert_eq!(site.order("pause").body["state"], "paused");
    assert_eq!(site.order("resume").body["state"], "shadow");
    assert_eq!(site.order("abort").status, 200);
    assert!(site.reason(2).starts_with("shadow: aborted by "), "{}", site.reason(2));
}
