//! The time of a proof is bounded, undoing does not wait for it, and a server that is short of
//! instances rejects no candidate for that.

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::handlers::Does::{Counts, Loops, Says};
use super::handlers::Handler;
use super::{FINE, Place, assert_counts};
use crate::harness::{host, kill};

/// Settings with which a call that does not end goes on until the test has ended.
const ENDLESS: &str = "module = 'base.wat'\nlog-level = 'debug'\ndeadline = '10min'\ngate-time = '10min'\n";

/// Part of the log line when a proof begins.
const TRIED: &str = "recent requests are tried on version";

fn fine() -> Handler {
    Handler::new(Says(FINE))
}

/// A handler that answers the probe, and nothing else.
fn endless() -> Handler {
    Handler::new(Loops).but("GET / ", Says(FINE))
}

/// Returns a command to the server, not started yet.
fn command(place: &Place, line: &[&str]) -> Command {
    let mut command = host();
    command
        .args(line)
        .current_dir(place.0.folder.file(""))
        .env("HOST_CONTROL", place.0.folder.file("control"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Begins to swap to a handler, and waits until it is tried on requests that do not end.
fn begin_endless_swap(place: &mut Place) -> Child {
    place.ask(&["/a", "/b"]);
    let file = place.write("endless.wat", &endless());
    let swap = command(place, &["swap", &file]).spawn().unwrap();
    place.0.server.log_line(&[TRIED]);
    swap
}

fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn undoing_and_asking_do_not_wait_for_a_proof_and_undoing_ends_it() {
    let mut place = Place::start(&fine(), ENDLESS);
    place.passes(&fine().again("two"), &[]);
    let mut swap = begin_endless_swap(&mut place);
    let (code, said_by_status) = place.0.run(&["status"]);
    assert!(code == 0 && said_by_status.contains("serves version 2"), "{said_by_status}");
    assert_eq!(place.0.run(&["journal"]).0, 0);
    assert_eq!(place.ask(&["/a"]), 200);
    assert!(swap.try_wait().unwrap().is_none(), "the proof has ended");
    let (code, rolled_back) = place.0.run(&["rollback"]);
    assert!(code == 0 && rolled_back.starts_with("serving version 1 "), "{rolled_back}");
    let cause = "a newer swap, rollback or reload was ordered before it was ready";
    let expected = format!("rejected version 3 in stage replay: {cause}\nversion 1 goes on serving\n");
    assert_eq!(said(swap), expected);
    place.0.server.log_line(&["rejected version 3", "stage=replay", cause]);
    // The calls have ended too, so that the next candidates have their instances.
    for comment in ["four", "five", "six", "seven"] {
        place.passes(&fine().again(comment), &[]);
    }
}

#[test]
fn a_newer_swap_ends_a_proof() {
    let mut place = Place::start(&fine(), ENDLESS);
    let swap = begin_endless_swap(&mut place);
    assert_counts(&place.passes(&fine().again("new"), &[]), &[("same", 2)]);
    let said = said(swap);
    assert!(
        said.starts_with("rejected version 2 in stage replay: a newer swap, rollback or reload"),
        "{said}"
    );
}

#[test]
fn a_proof_whose_client_has_gone_is_ended() {
    let mut place = Place::start(&fine(), ENDLESS);
    let swap = begin_endless_swap(&mut place);
    kill("KILL", swap.id());
    let cause = "its client disconnected before it was ready";
    place.0.server.log_line(&["rejected version 2", "stage=replay", cause]);
    drop(said(swap));
    place.passes(&fine().again("new"), &[]);
}

#[test]
fn a_rollback_during_a_reload_takes_effect_at_once() {
    let mut place = Place::start(&fine(), &ENDLESS.replace("10min", "10s"));
    place.passes(&fine().again("two"), &[]);
    place.ask(&["/a"]);
    place.write("endless.wat", &endless());
    place.0.write(&ENDLESS.replace("10min", "10s").replace("base.wat", "endless.wat"));
    let mut reload = command(&place, &["reload"]).spawn().unwrap();
    place.0.server.log_line(&[TRIED]);
    let (code, rolled_back) = place.0.run(&["rollback"]);
    assert!(code == 0 && rolled_back.starts_with("serving version 1 "), "{rolled_back}");
    assert!(reload.try_wait().unwrap().is_none(), "the proof has ended");
    let said = said(reload);
    assert!(said.contains("version 3 was rejected in stage replay: "), "{said}");
    place.0.server.says("fine", 1);
}

#[test]
fn the_time_of_the_gate_ends_the_proof_and_the_cause_says_how_many_were_tried() {
    let lines =
        |gate: &str| format!("module = 'base.wat'\ndeadline = '2100ms'\ngate-time = '2s'\ngate = '{gate}'\n");
    let place = Place::start(&fine(), &lines("faults"));
    place.ask(&["/a", "/b", "/c", "/d", "/e"]);
    // A call takes longer than the gate has time.
    let cause = place.is_rejected(&endless(), &[]);
    let expected = "1 of 1 tried of 5 recent requests fail that the current version answers; the first is GET /e: status 200 -> 504 (deadline";
    assert!(cause.starts_with(expected), "{cause}");
    place.reload(&lines("same"));
    let cause = place.is_rejected(&endless(), &[]);
    let expected =
        "1 of 1 tried of 5 recent requests are answered in another way (--gate same); the first is GET /e: ";
    assert!(cause.starts_with(expected), "{cause}");
    let file = place.write("endless.wat", &endless());
    let (code, report) = place.json(&["diff", &file, "--time", "2s"]);
    assert_eq!(code, 4);
    assert_counts(&report["counts"], &[("newly_faulting", 1), ("not_compared", 4)]);
    let reason = &report["not_compared"][0];
    assert_eq!((&reason["reason"], &reason["count"]), (&"there was no time left".into(), &4.into()));
}

#[test]
fn requests_for_which_there_was_no_time_are_not_held_against_a_candidate() {
    let slow = Handler::new(Counts(50, FINE));
    let lines = "module = 'base.wat'\ndeadline = '1min'\ngate-time = '1ms'\n";
    let place = Place::start(&slow, lines);
    place.ask(&["/a", "/b", "/c", "/d", "/e"]);
    let replayed = place.passes(&slow.again("new"), &[]);
    let [same, left] = ["same", "not_compared"].map(|kind| replayed[kind].as_u64().unwrap());
    assert!(same + left == 5 && left >= 4, "{replayed}");
}

#[test]
fn commands_wait_as_long_as_the_gate_takes() {
    let place = Place::start(&fine(), "module = 'base.wat'\n");
    let seconds = || place.json(&["status"]).1["swap_seconds"].as_u64().unwrap();
    let before = seconds();
    place.reload("module = 'base.wat'\ngate-time = '302s'\n");
    assert_eq!(seconds(), before + 300);
}

#[test]
fn a_busy_server_has_instances_for_candidates() {
    let lines = format!("{ENDLESS}instances = 1\nqueue = 1\nqueue-timeout = '100ms'\n");
    let mut place = Place::start(&fine().but("GET /l", Loops), &lines);
    place.ask(&["/a", "/b"]);
    let mut clients = [place.0.server.asking("/l"), place.0.server.asking("/l")];
    place.0.server.log_line(&["entered", "handler"]);
    place.0.server.log_line(&["status=503"]);
    assert_counts(&place.passes(&fine().but("GET /l", Loops).again("new"), &[]), &[("same", 2)]);
    assert!(clients.iter_mut().any(|client| !client.has_reply()), "the server is not busy any more");
}

#[test]
fn candidates_wait_for_the_instances_that_others_use() {
    let counts = |millions| Handler::new(Counts(millions, FINE));
    let place = Place::start(&counts(5), &format!("{ENDLESS}queue-timeout = '5ms'\n"));
    place.ask(&["/a", "/b", "/c", "/d", "/e", "/f"]);
    let file = place.write("again.wat", &counts(5).again("new"));
    // There are instances for two candidates at a time.
    let diff = || command(&place, &["diff", &file, "--json"]).spawn().unwrap();
    let diffs = [diff(), diff()];
    let swapped = place.swap(&counts(5).again("third"), &[]);
    let mut judged = vec![swapped["replayed"].clone()];
    for diff in diffs {
        let Output { stdout, .. } = diff.wait_with_output().unwrap();
        let outcome: Value = serde_json::from_slice(&stdout).unwrap();
        judged.push(outcome["counts"].clone());
    }
    assert_eq!(swapped["outcome"], "serving", "{swapped}");
    for counts in judged {
        assert_counts(&counts, &[("same", 6)]);
    }
}
