//! Pairs of handlers that differ in one thing: what `host diff` finds, and what each gate does
//! with the candidate. What comes of them in a rollout is in `rolled`.

use super::handlers::Does::{Counts, Draws, Echoes, Grows, Loops, Says, Shuns, Traps};
use super::handlers::Handler;
use super::{FINE, PATIENT, Place, assert_counts};

/// Path of the hundred at which candidates differ.
const ODD_PATH: &str = "/ae";

/// The handler that serves.
pub(super) fn base() -> Handler {
    let json = "HTTP/1.1 200 OK\ncontent-type: application/json\n\n{\"a\":1,\"b\":[2]}";
    Handler::new(Says(FINE))
        .but("GET /json ", Says(json))
        .but("GET /page ", Says("HTTP/1.1 200 OK\nx-kind: one\nx-build: 1\n\nfirst\nsecond\n"))
        .but("GET /echo ", Echoes("HTTP/1.1 200 OK\n\n"))
        .but("GET /random ", Draws("HTTP/1.1 200 OK\n\n"))
        .but("GET /broken ", Traps)
        .but("POST /items ", Shuns(FINE))
}

/// Returns the paths that are asked for: a hundred of one kind, and one of each other kind.
pub(super) fn paths() -> Vec<String> {
    let letters = || 'a'..='j';
    let many = letters().flat_map(|one| letters().map(move |other| format!("/{one}{other}")));
    let others = ["/json", "/page", "/echo", "/random", "/broken"].map(str::to_owned);
    many.chain(others).collect()
}

/// A candidate, and what is expected of it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) candidate: Handler,
    /// Kind of the request that is not the same.
    pub(super) kind: Option<&'static str>,
    /// Whether the gate `faults` lets it pass.
    passes_faults: bool,
    /// Part of the first difference.
    pub(super) first: &'static str,
    pub(super) canary: Canary,
}

/// How a rollout of a candidate ends.
#[derive(Clone, Copy)]
pub(super) enum Canary {
    Published,
    /// It is rejected, because requests fail only with it.
    Fails,
    /// It is rejected for its times, unless these are not judged.
    IsSlow,
}

fn row(name: &'static str, candidate: Handler, kind: &'static str, first: &'static str) -> Row {
    let fails = kind == "newly_faulting";
    let canary = if fails { Canary::Fails } else { Canary::Published };
    Row { name, candidate, kind: Some(kind), passes_faults: !fails, first, canary }
}

fn same(name: &'static str, candidate: Handler) -> Row {
    Row { name, candidate, kind: None, passes_faults: true, first: "", canary: Canary::Published }
}

impl Row {
    /// Returns how many requests of each kind there are if each path is asked for once.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        let changed = self.kind.map(|kind| (kind, 1));
        let both_fault = u64::from(!self.first.contains("/broken"));
        let same = paths().len() as u64 - both_fault - u64::from(self.kind.is_some());
        changed.into_iter().chain([("both_fault", both_fault), ("same", same)]).collect()
    }
}

pub(super) fn rows() -> Vec<Row> {
    let base = base();
    let page = |response| base.but("GET /page ", Says(response));
    let json = |response| base.but("GET /json ", Says(response));
    let odd = |does| base.but(format!("GET {ODD_PATH} "), does);
    vec![
        same("other bytes", base.again("other bytes")),
        row("status", odd(Says("HTTP/1.1 404 Not Found\n\nfine")), "different", "GET /ae: status 200 -> 404"),
        row(
            "added header",
            page("HTTP/1.1 200 OK\nx-kind: one\nx-build: 1\nx-new: yes\n\nfirst\nsecond\n"),
            "different",
            "GET /page: header x-new absent -> \"yes\"",
        ),
        row(
            "removed header",
            page("HTTP/1.1 200 OK\nx-build: 1\n\nfirst\nsecond\n"),
            "different",
            "GET /page: header x-kind \"one\" -> absent",
        ),
        row(
            "changed header",
            page("HTTP/1.1 200 OK\nx-kind: two\nx-build: 1\n\nfirst\nsecond\n"),
            "different",
            "GET /page: header x-kind \"one\" -> \"two\"",
        ),
        same("header that is ignored", page("HTTP/1.1 200 OK\nx-kind: one\nx-build: 2\n\nfirst\nsecond\n")),
        row(
            "text",
            page("HTTP/1.1 200 OK\nx-kind: one\nx-build: 1\n\nfirst\nlast one\n"),
            "different",
            "GET /page: body differs at line 2: \"second\" -> \"last one\"",
        ),
        row(
            "value in JSON",
            json("HTTP/1.1 200 OK\ncontent-type: application/json\n\n{\"a\":1,\"b\":[3]}"),
            "different",
            "GET /json: body differs at /b/0: 2 -> 3",
        ),
        row(
            "order of keys in JSON",
            json("HTTP/1.1 200 OK\ncontent-type: application/json\n\n{\"b\":[2],\"a\":1}"),
            "different",
            "GET /json: body is the same JSON, written in another way",
        ),
        row(
            "time and id of the request",
            odd(Echoes("HTTP/1.1 200 OK\n\n")),
            "different",
            "GET /ae: body differs at line 1: \"fine",
        ),
        row("random bits", odd(Draws("HTTP/1.1 200 OK\n\n")), "different", "GET /ae: body differs at "),
        row("trap", odd(Traps), "newly_faulting", "GET /ae: status 200 -> 500 (trap: "),
        row(
            "own status 500",
            odd(Says("HTTP/1.1 500 Oh no\n\nfine")),
            "newly_faulting",
            "GET /ae: status 200 -> 500",
        ),
        row("too slow", odd(Loops), "newly_faulting", "GET /ae: status 200 -> 504 (deadline: "),
        Row { canary: Canary::IsSlow, ..same("slower", odd(Counts(2, FINE))) },
        row(
            "invalid response",
            odd(Says("I am fine")),
            "newly_faulting",
            "GET /ae: status 200 -> 502 (invalid response: ",
        ),
        same("more memory", odd(Grows(64, FINE))),
        row(
            "mended fault",
            base.but("GET /broken ", Says(FINE)),
            "mended",
            "GET /broken: status 500 (trap: ",
        ),
        row(
            "another fault",
            base.but("GET /broken ", Says("HTTP/1.1 503 Busy\n\n")),
            "another_fault",
            "GET /broken: status 500 (trap: ",
        ),
    ]
}

#[test]
fn a_candidate_is_judged_by_the_one_request_that_it_answers_in_another_way() {
    let lines =
        |gate: &str| format!("{PATIENT}module = 'base.wat'\nignore-field = 'x-build'\ngate = '{gate}'\n");
    let place = Place::start(&base(), &lines("faults"));
    place.ask(&paths());
    let all = paths().len() as u64;
    for row in rows() {
        let (code, report) = place.diff(&row.candidate);
        let Row { name, kind, first, .. } = row;
        println!("{name}: {}", report["counts"]);
        assert_counts(&report["counts"], &row.counts());
        assert_eq!(code, if kind.is_some() { 4 } else { 0 }, "{name}");
        let found = report["first_difference"].as_str().unwrap_or_default();
        assert!(found.starts_with(first) && (kind.is_some() || found.is_empty()), "{name}: {found}");
    }
    for gate in ["faults", "same", "off"] {
        place.reload(&lines(gate));
        for Row { name, candidate, kind, passes_faults, first, .. } in rows() {
            println!("{gate}: {name}");
            let passes = gate == "off" || (gate == "faults" && passes_faults) || kind.is_none();
            if passes {
                let replayed = place.passes(&candidate, &[]);
                assert_eq!(replayed.is_null(), gate == "off", "{name}: {replayed}");
                place.undo();
            } else {
                let cause = place.is_rejected(&candidate, &[]);
                assert!(cause.starts_with(&format!("1 of {all} recent requests ")), "{name}: {cause}");
                assert!(cause.contains(&format!("; the first is {first}")), "{name}: {cause}");
            }
        }
    }
}

#[test]
fn a_candidate_may_begin_to_draw_random_bits() {
    let place = Place::start(&Handler::new(Says(FINE)), &format!("{PATIENT}module = 'base.wat'\n"));
    place.ask(&["/"]);
    let draws = Handler::new(Draws("HTTP/1.1 200 OK\n\n"));
    let (_, report) = place.diff(&draws);
    assert_counts(&report["counts"], &[("different", 1)]);
    place.passes(&draws, &[]);
}

#[test]
fn more_memory_is_told_and_no_difference() {
    let place = Place::start(&Handler::new(Says(FINE)), &format!("{PATIENT}module = 'base.wat'\n"));
    place.ask(&["/"]);
    let file = place.write("more.wat", &Handler::new(Grows(64, FINE)));
    let (code, said) = place.0.run(&["diff", &file]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("1 request of 1 class: 1 same\n") && said.contains("emory"), "{said}");
    let (_, report) = place.json(&["diff", &file]);
    let page = 65_536;
    let memory = &report["memory"];
    assert_eq!(memory["current_max_bytes"], 8 * page, "{memory}");
    assert_eq!(memory["candidate_max_bytes"], 72 * page, "{memory}");
}

#[test]
fn the_body_of_a_request_is_replayed() {
    let place = Place::start(&Handler::new(Says(FINE)), &format!("{PATIENT}module = 'base.wat'\n"));
    let mut client = place.0.server.connect();
    for body in ["milk", "honey!"] {
        assert_eq!(client.post("/items", body.as_bytes()).status, 200);
    }
    let cause = place.is_rejected(&Handler::new(Shuns(FINE)), &[]);
    assert!(cause.starts_with("1 of 2 recent requests fail that the current version answers"), "{cause}");
    assert!(cause.contains("the first is POST /items: status 200 -> 500 (trap"), "{cause}");
}

#[test]
fn headers_are_ignored_in_one_comparison() {
    let place = Place::start(&Handler::new(Says(FINE)), &format!("{PATIENT}module = 'base.wat'\n"));
    place.ask(&["/"]);
    let file = place.write("tagged.wat", &Handler::new(Says("HTTP/1.1 200 OK\nx-a: 1\nx-b: 2\n\nfine")));
    assert_eq!(place.json(&["diff", &file]).0, 4);
    let (code, report) = place.json(&["diff", &file, "--ignore-field", "x-a"]);
    assert_eq!((code, &report["first_difference"]), (4, &"GET /: header x-b absent -> \"2\"".into()));
    assert_eq!(place.json(&["diff", &file, "--ignore-field", "x-a", "--ignore-field", "X-B"]).0, 0);
}

#[test]
fn a_comparison_may_be_with_an_older_version() {
    let place = Place::start(&Handler::new(Says(FINE)), &format!("{PATIENT}module = 'base.wat'\n"));
    place.ask(&["/"]);
    let other = Handler::new(Says("HTTP/1.1 200 OK\n\nother"));
    place.passes(&other, &[]);
    let file = place.write("other.wat", &other);
    assert_eq!(place.json(&["diff", &file]).0, 0);
    let (code, report) = place.json(&["diff", &file, "--against", "1"]);
    assert_eq!(code, 4, "{report}");
    let (code, failed) = place.json(&["diff", &file, "--against", "9"]);
    let cause = failed["cause"].as_str().unwrap();
    assert!(code == 1 && cause.contains("there is no version 9 yet"), "{cause}");
}
