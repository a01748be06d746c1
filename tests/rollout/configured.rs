//! A server whose new versions follow a plan: `--rollout`.

use std::fs;

use super::Site;
use crate::harness::modules::saying;
use crate::harness::{Configured, Deployment, Folder, rename_over};

const PLAN: [&str; 6] = ["--rollout", "50%", "--rollout-hold", "1h", "--rollout-key", "header:x-user"];

/// Starts a server that follows a plan.
fn start(flags: &[&str]) -> Site {
    let place = Deployment::of(saying("old"));
    let server = place.start(&[&PLAN, flags].concat());
    Site { server, place }
}

#[test]
fn a_file_that_changes_begins_a_rollout_and_the_same_bytes_begin_no_other() {
    let mut site = start(&[]);
    rename_over(site.place.file(), saying("two"));
    site.server.log_line(&["rolling out version 2: ", "by=file"]);
    site.has_versions(&[(1, "current", "50%"), (2, "rollout", "50%")]);
    // The same bytes get no number.
    rename_over(site.place.file(), saying("two"));
    rename_over(site.place.file(), saying("three"));
    site.server.log_line(&["rolling out version 3: ", "by=file"]);
    assert_eq!(site.reason(2), "canary: a rollout of version 3 took its place");
    site.has_versions(&[(1, "current", "50%"), (2, "rejected", ""), (3, "rollout", "50%")]);
}

#[test]
fn a_swap_begins_a_rollout_and_the_same_bytes_begin_no_other() {
    let site = start(&["--no-watch"]);
    for word in ["two", "two"] {
        let file = site.file("two.wat", saying(word));
        let (code, said) = site.run(&["swap", &file]);
        assert!(code == 0 && said.starts_with("rolling out version 2 (sha256 "), "{said}");
        assert!(said.contains("): 50%, for 1h\nversion 1 serves the other clients;"), "{said}");
        site.has_versions(&[(1, "current", "50%"), (2, "rollout", "50%")]);
    }
    let said = site.place.swap(saying("three"));
    assert!(said.starts_with("rolling out version 3 "), "{said}");
}

#[test]
fn a_reload_with_another_file_begins_a_rollout_and_one_with_the_same_begins_no_other() {
    let mut site = start(&["--no-watch"]);
    // Only then the server has read the file that it was started with.
    assert!(site.place.tell(&["reload"]).contains("unchanged: version 1"));
    fs::write(site.place.file(), saying("two")).unwrap();
    for _ in 0..2 {
        let (code, said) = site.run(&["reload"]);
        assert!(code == 0 && said.contains("rolling out version 2 (sha256 "), "{said}");
        site.has_versions(&[(1, "current", "50%"), (2, "rollout", "50%")]);
    }
    site.server.log_line(&["rolling out version 2: "]);
    site.server.signal("HUP");
    site.server.log_line(&["configuration reloaded", "by=SIGHUP"]);
    site.has_versions(&[(1, "current", "50%"), (2, "rollout", "50%")]);
}

#[test]
fn a_swap_at_once_follows_no_plan() {
    let site = start(&["--no-watch"]);
    let file = site.file("two.wat", saying("two"));
    let (code, said) = site.run(&["swap", "--now", &file]);
    assert!(code == 0 && said.starts_with("serving version 2 "), "{said}");
    site.serves_all(2);
    assert_eq!(site.status()["error"], "there was no rollout since the server started");
}

#[test]
fn a_command_changes_parts_of_the_plan() {
    let site = start(&["--no-watch", "--rollout-percent", "3%", "--slower", "4x", "--rollout-requests", "7"]);
    let file = site.file("two.wat", saying("two"));
    let (code, said) = site.run(&["rollout", &file, "--hold", "2h", "--slower", "off"]);
    assert!(code == 0 && said.contains("): 50%, for 2h\n"), "{said}");
    let plan = &site.is_in("canary", Some(1))["plan"];
    let expected = serde_json::json!({
        "shadow": "0s", "percent": "3%", "steps": "50%", "hold": "2h", "key": "header:x-user",
        "slower": "off", "requests": 7, "wait": "10m",
    });
    assert_eq!(*plan, expected);
}

#[test]
fn a_reload_changes_the_plan_of_later_rollouts_and_not_of_the_one_in_progress() {
    let folder = Folder::new();
    for word in ["old", "two", "three"] {
        fs::write(folder.file(&format!("{word}.wat")), saying(word)).unwrap();
    }
    let lines = "module = 'old.wat'\nno-watch = true\nrollout-hold = '1h'\n";
    let place = Configured::start(folder, lines);
    let run = |line: &[&str]| place.run(line).1;
    let (code, said) = place.reload(&format!("{lines}rollout = '5%'\n"));
    assert!(code == 0 && said.contains("settings changed: rollout\n"), "{said}");
    assert!(run(&["swap", "two.wat"]).starts_with("rolling out version 2 "));
    let (code, said) = place.reload(&format!("{lines}rollout = '7%,9%'\n"));
    assert!(code == 0 && said.contains("settings changed: rollout\n"), "{said}");
    assert!(run(&["rollout", "status"]).starts_with("rolling out version 2: step 1 of 1, 5% of the clients"));
    assert!(run(&["swap", "three.wat"]).contains("): 7%, 9%, each for 1h\n"));
    let (code, said) = place.reload(lines);
    assert!(code == 0 && said.contains("settings changed: rollout\n"), "{said}");
    assert!(run(&["rollout", "status"]).starts_with("rolling out version 3: step 1 of 2, 7% of the clients"));
    assert!(run(&["swap", "two.wat"]).starts_with("serving version 4 "));
}

#[test]
fn the_first_version_is_not_rolled_out() {
    let site = start(&[]);
    site.has_versions(&[(1, "current", "")]);
    site.serves_all(1);
}

#[test]
fn sites_roll_out_apart() {
    let folder = Folder::new();
    for word in ["old", "two", "three"] {
        fs::write(folder.file(&format!("{word}.wat")), saying(word)).unwrap();
    }
    let site = |name: &str, more: &str| {
        format!("[[site]]\nname = '{name}'\npath = '/{name}'\nmodule = 'old.wat'\n{more}")
    };
    let lines = format!(
        "no-watch = true\n{}{}",
        site("one", "rollout = '100%'\nrollout-hold = '1h'\n"),
        site("two", "")
    );
    let place = Configured::start(folder, &lines);
    let version =
        |path: &str| place.server.connect().ask("GET", path).field("x-handler-version").unwrap().to_owned();
    let run = |line: &[&str]| place.run(line).1;
    assert!(run(&["swap", "--site", "one", "two.wat"]).starts_with("rolling out version 2 "));
    assert!(run(&["swap", "--site", "two", "two.wat"]).starts_with("serving version 2 "));
    assert!(
        run(&["rollout", "three.wat", "--site", "two", "--steps", "1%", "--shadow", "1h"])
            .starts_with("rolling out version 3 ")
    );
    assert_eq!([version("/one"), version("/two")], ["2", "2"]);
    assert!(run(&["rollout", "status", "--site", "two"]).starts_with("version 3 gets copies of requests"));
    assert!(run(&["rollout", "abort", "--site", "one"]).starts_with("ended the rollout of version 2"));
    assert_eq!([version("/one"), version("/two")], ["1", "2"]);
    assert!(run(&["rollout", "promote", "--site", "two"]).contains("version 3 is done"));
    assert_eq!([version("/one"), version("/two")], ["1", "3"]);
}
