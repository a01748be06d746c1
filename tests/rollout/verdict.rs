//! Verdicts: a candidate that fails or is slow is rejected, and no other one.

use std::time::Instant;

use serde_json::json;

use super::{Site, changes, count};
use crate::harness::modules::{saying, trapping_at};
use crate::harness::{Deployment, Server, rename_over, wait_until};
use crate::proof::handlers::Does::{Counts, Says};
use crate::proof::handlers::Handler;

const FINE: &str = "HTTP/1.1 200 OK\n\nfine";

/// Plan whose only step is half of the users.
const HALF: &str = "steps=50%25&hold=1h&key=header:x-user";

/// More requests than the judge needs.
const PLENTY: usize = 10_000;

/// Lets users ask for what the candidate fails, until a verdict. Returns how many got a failure.
#[track_caller]
fn until_rejected(server: &Server, mut is_rejected: impl FnMut() -> bool) -> usize {
    let (mut client, mut failed) = (server.connect(), 0);
    let mut eighth = Instant::now();
    for user in 0..PLENTY {
        client.send(format!("GET /x{user} HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n"));
        failed += usize::from(client.reply_to("GET").status == 500);
        if failed < 9 {
            eighth = Instant::now();
        }
        if is_rejected() {
            println!("{failed} failures; {:?} after the eighth", eighth.elapsed());
            return failed;
        }
    }
    panic!("no verdict after {failed} failures");
}

#[test]
fn a_candidate_that_fails_what_the_current_version_answers_is_rejected() {
    let mut site = Site::start(&[]);
    let mut events = site.events();
    site.begin(trapping_at('x', "new"), HALF, 2);
    changes(&mut events, 2, "begun", "step 1 of 1, 50%");
    // Good answers are no reason, and make the share of failures small.
    assert!(count(&site.versions_for(600), 2) > 200);
    let failed = until_rejected(&site.server, || site.status()["state"] == "rejected");
    // Nine are evidence enough, some of them from the sample of requests that version 1 answered; a
    // busy machine takes time to run them again.
    assert!((1..1000).contains(&failed), "{failed}");
    site.serves_all(1);
    let status = site.is_in("rejected", Some(1));
    let cause = status["cause"].as_str().unwrap();
    let decides = ["requests fail that version 1 answers", "do so only since version 2"];
    assert!(decides.iter().any(|text| cause.contains(text)) && cause.contains("GET /x"), "{cause}");
    assert!(site.reason(2).starts_with(&format!("canary: {cause}")), "{}", site.reason(2));
    let mut client = site.server.connect();
    (0..50).for_each(|user| assert_eq!(client.ask("GET", &format!("/x{user}")).text(), "old"));
    let event = loop {
        let event = events.next().unwrap();
        if event["event"] != "fault" {
            break event;
        }
    };
    assert_eq!((&event["change"], &event["by"]), (&json!("rejected"), &json!("verdict")), "{event}");
    events.tells(
        json!({ "event": "rejected", "version": 2, "stage": "canary", "serving": 1, "by": "verdict" }),
    );
    site.server.log_line(&[
        "the rollout has ended, its candidate is rejected: step 1 of 1, 50%",
        "version=2",
        "by=verdict",
    ]);
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 4 && said.starts_with("version 2 was rejected: "), "{said}");
}

#[test]
fn a_candidate_that_fails_as_before_stays() {
    let place = Deployment::of(trapping_at('x', "old"));
    let site = Site { server: place.start(&["--no-watch"]), place };
    site.begin(trapping_at('x', "new"), &format!("{HALF}&percent=100%25"), 2);
    let mut client = site.server.connect();
    for user in 0..300 {
        client.send(format!("GET /x{user} HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n"));
        assert_eq!(client.reply_to("GET").status, 500);
    }
    let status = site.is_in("canary", Some(1));
    assert!(status["failed"].as_u64().unwrap() > 50, "{status}");
    assert_eq!((&status["evidence"]["worse"], &status["evidence"]["better"]), (&json!(0), &json!(0)));
    let (_, said) = site.run(&["rollout", "status"]);
    assert!(said.contains("requests that only the candidate fails: 0, and the other way round: 0"), "{said}");
}

#[test]
fn a_file_that_was_rejected_is_rolled_out_again_only_when_it_changes_or_at_an_order() {
    let place = Deployment::of(saying("old"));
    // The gate would know the requests that failed.
    let flags =
        ["--rollout", "50%", "--rollout-hold", "1h", "--rollout-key", "header:x-user", "--gate", "off"];
    let mut server = place.start(&flags);
    let rejected = |server: &mut Server, number: u64, by: &str| {
        server.log_line(&[&format!("rolling out version {number}: "), &format!("by={by}")]);
        let verdict = [&format!("version={number} ")[..], "the rollout has ended", "by=verdict"];
        until_rejected(server, || {
            place
                .tell(&["versions"])
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("{number}  rejected")))
        });
        server.log_line(&verdict);
    };
    let bad = trapping_at('x', "new");
    rename_over(place.file(), &bad);
    rejected(&mut server, 2, "file");
    // The same bytes get no number.
    rename_over(place.file(), &bad);
    rename_over(place.file(), trapping_at('x', "newer"));
    rejected(&mut server, 3, "file");
    server.signal("HUP");
    rejected(&mut server, 4, "SIGHUP");
    rename_over(place.file(), saying("good"));
    server.log_line(&["rolling out version 5: ", "by=file"]);
}

/// Sends requests that are slow with the candidate, until a condition holds.
fn ask_slowly(site: &Site, mut is_enough: impl FnMut() -> bool) {
    let mut client = site.server.connect();
    for round in 0..PLENTY {
        for number in 0..10 {
            assert_eq!(client.ask("GET", &format!("/slow/{round}-{number}")).text(), "fine");
        }
        if is_enough() {
            return;
        }
    }
    panic!("no verdict: {}", site.status());
}

#[test]
fn a_candidate_that_is_far_slower_on_a_path_is_rejected_unless_times_are_not_judged() {
    let base = Handler::new(Says(FINE));
    let place = Deployment::of(base.text());
    let mut site = Site { server: place.start(&["--no-watch", "--log-level", "debug"]), place };
    let plan = "steps=1%25&hold=1h&percent=100%25";
    let slow = base.but("GET /slow", Counts(1, FINE));
    for (number, slower) in [(2, "off"), (3, "2x")] {
        // Code of other bytes is optimised anew.
        site.begin(slow.again(slower).text(), &format!("{plan}&slower={slower}"), number);
        // New code is not compared before it is optimised.
        for version in [1, number] {
            site.server.log_line(&[": optimised ", &format!("version={version} ")]);
        }
        if slower == "off" {
            ask_slowly(&site, || site.status()["report"]["counts"]["same"].as_u64().unwrap() > 100);
            let status = site.is_in("canary", Some(1));
            assert_eq!(status["evidence"]["times"], json!([]), "{status}");
        } else {
            ask_slowly(&site, || site.status()["state"] == "rejected");
        }
    }
    let cause = site.reason(3);
    let expected = "requests in GET /slow/* 200 take more than 2 times as long as with version 1, and ";
    assert!(cause.starts_with("canary: ") && cause.contains(expected), "{cause}");
    site.serves_all(1);
}

#[test]
fn a_candidate_that_differs_and_does_not_fail_stays() {
    let site = Site::start(&[]);
    site.begin(saying("new"), &format!("{HALF}&percent=100%25"), 2);
    site.versions_for(1000);
    wait_until("differences are found", || {
        site.status()["report"]["counts"]["different"].as_u64().unwrap() > 20
    });
    site.is_in("canary", Some(1));
}
