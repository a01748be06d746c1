//! The gate stands before every way to swap, and judges each site by its own requests. Accepted
//! differences pass, and no others.

use std::process::Command;

use serde_json::Value;

use super::handlers::Does::{Says, Traps};
use super::handlers::Handler;
use super::{FINE, PATIENT, Place, assert_counts};
use crate::harness::{output_of, rename_over};

const OTHER: &str = "HTTP/1.1 200 OK\n\nother";

fn fine() -> Handler {
    Handler::new(Says(FINE))
}

/// A handler that fails where the first one does not.
fn bad() -> Handler {
    fine().but("GET /about", Traps)
}

#[test]
fn no_way_leads_past_the_gate() {
    let lines = |file: &str| format!("{PATIENT}module = '{file}'\n");
    let mut place = Place::start(&fine(), &lines("base.wat"));
    place.ask(&["/", "/about"]);
    let cause = "1 of 2 recent requests fail that the current version answers; the first is GET /about: status 200 -> 500 (trap";
    // A file that is replaced, and SIGHUP, which tries it again.
    let base = place.0.folder.file("base.wat");
    rename_over(&base, bad().text());
    place.0.server.log_line(&["rejected version 2", "stage=replay", "by=file", cause]);
    place.0.server.signal("HUP");
    place.0.server.log_line(&["rejected version 3", "stage=replay", "by=SIGHUP", cause]);
    rename_over(&base, fine().text());
    place.0.server.log_line(&["the file is unchanged", "serving=1"]);
    // A command.
    let file = place.write("bad.wat", &bad());
    let (code, said) = place.0.run(&["swap", &file]);
    let rejected = format!("rejected version 4 in stage replay: {cause}");
    assert!(code == 1 && said.starts_with(&rejected), "{said}");
    let remedy = "\nremedy: host diff FILE (POST /v1/diff) shows the failures; a swap or a rollout with --accept-all (?accept-all=true) takes it all the same\n";
    assert!(said.contains(remedy), "{said}");
    // The API.
    let mut curl = Command::new("curl");
    curl.args(["-s", "-w", "\n%{http_code}", "-H", "x-host-admin: 1", "--unix-socket"]);
    curl.arg(place.0.folder.file("control")).arg("--data-binary").arg(format!("@{file}"));
    let (_, said) = output_of(curl.arg("http://host/v1/versions"));
    let (reply, status) = said.rsplit_once('\n').unwrap();
    let reply: Value = serde_json::from_str(reply).unwrap();
    assert_eq!((status, &reply["version"], &reply["stage"]), ("422", &5.into(), &"replay".into()));
    assert!(reply["cause"].as_str().unwrap().starts_with(cause), "{reply}");
    // Another file in the configuration.
    let (code, said) = place.0.reload(&lines("bad.wat"));
    let rejected = format!("version 6 was rejected in stage replay: {cause}");
    assert!(code == 1 && said.contains(&rejected), "{said}");
    place.0.server.log_line(&["rejected version 6", "stage=replay", cause]);
    place.0.server.says("fine", 1);
    assert_eq!(place.ask(&["/about"]), 200);
}

#[test]
fn a_version_that_passes_says_what_came_of_the_requests() {
    let mut place = Place::start(&fine(), &format!("{PATIENT}module = 'base.wat'\n"));
    place.ask(&["/", "/about"]);
    let file = place.write("other.wat", &fine().but("GET /about", Says(OTHER)));
    let (code, said) = place.0.run(&["swap", &file]);
    assert!(code == 0 && said.ends_with("\nrecent requests: 1 same, 1 different\n"), "{said}");
    place.0.server.log_line(&["serving version 2", "replayed=\"1 same, 1 different\"", "replay "]);
    let listed = place.0.run(&["versions"]).1;
    assert!(listed.ends_with("other.wat (sent), recent requests: 1 same, 1 different\n"), "{listed}");
    place.write("bad.wat", &fine().but("GET /about", Traps));
    place.0.run(&["swap", &place.0.folder.file("bad.wat").to_string_lossy()]);
    let versions: Value = serde_json::from_str(&place.0.run(&["versions", "--json"]).1).unwrap();
    assert!(versions[0].get("replayed").is_none(), "{versions}");
    assert_counts(&versions[1]["replayed"], &[("same", 1), ("different", 1)]);
    assert_counts(&versions[2]["replayed"], &[("same", 1), ("newly_faulting", 1)]);
}

#[test]
fn without_requests_every_candidate_passes() {
    let place = Place::start(&fine(), &format!("{PATIENT}module = 'base.wat'\ngate = 'same'\n"));
    let replayed = place.passes(&bad(), &[]);
    assert!(replayed.is_null(), "{replayed}");
}

#[test]
fn undoing_is_never_judged() {
    let place = Place::start(&fine(), &format!("{PATIENT}module = 'base.wat'\ngate = 'same'\n"));
    place.ask(&["/", "/about"]);
    place.passes(&bad(), &["--accept-all"]);
    assert_eq!(place.ask(&["/about"]), 500);
    // Each of these versions answers in another way than the one before it.
    for number in ["1", "2", "1"] {
        let (code, said) = place.0.run(&["rollback", number]);
        assert!(code == 0 && said.starts_with(&format!("serving version {number} ")), "{said}");
    }
    assert_eq!(place.ask(&["/about"]), 200);
}

#[test]
fn a_site_is_judged_by_its_own_requests_only() {
    let lines = |one: &str, two: &str| {
        format!(
            "{PATIENT}[[site]]\nname = 'one'\npath = '/one'\nmodule = '{one}'\n\
             [[site]]\nname = 'two'\npath = '/two'\nmodule = '{two}'\nstrip-path = true\n"
        )
    };
    let mut place = Place::start(&fine(), &lines("base.wat", "base.wat"));
    place.ask(&["/one/about", "/two/about"]);
    // The site `two` gets its targets without its path.
    let bad_for_two = fine().but("GET /about", Traps);
    let bad_for_one = fine().but("GET /one/about", Traps);
    place.write("bad-for-one.wat", &bad_for_one);
    place.write("bad-for-two.wat", &bad_for_two);
    // A reload changes all sites or none.
    let (code, said) = place.0.reload(&lines("bad-for-two.wat", "bad-for-two.wat"));
    let cause = "site two: version 2 was rejected in stage replay: 1 of 1 recent requests fail";
    assert!(code == 1 && said.contains(cause) && said.contains("GET /two/about: status 200"), "{said}");
    place.0.server.log_line(&["rejected version 2", "site=\"two\"", "stage=replay"]);
    assert_eq!(place.ask(&["/one/about"]), 200);
    let cause = place.is_rejected(&bad_for_one, &["--site", "one"]);
    assert!(cause.contains("the first is GET /one/about: status 200 -> 500"), "{cause}");
    place.is_rejected(&bad_for_two, &["--site", "two"]);
    for (site, expected) in [("one", 0), ("two", 4)] {
        assert_eq!(place.json(&["diff", "bad-for-two.wat", "--site", site]).0, expected, "{site}");
    }
    assert_counts(&place.passes(&bad_for_one, &["--site", "two"]), &[("same", 1)]);
    let (code, said) = place.0.reload(&lines("bad-for-two.wat", "bad-for-one.wat"));
    assert_eq!(code, 0, "{said}");
    assert_eq!(place.ask(&["/one/about", "/two/about"]), 200);
}

#[test]
fn a_site_has_a_gate_of_its_own() {
    let place = Place::start(
        &fine(),
        &format!(
            "{PATIENT}gate = 'off'\n[[site]]\nname = 'open'\npath = '/open'\nmodule = 'base.wat'\n\
             [[site]]\nname = 'strict'\npath = '/strict'\nmodule = 'base.wat'\ngate = 'same'\n"
        ),
    );
    place.ask(&["/open/about", "/strict/about"]);
    let other = Handler::new(Says(OTHER));
    place.passes(&other, &["--site", "open"]);
    place.passes(&bad(), &["--site", "open"]);
    let cause = place.is_rejected(&other, &["--site", "strict"]);
    assert!(cause.starts_with("1 of 1 recent requests are answered in another way (--gate same)"), "{cause}");
}

#[test]
fn mistakes_in_what_a_client_wants_are_named() {
    let place = Place::start(&fine(), "module = 'base.wat'\n");
    for (target, status, said) in [
        ("versions?accept=about", "400", "the parameter accept: expected a pattern of requests such as"),
        ("versions?accept=get%20/", "400", "the parameter accept: expected a method in capitals such as GET"),
        ("versions?accept-all=yes", "400", "the parameter accept-all: expected true or false, found `yes`"),
        ("diff?show=101", "400", "the parameter show: expected a whole number from 0 to 100, found `101`"),
        ("diff?time=1h", "400", "the parameter time: expected at most 600 s, found `1h`"),
        ("diff?ignore-field=a%20b", "400", "the parameter ignore-field: expected the name of a header"),
        ("diff?against=0", "400", "the parameter against: expected the number of a version"),
        ("diff?against=2", "404", "there is no version 2 yet"),
        ("diff?site=shop", "404", "there is no site shop"),
        ("diff", "422", "the module cannot serve: check: it has no export"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-w", "%{http_code}", "-H", "x-host-admin: 1", "-d", "(module)", "--unix-socket"]);
        curl.arg(place.0.folder.file("control")).arg(format!("http://host/v1/{target}"));
        let (_, found) = output_of(&mut curl);
        assert!(found.contains(said) && found.ends_with(status), "{target}: {found}");
    }
}

#[test]
fn a_meant_difference_is_accepted_and_nothing_else() {
    let place = Place::start(&fine(), &format!("{PATIENT}module = 'base.wat'\ngate = 'same'\n"));
    place.ask(&["/about", "/about/us", "/team", "/"]);
    place.0.server.connect().post("/about", b"x");
    let other = fine().but("GET /about", Says(OTHER));
    let about = ["--accept", "GET /about*"];
    let cause = place.is_rejected(&other, &[]);
    assert!(cause.starts_with("2 of 5 recent requests are answered in another way (--gate same)"), "{cause}");
    // Neither another target, nor another method, nor a part of the targets.
    let team = other.but("GET /team", Says(OTHER));
    let cause = place.is_rejected(&team, &about);
    assert!(cause.contains("1 of 5 ") && cause.contains("; the first is GET /team: body differs"), "{cause}");
    let posted = other.but("POST /about", Says(OTHER));
    let cause = place.is_rejected(&posted, &about);
    assert!(cause.contains("1 of 5 ") && cause.contains("; the first is POST /about: body"), "{cause}");
    let cause = place.is_rejected(&other, &["--accept", "GET /about"]);
    assert!(cause.contains("1 of 5 ") && cause.contains("; the first is GET /about/us: body"), "{cause}");
    assert_counts(&place.passes(&other, &about), &[("accepted", 2), ("same", 3)]);
    place.undo();
    let both = ["--accept", "GET /about*", "--accept", "/team"];
    assert_counts(&place.passes(&team, &both), &[("accepted", 3), ("same", 2)]);
    place.undo();
    assert_counts(&place.passes(&posted, &["--accept", "/about*"]), &[("accepted", 3), ("same", 2)]);
}

#[test]
fn a_new_fault_is_accepted_by_accept_all_only() {
    let lines = |gate: &str| format!("{PATIENT}module = 'base.wat'\ngate = '{gate}'\n");
    let place = Place::start(&fine(), &lines("same"));
    place.ask(&["/about", "/"]);
    for gate in ["same", "faults"] {
        place.reload(&lines(gate));
        for candidate in [bad(), fine().but("GET /about", Says("HTTP/1.1 500 Oh\n\n"))] {
            let cause = place.is_rejected(&candidate, &["--accept", "GET /about*", "--accept", "/*"]);
            assert!(cause.contains("; the first is GET /about: status 200 -> 500"), "{cause}");
            let replayed = place.passes(&candidate, &["--accept-all"]);
            assert_counts(&replayed, &[("accepted", 1), ("same", 1)]);
            place.undo();
        }
    }
}
