//! What ends a rollout besides orders, and what is told of it.

use std::fs;

use super::{OPEN, PINS, Site, changes};
use crate::harness::modules::{saying, trapping_at};
use crate::harness::{Configured, Deployment, Folder, rename_over, wait_until};

#[test]
fn a_file_with_the_bytes_of_the_current_version_ends_a_rollout() {
    let place = Deployment::of(saying("old"));
    let server = place.start(&["--rollout", "50%", "--rollout-hold", "1h", "--rollout-key", "header:x-user"]);
    let mut site = Site { server, place };
    rename_over(site.place.file(), saying("two"));
    site.server.log_line(&["rolling out version 2: ", "by=file"]);
    rename_over(site.place.file(), saying("old"));
    site.server.log_line(&[
        "the rollout has ended, its candidate is rejected",
        "version 1 was ordered",
        "by=file",
    ]);
    site.serves_all(1);
    site.has_versions(&[(1, "current", ""), (2, "rejected", "")]);
    assert_eq!(site.reason(2), "canary: version 1 was ordered");
}

#[test]
fn a_swap_to_the_bytes_of_the_current_version_ends_a_rollout() {
    let site = Site::start(&PINS);
    site.begin(saying("new"), OPEN, 2);
    assert!(site.place.swap(saying("old")).starts_with("unchanged: version 1"));
    assert_eq!(site.reason(2), "canary: version 1 was ordered");
    site.serves_all(1);
}

#[test]
fn a_site_that_is_removed_ends_its_rollout_and_disturbs_no_other() {
    let folder = Folder::new();
    for (name, word) in [("one.wat", "one"), ("two.wat", "two"), ("three.wat", "three")] {
        fs::write(folder.file(name), saying(word)).unwrap();
    }
    let site = |name: &str| format!("[[site]]\nname = '{name}'\npath = '/{name}'\nmodule = '{name}.wat'\n");
    let both = site("one") + &site("two");
    let place = Configured::start(folder, &both);
    let begin =
        ["rollout", "three.wat", "--site", "two", "--steps", "10%,50%", "--hold", "50ms", "--requests", "0"];
    assert!(place.run(&begin).1.starts_with("rolling out version 2 "));
    let (code, said) = place.reload(&site("one"));
    assert_eq!(code, 0, "{said}");
    let (code, said) = place.run(&["swap", "--site", "one", "three.wat"]);
    assert!(code == 0 && said.starts_with("serving version 2 "), "{said}");
    // It comes back as it was at first.
    assert_eq!(place.reload(&both).0, 0);
    let (code, said) = place.run(&["rollout", "status", "--site", "two"]);
    assert!(code == 1 && said.contains("there was no rollout"), "{said}");
}

#[test]
fn the_status_tells_that_a_published_candidate_was_undone() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(trapping_at('x', "new"), OPEN, 2);
    assert_eq!(site.order("promote").body["state"], "published");
    changes(&mut events, 2, "begun", "step 1 of 2, 1%");
    changes(&mut events, 2, "published", "step 1 of 2, 1%");
    let (mut client, mut number) = (site.server.connect(), 0);
    wait_until("the watch undoes it", || {
        number += 1;
        client.ask("GET", &format!("/x{number}"));
        site.status()["state"] == "rejected"
    });
    let (code, said) = site.run(&["rollout", "status"]);
    assert!(code == 4 && said.starts_with("version 2 was rejected: after it was published: "), "{said}");
    site.serves_all(1);
}

#[test]
fn a_script_can_wait_for_the_end_of_a_rollout() {
    let site = Site::start(&PINS);
    let module = site.file("new.wat", saying("new"));
    let plan = ["--steps", "10%", "--hold", "300ms", "--requests", "0"];
    assert_eq!(site.run(&[&["rollout", &module], &plan[..]].concat()).0, 0);
    let (code, said) = site.run(&["rollout", "status", "--wait"]);
    assert!(code == 0 && said.starts_with("the rollout of version 2 is done"), "{said}");
    let plan = ["--steps", "10%", "--hold", "1ms", "--wait", "1ms"];
    let other = site.file("other.wat", saying("other"));
    assert_eq!(site.run(&[&["rollout", &other], &plan[..]].concat()).0, 0);
    let (code, said) = site.run(&["rollout", "status", "--wait"]);
    assert!(code == 5 && said.contains("has stopped"), "{said}");
    let status = site.run(&["status"]).1;
    assert!(status.contains("\nhas stopped the rollout of version 3, "), "{status}");
}
