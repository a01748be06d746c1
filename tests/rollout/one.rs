//! One rollout at a time: newer changes end it, and say so.

use std::fs;

use serde_json::json;

use super::{OPEN, PINS, Site, changes};
use crate::harness::modules::saying;
use crate::harness::wait_until;

const FIRST: &str = "step 1 of 2, 1%";

/// Starts a server on which version 2 has replaced version 1, and begins to roll out version 3.
fn rolling_out_three() -> Site {
    let site = Site::start(&PINS);
    site.place.serves(saying("two"), 2);
    site.begin(saying("three"), OPEN, 3);
    site
}

#[test]
fn a_second_rollout_takes_the_place_of_the_first() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("two"), OPEN, 2);
    changes(&mut events, 2, "begun", FIRST);
    site.begin(saying("three"), OPEN, 3);
    let cause = "a rollout of version 3 took its place";
    assert_eq!(changes(&mut events, 2, "rejected", FIRST)["cause"], cause);
    events.tells(json!({ "event": "rejected", "version": 2, "stage": "canary", "cause": cause }));
    changes(&mut events, 3, "begun", FIRST);
    site.has_versions(&[(1, "current", "99%"), (2, "rejected", ""), (3, "rollout", "1%")]);
    assert_eq!(site.reason(2), format!("canary: {cause}"));
    assert_eq!(site.version_for("x-handler-version: 3"), 3);
}

#[test]
fn a_candidate_that_is_rejected_before_its_rollout_ends_no_other() {
    let site = Site::start(&PINS);
    site.begin(saying("two"), OPEN, 2);
    assert_eq!(site.send("(module)", OPEN).status, 422);
    assert_eq!(site.send(saying("old"), OPEN).body["outcome"], "unchanged");
    site.has_versions(&[(1, "current", "99%"), (2, "rollout", "1%"), (3, "rejected", "")]);
    assert_eq!(site.is_in("canary", Some(1))["version"], 2);
}

#[test]
fn a_swap_at_once_ends_a_rollout_and_serves_all_clients() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("two"), OPEN, 2);
    changes(&mut events, 2, "begun", FIRST);
    let file = site.file("three.wat", saying("three"));
    let (code, said) = site.run(&["swap", "--now", &file]);
    assert!(code == 0 && said.starts_with("serving version 3 "), "{said}");
    site.serves_all(3);
    let cause = "version 3 was published";
    assert_eq!(changes(&mut events, 2, "rejected", FIRST)["cause"], cause);
    events.tells(json!({ "event": "rejected", "version": 2, "cause": cause }));
    events.tells(json!({ "event": "serving", "version": 3, "replaced": 1 }));
    site.has_versions(&[(1, "retired", ""), (2, "rejected", ""), (3, "current", "")]);
    assert_eq!(site.is_in("rejected", Some(1))["cause"], cause);
}

#[test]
fn a_swap_of_the_same_bytes_at_once_publishes_the_candidate() {
    let site = Site::start(&PINS);
    site.begin(saying("two"), OPEN, 2);
    let file = site.file("two.wat", saying("two"));
    let (code, said) = site.run(&["swap", "--now", &file]);
    assert!(code == 0 && said.starts_with("serving version 3 "), "{said}");
    site.serves_all(3);
}

#[test]
fn a_rollback_to_a_version_ends_a_rollout() {
    let site = rolling_out_three();
    let (code, said) = site.run(&["rollback", "1"]);
    assert!(code == 0 && said.starts_with("serving version 1 "), "{said}");
    site.serves_all(1);
    site.has_versions(&[(1, "current", ""), (2, "retired", ""), (3, "rejected", "")]);
    assert_eq!(site.reason(3), "canary: a rollback was ordered");
    site.is_in("rejected", Some(1));
}

#[test]
fn a_plain_rollback_ends_only_the_rollout() {
    let mut site = rolling_out_three();
    let mut events = site.events();
    let (code, said) = site.run(&["rollback"]);
    assert_eq!((code, &*said), (0, "ended the rollout of version 3; version 2 serves all clients\n"));
    site.serves_all(2);
    site.has_versions(&[(1, "retired", ""), (2, "current", ""), (3, "rejected", "")]);
    assert_eq!(changes(&mut events, 3, "rejected", FIRST)["cause"], "a rollback was ordered");
    site.server.log_line(&["the rollout has ended, its candidate is rejected", "a rollback was ordered"]);
    // The next one concerns the version before.
    let (code, said) = site.run(&["rollback"]);
    assert!(code == 0 && said.starts_with("serving version 1 "), "{said}");
}

#[test]
fn a_rollback_that_is_refused_changes_nothing() {
    let site = rolling_out_three();
    for line in [&["rollback", "9"][..], &["rollback", "3"], &["rollback", "--if-version", "1"]] {
        let (code, said) = site.run(line);
        assert!(code == 1 && said.starts_with("refused: "), "{line:?}: {said}");
    }
    assert_eq!(site.is_in("canary", Some(1))["version"], 3);
    site.has_versions(&[(1, "retired", ""), (2, "current", "99%"), (3, "rollout", "1%")]);
}

#[test]
fn a_rollout_that_was_ended_does_not_come_back_after_a_restart() {
    for end in [&["rollback", "2"][..], &["rollback"], &["rollback", "1"], &["rollout", "abort"]] {
        let Site { server, place } = rolling_out_three();
        let saved = || fs::read_to_string(place.state().join("state.json")).unwrap();
        assert!(saved().contains("\"rollout\""), "{end:?}: it is saved");
        place.tell(end);
        assert!(!saved().contains("\"rollout\""), "{end:?}: its end is saved");
        drop(server);
        let site = Site { server: place.start(&["--no-watch"]), place };
        wait_until("the versions are restored", || {
            site.versions().iter().filter(|(_, state, _)| state == "retired").count() == 1
        });
        assert_eq!(site.versions().len(), 2, "{end:?}: {:?}", site.versions());
    }
}
