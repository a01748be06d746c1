//! Restart: a rollout goes on where it was, for the same clients.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::{ENOUGH, OPEN, PINS, Site, changes, count};
use crate::harness::modules::saying;
use crate::harness::{Random, bombs, wait_until};

const FLAGS: [&str; 3] = ["--no-watch", PINS[0], PINS[1]];

impl Site {
    /// Kills the server, starts it again, and waits until the rollout goes on.
    fn killed(self) -> Site {
        let Site { server, place } = self;
        drop(server);
        let mut server = place.start(&FLAGS);
        server.log_line(&["the rollout goes on after a restart: "]);
        Site { server, place }
    }

    /// Waits until the state folder has a text.
    fn saves(&self, text: &str) {
        let state = self.place.state().join("state.json");
        wait_until(text, || fs::read_to_string(&state).is_ok_and(|found| found.contains(text)));
    }
}

#[test]
fn a_server_that_is_killed_goes_on_at_its_step_with_the_same_clients() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("new"), OPEN, 2);
    changes(&mut events, 2, "begun", "step 1 of 2, 1%");
    site.pinned(2, ENOUGH);
    changes(&mut events, 2, "step", "step 2 of 2, 50%");
    site.saves("\"step\": 1");
    let status = site.place.tell(&["status"]);
    assert!(
        status.contains("\nafter a restart: version 1, and the rollout of version 2, kept in "),
        "{status}"
    );
    assert_eq!(site.order("pause").status, 200);
    let before = site.versions_for(1000);
    assert!(count(&before, 1) > 0 && count(&before, 2) > 0);
    let site = site.killed();
    assert_eq!(site.versions_for(1000), before);
    site.is_in("paused", Some(2));
    let site = site.killed();
    assert_eq!(site.versions_for(1000), before, "again");
    assert_eq!(site.order("resume").status, 200);
    let mut site = site.killed();
    let mut events = site.events();
    site.is_in("canary", Some(2));
    site.pinned(2, ENOUGH);
    // The event of its continuation may come first.
    while events.next().unwrap()["change"] != "published" {}
    site.server.log_line(&["serving version 2: ", "replaced=1"]);
    site.serves_all(2);
    wait_until("the end is saved", || {
        site.place.tell(&["status"]).contains("\nafter a restart: version 2, kept in ")
    });
}

#[test]
fn a_paused_rollout_a_stopped_one_and_a_shadow_stay_what_they_were() {
    let site = Site::start(&PINS);
    let mut events = site.events();
    site.begin(saying("two"), OPEN, 2);
    assert_eq!(site.order("pause").status, 200);
    let site = site.killed();
    site.is_in("paused", Some(1));
    site.pinned(2, ENOUGH);
    // A shadow.
    site.begin(saying("three"), &format!("{OPEN}&shadow=1h"), 3);
    let site = site.killed();
    site.is_in("shadow", None);
    site.has_versions(&[(1, "current", ""), (3, "rollout", "0%")]);
    site.serves_all(1);
    // Too few requests.
    drop(events);
    events = site.events();
    site.begin(saying("four"), &OPEN.replace("wait=1h", "wait=1ms"), 4);
    while events.next().unwrap()["change"] != "stopped" {}
    site.saves("\"halt\": \"stopped\"");
    let site = site.killed();
    let status = site.is_in("stopped", Some(1));
    assert!(status["cause"].as_str().unwrap().starts_with("the candidate got 0 requests"), "{status}");
    assert_eq!(site.order("promote").status, 200);
    site.serves_all(4);
}

#[test]
fn a_rollout_whose_module_is_damaged_ends_and_the_current_version_serves() {
    let site = Site::start(&PINS);
    site.begin(saying("new"), OPEN, 2);
    site.saves("\"rollout\"");
    let Site { server, place } = site;
    drop(server);
    fs::write(place.saved(saying("new")), "damaged").unwrap();
    let mut server = place.start(&FLAGS);
    server.log_line(&["the rollout cannot go on", "version=2"]);
    let site = Site { server, place };
    site.serves_all(1);
    wait_until("the rejection", || site.versions().iter().any(|(_, state, _)| state == "rejected"));
    assert!(site.reason(2).contains("its SHA-256 is not the recorded one"), "{}", site.reason(2));
}

#[test]
fn orders_count_before_the_candidate_is_loaded_after_a_restart() {
    for (order, state) in
        [(&["rollback"][..], "current"), (&["rollout", "abort"], "current"), (&["rollback", "1"], "retired")]
    {
        let site = Site::start(&PINS);
        site.place.serves(saying("two"), 2);
        // Loading it takes a while.
        site.begin(bombs::much_code(60), OPEN, 3);
        site.saves("\"rollout\"");
        let Site { server, place } = site;
        drop(server);
        let site = Site { server: place.start(&FLAGS), place };
        wait_until("version 1 is loaded", || {
            let (code, said) = site.run(order);
            assert!(code == 0 || said.contains("but not loaded"), "{order:?}: {said}");
            code == 0
        });
        site.saves("\"next_number\": 4");
        let state_of =
            |number: u64| site.versions().into_iter().find(|(found, ..)| *found == number).unwrap().1;
        assert_eq!(state_of(2), state, "{order:?}");
        // If it was loaded just before the order, it drains first.
        wait_until("the candidate is rejected", || state_of(3) == "rejected");
        site.serves_all(if state == "current" { 2 } else { 1 });
    }
}

#[test]
fn a_file_that_changed_meanwhile_takes_the_place_of_the_rollout() {
    let site = Site::start(&PINS);
    site.begin(saying("two"), OPEN, 2);
    site.saves("\"rollout\"");
    let Site { server, place } = site;
    drop(server);
    fs::write(place.file(), saying("three")).unwrap();
    let mut server = place.start(&[&FLAGS[..], &["--rollout", "50%", "--rollout-hold", "1h"]].concat());
    server.log_line(&["rolling out version 3: ", "serving=1", "by=file"]);
    let site = Site { server, place };
    site.has_versions(&[(1, "current", "50%"), (2, "rejected", ""), (3, "rollout", "50%")]);
    assert_eq!(site.reason(2), "canary: a rollout of version 3 took its place");
}

#[test]
fn killed_at_any_moment_of_rollouts_it_serves_a_good_version_and_has_at_most_one_rollout() {
    let Site { server, mut place } = Site::start(&[]);
    drop(server);
    let mut random = Random::new(0x5eed);
    let (mut before, mut published, mut continued) = (1, 0, 0);
    let flags = ["--no-watch", "--keep", "3", "--watch-after", "0s"];
    for round in 0..50 {
        let site = Site { server: place.start(&flags), place };
        let reply = site.server.connect().ask("GET", "/");
        assert!(
            reply.status == 200 && (reply.text() == "old" || reply.text().starts_with("round ")),
            "{reply:?}"
        );
        let versions = site.versions();
        let of = |wanted: &str| versions.iter().filter(|(_, state, _)| state == wanted).collect::<Vec<_>>();
        let (current, rollout) = (of("current"), of("rollout"));
        assert!(current.len() == 1 && rollout.len() + of("candidate").len() <= 1, "{round}: {versions:?}");
        let (number, _, rest) = current[0];
        assert!(*number >= before, "{round}: version {number} came after {before}");
        published += usize::from(*number > before);
        before = *number;
        if let Some((_, _, share)) = rollout.first() {
            let part = |text: &str| text.trim_end_matches('%').parse::<u32>().unwrap();
            assert_eq!(part(rest) + part(share), 100, "{round}: {versions:?}");
        }
        let is_rolling = rollout.len() + of("candidate").len() > 0;
        continued += usize::from(is_rolling);
        // Half of the rollouts of the round before go on.
        if !is_rolling || random.below(2) == 0 {
            let plan = "steps=10%25,50%25&hold=20ms&requests=0&key=header:x-user";
            let reply = site.send(saying(&format!("round {round}")), plan);
            assert_eq!(reply.status, 202, "{}", reply.body);
        }
        for _ in 0..random.below(4) {
            sleep(Duration::from_millis(random.below(40) as u64));
            site.versions_for(10);
        }
        let Site { server, place: kept } = site;
        drop(server);
        place = kept;
    }
    println!("{published} rounds began with a newer version, {continued} with a rollout");
    assert!(published > 0 && continued > 0, "{published} {continued}");
}
