//! The pairs again, while clients send requests: what a shadow finds, and how a rollout ends.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use super::handlers::Does::{Says, Traps};
use super::handlers::Handler;
use super::pairs::{Canary, Row, base, paths, rows};
use super::{FINE, Place, assert_counts};
use crate::harness::{Client, wait_until};

/// Requests after which clients wait for the judge. So many have a place in its queue.
const AT_ONCE: usize = 50;

/// Fewest requests that a candidate answers before it is published: all paths for so many users
/// that evidence decides before.
const REQUESTS: &str = "2000";

/// More users than a rollout needs.
const PLENTY: u8 = 250;

/// A server, and a candidate that gets a part of its requests.
struct Rolled<'a> {
    place: &'a Place,
    /// Number of requests since the rollout began.
    asked: u64,
}

fn start() -> Place {
    let lines = "module = 'base.wat'\nignore-field = 'x-build'\ngate = 'off'\nwatch-after = '0s'\n\
                 deadline = '300ms'\nlog-level = 'host=debug,request=off'\n";
    let mut place = Place::start(&base(), lines);
    place.0.server.log_line(&["optimised", "version=1"]);
    place
}

impl<'a> Rolled<'a> {
    /// Begins a rollout by a command with these flags. Waits until the candidate is optimised,
    /// because its times count from then on.
    fn begin(place: &'a mut Place, command: &str, candidate: &Handler, flags: &[&str]) -> Rolled<'a> {
        let file = place.write("candidate.wat", candidate);
        let line = [&[command, &file, "--percent", "100%"], flags].concat();
        let (code, outcome) = place.json(&line);
        assert_eq!(code, 0, "{outcome}");
        let rolled = Rolled { place, asked: 0 };
        let version = format!("version={}", rolled.status()["version"]);
        place.0.server.log_line(&["optimised", &version]);
        Rolled { place, asked: 0 }
    }

    /// Returns the state. A command would take longer, and is needed often.
    fn status(&self) -> Value {
        let mut stream = UnixStream::connect(self.place.0.folder.file("control")).unwrap();
        stream.write_all(b"GET /v1/rollout HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Asks for targets as a user with an address of its own, unless the rollout ends before.
    /// Returns the state.
    fn ask<T: AsRef<str>>(&mut self, user: u8, targets: &[T]) -> Value {
        let mut client = Client::connect_from([127, 0, 1, user], self.place.0.server.addresses[0]);
        let mut status = Value::Null;
        for targets in targets.chunks(AT_ONCE) {
            for target in targets {
                let target = target.as_ref();
                client.send(format!("GET {target} HTTP/1.1\r\nhost: test\r\nx-user: u{user}\r\n\r\n"));
                client.reply_to("GET");
            }
            self.asked += targets.len() as u64;
            status = self.judged();
            if !is_live(&status) {
                break;
            }
        }
        status
    }

    /// Waits until the judge has run all requests again, or the rollout has ended.
    fn judged(&self) -> Value {
        let mut status = Value::Null;
        wait_until("the judge", || {
            status = self.status();
            let number = |value: &Value| value.as_u64().unwrap();
            // Those that failed are not part of the sample, and come first.
            let judged = number(&status["report"]["requests"]) + number(&status["failed"]);
            assert_eq!(status["left_out"], 0, "{status}");
            judged == self.asked || !is_live(&status)
        });
        status
    }

    /// Asks for targets as these users, one after the other, until the rollout ends. Returns the
    /// state.
    #[track_caller]
    fn until_end<T: AsRef<str>>(&mut self, users: impl Iterator<Item = u8>, targets: &[T]) -> Value {
        let ended = { users }.map(|user| self.ask(user, targets)).find(|status| !is_live(status));
        ended.unwrap_or_else(|| panic!("the rollout does not end: {}", self.status()))
    }
}

fn is_live(status: &Value) -> bool {
    matches!(status["state"].as_str().unwrap(), "shadow" | "canary")
}

#[test]
fn a_shadow_finds_what_a_diff_finds() {
    let mut place = start();
    for row in rows() {
        println!("{}", row.name);
        let mut rolled = Rolled::begin(&mut place, "shadow", &row.candidate, &[]);
        let status = rolled.ask(1, &paths());
        let Row { kind, first, .. } = row;
        assert_eq!((&status["state"], &status["served"]), (&"shadow".into(), &0.into()), "{status}");
        assert_counts(&status["report"]["counts"], &row.counts());
        let found = status["report"]["first_difference"].as_str().unwrap_or_default();
        assert!(found.starts_with(first) && (kind.is_some() || found.is_empty()), "{found}");
        let evidence = &status["evidence"];
        let worse = u64::from(kind == Some("newly_faulting"));
        // What a change mends is no excuse for what it breaks.
        assert_eq!((&evidence["worse"], &evidence["better"]), (&worse.into(), &0.into()), "{evidence}");
        let (code, ended) = place.json(&["rollout", "abort"]);
        assert_eq!((code, &ended["serving"]), (0, &1.into()), "{ended}");
    }
    place.0.server.says("fine", 1);
}

/// Rolls out a candidate to half of the users. Returns the state at the end.
fn roll_out(place: &mut Place, candidate: &Handler, slower: &str) -> Value {
    let flags = ["--steps", "50%", "--hold", "10ms", "--requests", REQUESTS, "--key", "header:x-user"];
    let flags = [&flags[..], &["--slower", slower]].concat();
    Rolled::begin(place, "rollout", candidate, &flags).until_end(1..PLENTY, &paths())
}

#[track_caller]
fn is_published(place: &Place, status: &Value) {
    assert_eq!((&status["state"], status.get("cause")), (&"published".into(), None), "{status}");
    place.undo();
}

#[track_caller]
fn is_rejected(place: &Place, status: &Value, cause: &str) {
    assert_eq!(status["state"], "rejected", "{status}");
    let found = status["cause"].as_str().unwrap();
    assert!(found.contains(cause), "{found}");
    assert_eq!(place.ask(&["/ae"]), 200);
}

#[test]
fn a_rollout_publishes_a_candidate_or_rejects_it_for_the_one_path_in_which_it_is_worse() {
    let mut place = start();
    for Row { name, candidate, canary, .. } in rows() {
        println!("{name}");
        // Only where times are the difference are they judged: even of equal versions, one in
        // 200 is rejected.
        let status = roll_out(&mut place, &candidate, "off");
        match canary {
            Canary::Published => is_published(&place, &status),
            Canary::Fails => {
                let cause = "requests fail that version 1 answers, and 0 the other way round (evidence ";
                is_rejected(&place, &status, cause);
                assert!(status["cause"].as_str().unwrap().ends_with("; the latest is GET /ae"), "{status}");
            }
            Canary::IsSlow => {
                is_published(&place, &status);
                // The optimised code of the same bytes would be there already.
                let status = roll_out(&mut place, &candidate.again("judged by its times"), "2x");
                is_rejected(
                    &place,
                    &status,
                    "requests in GET /ae 200 take more than 2 times as long as with version 1",
                );
            }
        }
    }
}

#[test]
fn one_client_and_one_request_are_enough_to_reject_a_candidate_that_fails_a_large_share() {
    let mut place = start();
    let flags = ["--steps", "100%", "--hold", "10ms", "--requests", REQUESTS, "--slower", "off"];
    let candidate = Handler::new(Says(FINE)).but("GET /ae ", Traps);
    let mut rolled = Rolled::begin(&mut place, "rollout", &candidate, &flags);
    let status = rolled.until_end(std::iter::repeat_n(1, PLENTY.into()), &["/ae"; 20]);
    is_rejected(
        &place,
        &status,
        "requests failed, and 3 of 3 that were run again do so only since version 2",
    );
}
