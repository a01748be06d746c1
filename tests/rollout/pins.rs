//! Pins: clients that choose a version.

use std::fs;

use super::{OPEN, PINS, Site, versions_for};
use crate::harness::modules::saying;
use crate::harness::{Client, Configured, Folder};

const PIN_1: &str = "x-handler-version: 1";
const PIN_2: &str = "x-handler-version: 2";

#[test]
fn a_pin_chooses_either_version_in_a_step_and_in_a_shadow() {
    let site = Site::start(&PINS);
    site.begin(saying("new"), &format!("{OPEN}&shadow=1h"), 2);
    assert_eq!((site.version_for(PIN_1), site.version_for(PIN_2)), (1, 2));
    site.serves_all(1);
    assert_eq!(site.order("abort").status, 200);
    assert_eq!(site.version_for(PIN_2), 1, "after the end");
    site.begin(saying("new"), "steps=50%25&hold=1h&key=header:x-user", 3);
    let chosen = site.versions_for(100);
    let mut client = site.server.connect();
    for number in [1, 3] {
        let pin = |user| format!("x-user: {user}\r\nx-handler-version: {number}");
        assert_eq!(versions_for(&mut client, 100, pin), [number; 100]);
    }
    // Neither another version nor anything else is a choice.
    for pin in ["2", "4", "", "x", "-1", "18446744073709551616", "3.0"] {
        let pinned = |user| format!("x-user: {user}\r\nx-handler-version: {pin}");
        assert_eq!(versions_for(&mut client, 100, pinned), chosen, "{pin}");
    }
}

#[test]
fn only_a_client_that_may_choose_is_heard() {
    for (flags, expected) in [(&[][..], [1, 1]), (&["--pin-from", "127.0.0.2/32"], [1, 2])] {
        let site = Site::start(flags);
        site.begin(saying("new"), &format!("{OPEN}&shadow=1h"), 2);
        let version = |own| {
            let mut client = Client::connect_from(own, site.server.addresses[0]);
            versions_for(&mut client, 1, |_| PIN_2.into())[0]
        };
        assert_eq!([[127, 0, 0, 1], [127, 0, 0, 2]].map(version), expected, "{flags:?}");
    }
}

#[test]
fn a_proxy_that_is_trusted_speaks_for_its_clients() {
    let site = Site::start(&["--trust-forwarded", "127.0.0.1", "--pin-from", "10.0.0.0/8"]);
    site.begin(saying("new"), &format!("{OPEN}&shadow=1h"), 2);
    let from = |address: &str| site.version_for(&format!("x-forwarded-for: {address}\r\n{PIN_2}"));
    assert_eq!((from("10.1.2.3"), from("11.1.2.3")), (2, 1));
    assert_eq!(site.version_for(PIN_2), 1);
}

#[test]
fn a_reload_changes_who_may_choose_during_a_rollout() {
    let folder = Folder::new();
    fs::write(folder.file("old.wat"), saying("old")).unwrap();
    fs::write(folder.file("new.wat"), saying("new")).unwrap();
    let lines = "module = 'old.wat'\nno-watch = true\n";
    let place = Configured::start(folder, lines);
    let (code, said) = place.run(&["rollout", "new.wat", "--shadow", "1h", "--steps", "1%"]);
    assert_eq!(code, 0, "{said}");
    let version = || versions_for(&mut place.server.connect(), 1, |_| PIN_2.into())[0];
    assert_eq!(version(), 1);
    for (more, expected) in
        [("pin-from = '127.0.0.1'\n", 2), ("", 1), ("pin-from = ['10.0.0.1', '127.0.0.0/8']", 2)]
    {
        let (code, said) = place.reload(&format!("{lines}{more}"));
        assert!(code == 0 && said.contains("settings changed: pin-from\n"), "{said}");
        assert_eq!(version(), expected, "{more}");
    }
    let (code, said) = place.run(&["rollout", "status"]);
    assert!(code == 0 && said.starts_with("version 2 gets copies of requests"), "{said}");
}
