//! Orders of an operator: pause, resume, promote and abort.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::{ENOUGH, OPEN, PINS, Site, changes, count};
use crate::harness::modules::{saying, trapping_at};
use crate::harness::wait_until;

const FIRST: &str = "step 1 of 2, 1%";

#[test]
fn a_paused_step_does_not_end_and_begins_anew_when_it_is_resumed() {
    let mut site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("new"), OPEN, 2);
    changes(&mut events, 2, "begun", FIRST);
    let (code, said) = site.run(&["rollout", "pause"]);
    let line = "the rollout of version 2 is paused: step 1 of 2, 1% of the clients; version 1 serves ";
    assert!(code == 0 && said.starts_with(line), "{said}");
    let paused = changes(&mut events, 2, "paused", FIRST);
    assert!(paused["by"].as_str().unwrap().starts_with("uid "), "{paused}");
    site.server.log_line(&["the rollout is paused: step 1 of 2, 1%", "by=\"uid "]);
    site.pinned(2, ENOUGH);
    // Several looks at the step.
    sleep(Duration::from_millis(300));
    let status = site.is_in("paused", Some(1));
    assert_eq!(status["served"], ENOUGH, "{status}");
    site.has_versions(&[(1, "current", "99%"), (2, "rollout", "1%")]);
    assert_eq!(site.order("pause").status, 200, "again, which changes nothing");
    let (code, said) = site.run(&["rollout", "resume"]);
    assert!(code == 0 && said.starts_with("rolling out version 2: step 1 of 2, 1%"), "{said}");
    changes(&mut events, 2, "resumed", FIRST);
    site.server.log_line(&["the rollout is resumed: step 1 of 2, 1%"]);
    // What the candidate answered before does not count.
    site.pinned(2, ENOUGH - 1);
    sleep(Duration::from_millis(300));
    site.is_in("canary", Some(1));
    site.pinned(2, 1);
    changes(&mut events, 2, "step", "step 2 of 2, 50%");
}

#[test]
fn a_promoted_candidate_serves_all_clients_at_once() {
    let mut site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("new"), OPEN, 2);
    changes(&mut events, 2, "begun", FIRST);
    let (code, said) = site.run(&["rollout", "promote"]);
    assert_eq!((code, &*said), (0, "the rollout of version 2 is done: it was published\n"));
    site.serves_all(2);
    changes(&mut events, 2, "published", FIRST);
    let serving = events.tells(json!({ "event": "serving", "version": 2, "replaced": 1, "how": "swap" }));
    assert!(serving["by"].as_str().unwrap().starts_with("uid "), "{serving}");
    site.server.log_line(&["serving version 2", "replaced=1", "by=\"uid "]);
    site.has_versions(&[(1, "retired", ""), (2, "current", "")]);
    assert!(site.place.tell(&["rollback"]).starts_with("serving version 1"));
}

#[test]
fn after_an_abort_all_clients_get_the_current_version_and_the_candidate_is_rejected() {
    let mut site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("new"), "steps=50%25&hold=1h&key=header:x-user", 2);
    changes(&mut events, 2, "begun", "step 1 of 1, 50%");
    assert!(count(&site.versions_for(300), 2) > 0);
    let (code, said) = site.run(&["rollout", "abort"]);
    assert_eq!((code, &*said), (0, "ended the rollout of version 2; version 1 serves all clients\n"));
    site.serves_all(1);
    let ended = changes(&mut events, 2, "rejected", "step 1 of 1, 50%");
    assert!(ended["cause"].as_str().unwrap().starts_with("aborted by uid "), "{ended}");
    let rejected =
        events.tells(json!({ "event": "rejected", "version": 2, "stage": "canary", "serving": 1 }));
    assert!(rejected["cause"].as_str().unwrap().starts_with("aborted by uid "), "{rejected}");
    assert!(site.reason(2).starts_with("canary: aborted by uid "), "{}", site.reason(2));
    site.has_versions(&[(1, "current", ""), (2, "rejected", "")]);
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 4 && said.starts_with("version 2 was rejected: aborted by uid "), "{said}");
    site.server.log_line(&[
        "the rollout has ended, its candidate is rejected: step 1 of 1, 50%",
        "version=2",
        "aborted by uid ",
    ]);
    // An operator may change the mind.
    site.begin(saying("new"), OPEN, 3);
}

#[test]
fn without_a_rollout_orders_are_refused() {
    let site = Site::start(&PINS);
    let refused = |order: &str, cause: &str| {
        let (code, said) = site.run(&["rollout", order]);
        assert!(code == 1 && said.contains(cause), "{order}: {said}");
    };
    for _ in 0..2 {
        for order in ["pause", "resume", "promote", "abort"] {
            refused(order, "no rollout is in progress");
            assert_eq!(site.order(order).status, 409, "{order}");
        }
        // The same after one that is over.
        if site.status()["state"].is_null() {
            refused("status", "there was no rollout since the server started");
            site.begin(saying("new"), OPEN, 2);
            refused("resume", "the rollout is not paused");
            site.is_in("canary", Some(1));
            assert_eq!(site.order("abort").status, 200);
        }
    }
}

#[test]
fn a_step_with_too_little_traffic_waits_and_then_stops_until_an_operator_acts() {
    let mut site = Site::start(&PINS);
    let mut events = site.events();
    let plan = OPEN.replace("wait=1h", "wait=50ms");
    site.begin(saying("new"), &plan, 2);
    changes(&mut events, 2, "begun", FIRST);
    let cause = "the candidate got 0 requests in this step, of at least 50 (--rollout-requests)";
    let stopped = changes(&mut events, 2, "stopped", FIRST);
    assert_eq!(stopped["cause"], cause);
    site.server.log_line(&["the rollout stopped in step 1 of 2, 1%; host rollout resume waits again", cause]);
    let status = site.is_in("stopped", Some(1));
    assert_eq!(status["cause"], cause);
    let (code, said) = site.run(&["rollout", "status"]);
    let line = "the rollout of version 2 has stopped: step 1 of 2, 1% of the clients: the candidate got ";
    assert!(code == 5 && said.starts_with(line) && said.contains(cause), "{said}");
    // It keeps its clients, but later requests do not move it.
    site.pinned(2, ENOUGH);
    site.has_versions(&[(1, "current", "99%"), (2, "rollout", "1%")]);
    // When this is answered, it may have stopped again.
    let (code, said) = site.run(&["rollout", "resume"]);
    assert_eq!(code, 0, "{said}");
    changes(&mut events, 2, "resumed", FIRST);
    changes(&mut events, 2, "stopped", FIRST);
    assert_eq!(site.order("promote").body["state"], "published");
    site.serves_all(2);
}

#[test]
fn a_resumed_rollout_that_gets_its_requests_goes_on() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    // Much longer than the requests take.
    site.begin(saying("new"), &OPEN.replace("wait=1h", "wait=3s"), 2);
    changes(&mut events, 2, "begun", FIRST);
    changes(&mut events, 2, "stopped", FIRST);
    assert_eq!(site.order("resume").status, 200);
    changes(&mut events, 2, "resumed", FIRST);
    site.pinned(2, ENOUGH);
    changes(&mut events, 2, "step", "step 2 of 2, 50%");
}

#[test]
fn a_published_candidate_is_watched_like_any_new_version() {
    let mut site = Site::start(&PINS);
    site.begin(trapping_at('x', "new"), OPEN, 2);
    assert_eq!(site.order("promote").status, 200);
    site.serves_all(2);
    let mut client = site.server.connect();
    let mut number = 0;
    wait_until("the verdict", || {
        number += 1;
        client.ask("GET", &format!("/x{number}")).status == 200
    });
    site.server.log_line(&["a version was worse than the one before it", "version=2", "serving=1"]);
    site.serves_all(1);
}

#[test]
fn a_rollout_stops_when_its_candidate_cannot_be_published() {
    let site = Site::start(&[&PINS[..], &["--require-durable"]].concat());
    let mut events = site.events();
    site.begin(saying("new"), "steps=50%25&hold=1ms&wait=1h&requests=50", 2);
    let (state, aside) = (site.place.state(), site.place.folder.file("aside"));
    fs::rename(&state, &aside).unwrap();
    fs::write(&state, "in the way").unwrap();
    site.pinned(2, ENOUGH);
    while events.next().unwrap()["change"] != "stopped" {}
    let cause = site.is_in("stopped", Some(1))["cause"].as_str().unwrap().to_owned();
    for part in ["the candidate was not published: save: ", "it would not survive a restart"] {
        assert!(cause.contains(part), "{cause}");
    }
    site.has_versions(&[(1, "current", "50%"), (2, "rollout", "50%")]);
    fs::remove_file(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    assert_eq!(site.order("promote").body["state"], "published");
    site.serves_all(2);
}

#[test]
fn a_pause_holds_however_quickly_the_steps_follow() {
    let site = Site::start(&[]);
    let steps: Vec<_> = (1..=20).map(|share| format!("{share}%25")).collect();
    let plan = format!("steps={}&hold=1ms&requests=0", steps.join(","));
    let (mut number, mut paused) = (1, 0);
    for round in 0..30 {
        number += 1;
        site.begin(saying(&format!("round {round}")), &plan, number);
        sleep(Duration::from_millis(round % 5));
        let reply = site.order("pause");
        if reply.status == 409 {
            // It was published before.
            continue;
        }
        paused += 1;
        sleep(Duration::from_millis(5));
        let status = site.status();
        assert_eq!((&status["state"], &status["step"]), (&json!("paused"), &reply.body["step"]), "{status}");
    }
    assert!(paused > 0);
}
