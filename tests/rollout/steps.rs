//! Steps: who gets the candidate, and what is told of it.

use serde_json::json;

use super::{ENOUGH, OPEN, PINS, Site, assert_share, changes, count};
use crate::harness::modules::saying;

#[test]
fn each_step_has_its_share_and_the_last_one_ends_in_publishing() {
    let mut site = Site::start(&PINS);
    let mut events = site.events();
    let plan = "steps=10%25,50%25&hold=1ms&wait=1h&requests=2000&key=header:x-user";
    site.begin(saying("new"), plan, 2);
    for (step, share, rest, fraction) in [(1, "10%", "90%", 0.1), (2, "50%", "50%", 0.5)] {
        let phase = format!("step {step} of 2, {share}");
        changes(&mut events, 2, if step == 1 { "begun" } else { "step" }, &phase);
        let before = site.status()["served"].as_u64().unwrap();
        let versions = site.versions_for(2000);
        assert_share(&versions, 2, fraction);
        let status = site.is_in("canary", Some(step));
        assert_eq!((&status["share"], &status["serving"]), (&json!(share), &json!(1)), "{status}");
        assert_eq!(status["served"].as_u64().unwrap() - before, count(&versions, 2) as u64);
        site.has_versions(&[(1, "current", rest), (2, "rollout", share)]);
        let listed = site.place.tell(&["versions"]);
        assert!(listed.contains(&format!("(sent), {share} of the clients\n")), "{listed}");
        assert!(listed.contains(&format!("handler.wasm, {rest} of the clients\n")), "{listed}");
        let (code, said) = site.run(&["rollout", "status"]);
        let line = format!("rolling out version 2: step {step} of 2, {share} of the clients, ");
        assert!(code == 0 && said.starts_with(&line), "{said}");
        assert!(said.contains("; version 1 serves the other clients\n"), "{said}");
        assert!(said.contains("plan: 10%, 50%, each for 1ms\n"), "{said}");
        site.pinned(2, 2000);
    }
    changes(&mut events, 2, "published", "step 2 of 2, 50%");
    let serving = json!({ "event": "serving", "version": 2, "replaced": 1, "how": "swap", "by": "rollout" });
    events.tells(serving);
    site.serves_all(2);
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 0 && said.starts_with("the rollout of version 2 is done: it was published\n"), "{said}");
    site.has_versions(&[(1, "retired", ""), (2, "current", "")]);
    for line in [
        &["the rollout has begun: step 1 of 2, 10%", "version=2", "serving=1"][..],
        &["rolling out version 2: ", "serving=1"],
        &["the rollout goes on: step 2 of 2, 50%", "by=rollout"],
        &["the rollout is done, its candidate is published: step 2 of 2, 50%", "by=rollout"],
        &["serving version 2: ", "replaced=1", "by=rollout"],
    ] {
        site.server.log_line(line);
    }
    // What was published can be undone like any swap.
    assert!(site.place.tell(&["rollback"]).starts_with("serving version 1"));
}

#[test]
fn the_command_says_what_it_begins() {
    let site = Site::start(&PINS);
    let file = site.file("new.wat", saying("new"));
    let plan = ["--steps", "1%,100%", "--hold", "30s", "--shadow", "1min"];
    let (code, said) = site.run(&[&["rollout", &file], &plan[..]].concat());
    assert!(code == 0 && said.starts_with("rolling out version 2 (sha256 "), "{said}");
    assert!(said.contains("): shadow for 1m, then 1%, 100%, each for 30s\n"), "{said}");
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 0 && said.starts_with("version 2 gets copies of requests, 0 s of 1m; "), "{said}");
}

#[test]
fn a_shadow_comes_before_the_steps() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("new"), &format!("{OPEN}&shadow=50ms"), 2);
    changes(&mut events, 2, "begun", "shadow");
    changes(&mut events, 2, "step", "step 1 of 2, 1%");
    site.pinned(2, ENOUGH);
    changes(&mut events, 2, "step", "step 2 of 2, 50%");
}

#[test]
fn a_step_ends_by_its_time_and_not_before() {
    let site = Site::start(&[]);
    let mut events = site.events();
    site.begin(saying("long"), "steps=50%25&hold=1h&requests=0", 2);
    changes(&mut events, 2, "begun", "step 1 of 1, 50%");
    site.is_in("canary", Some(1));
    site.begin(saying("short"), "steps=50%25,100%25&hold=20ms&requests=0", 3);
    for (version, change, phase) in [(2, "rejected", "step 1 of 1, 50%"), (3, "begun", "step 1 of 2, 50%")] {
        if change == "begun" {
            events.tells(json!({ "event": "rejected", "version": 2, "stage": "canary" }));
        }
        changes(&mut events, version, change, phase);
    }
    changes(&mut events, 3, "step", "step 2 of 2, 100%");
    changes(&mut events, 3, "published", "step 2 of 2, 100%");
    events.tells(json!({ "event": "serving", "version": 3 }));
    site.serves_all(3);
}

#[test]
fn what_cannot_be_a_plan_or_serve_begins_nothing() {
    let site = Site::start(&[]);
    let file = site.file("new.wat", saying("new"));
    let (code, said) = site.run(&["rollout", &file]);
    assert!(code == 1 && said.contains("expected shares such as 1%,10%,50%"), "{said}");
    let bad = site.file("bad.wat", "(module)");
    let (code, said) = site.run(&["rollout", &bad, "--steps", "10%"]);
    assert!(code == 1 && said.starts_with("rejected version 2 in stage check: "), "{said}");
    let (code, said) = site.run(&["rollout", &file, "--steps", "10%", "--if-version", "7"]);
    assert!(code == 1 && said.contains("refused: version 1 is current; expected version 7"), "{said}");
    let old = site.file("old.wat", saying("old"));
    let (code, said) = site.run(&["rollout", &old, "--steps", "10%"]);
    assert_eq!((code, &*said), (0, "unchanged: version 1 serves these bytes already\n"));
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 1 && said.contains("there was no rollout since the server started"), "{said}");
}
