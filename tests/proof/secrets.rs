//! Secrets come out of no part of a proof.

use std::fs;

use super::handlers::Does::{Echoes, Says, Tells, Traps};
use super::handlers::Handler;
use super::{FINE, PATIENT, Place};

/// A word, which the name of a class of requests would keep.
const SECRET: &str = "opensesame";

const LINES: &str = "module = 'base.wat'\ngate = 'same'\nsecrets.KEY = { file = 'key' }\n";

/// Starts a server with a secret, whose handler tells it at `/told`.
fn start(handler: &Handler) -> Place {
    let folder = crate::harness::Folder::new();
    fs::write(folder.file("base.wat"), handler.text()).unwrap();
    fs::write(folder.file("key"), SECRET).unwrap();
    Place(crate::harness::Configured::start(folder, &format!("{PATIENT}{LINES}")))
}

fn base() -> Handler {
    Handler::new(Says(FINE))
        .but("GET /told ", Tells("HTTP/1.1 200 OK\nx-a: 1\n\nit is "))
        .but("GET /echo", Echoes("HTTP/1.1 200 OK\n\n"))
}

#[test]
fn the_secrets_of_both_versions_of_a_rollout_are_masked() {
    let place = start(&base());
    fs::write(place.0.folder.file("key"), "closesesame").unwrap();
    let plan = "rollout = '50%'\nrollout-key = 'header:x-user'\ngate = 'off'\n";
    let (code, said) = place.0.reload(&format!("{PATIENT}{}{plan}", LINES.replace("gate = 'same'\n", "")));
    assert!(code == 0 && said.contains("rolling out version 2 "), "{said}");
    let mut client = place.0.server.connect();
    for user in 0..20 {
        for secret in [SECRET, "closesesame"] {
            client.send(format!("GET /{secret}?k={secret} HTTP/1.1\r\nhost: a\r\nx-user: {user}\r\n\r\n"));
            assert_eq!(client.reply_to("GET").status, 200);
        }
    }
    let requests = place.0.folder.file("requests.http");
    let export = ["journal", "export", requests.to_str().unwrap()];
    assert_eq!(place.0.run(&export).0, 0);
    has_none(&fs::read_to_string(&requests).unwrap());
    has_none(&place.0.run(&["journal"]).1);
    has_none(&place.0.run(&["rollout", "status"]).1);
    assert_eq!(place.0.run(&["rollout", "abort"]).0, 0);
    has_none(&place.0.run(&["journal"]).1);
    has_none(&place.0.server.stop().join("\n"));
}

#[track_caller]
fn has_none(said: &str) {
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn a_secret_comes_out_of_no_part_of_a_proof() {
    let place = start(&base());
    let mut client = place.0.server.connect();
    assert_eq!(client.ask("GET", "/told").text(), format!("it is {SECRET}"));
    // A word, a parameter, a header and a body that are the secret.
    let target = format!("/echo/{SECRET}?{SECRET}={SECRET}");
    client.send(format!(
        "GET {target} HTTP/1.1\r\nhost: a\r\nx-key: {SECRET}\r\ncontent-length: 10\r\n\r\n{SECRET}"
    ));
    assert!(client.reply_to("GET").text().ends_with(SECRET));
    let candidates = [
        base().but("GET /told ", Tells("HTTP/1.1 200 OK\nx-a: 1\n\nit was ")),
        base().but("GET /told ", Tells("HTTP/1.1 200 OK\nx-a: 1\nx-secret: ")),
        base().but("GET /told ", Tells("HTTP/1.1 500 Oh\n\nit was ")),
        base().but("GET /told ", Says(FINE)),
        base().but("GET /told ", Traps),
        base().but("GET /echo", Echoes("HTTP/1.1 200 OK\n\nthe request: ")),
        base().but("GET /echo", Traps),
        base().but("GET /told ", Traps).but("GET /echo", Tells("HTTP/1.1 200 OK\nx-a: ")),
    ];
    let mut shown = 0;
    for candidate in &candidates {
        let file = place.write("candidate.wat", candidate);
        let (code, said) = place.0.run(&["diff", &file]);
        assert_eq!(code, 4, "{said}");
        shown += said.matches("[secret KEY]").count();
        has_none(&said);
        has_none(&place.json(&["diff", &file]).1.to_string());
        has_none(&place.is_rejected(candidate, &[]));
    }
    assert!(shown > candidates.len(), "{shown}");
    for command in [&["journal"][..], &["journal", "--json"], &["versions"], &["journal", "export", "recent"]]
    {
        let (code, said) = place.0.run(command);
        assert_eq!(code, 0, "{said}");
        has_none(&said);
    }
    let exported = fs::read_to_string(place.0.folder.file("recent")).unwrap();
    assert!(exported.contains("\nGET /echo/[secret KEY]?[secret KEY]=[secret KEY]\n"), "{exported}");
    has_none(&exported);
    let Place(configured) = place;
    has_none(&configured.server.stop().join("\n"));
}

#[test]
fn a_new_secret_shows_neither_itself_nor_the_old_one() {
    let place = start(&base());
    place.ask(&["/told", &format!("/echo/{SECRET}")]);
    fs::write(place.0.folder.file("key"), "another-sesame").unwrap();
    // The answers differ in the secret only.
    let (code, said) = place.0.run(&["reload"]);
    assert!(
        code == 1 && said.contains("version 2 was rejected in stage replay: 1 of 2 recent requests"),
        "{said}"
    );
    assert!(
        said.contains("the first is GET /told: body differs at line 1: \"it is [secret KEY]\" -> "),
        "{said}"
    );
    has_none(&said);
    // The request has the old secret, which the candidate does not have.
    place.write("other.wat", &base().but("GET /echo", Echoes("HTTP/1.1 200 OK\n\nthe request: ")));
    let (code, said) = place.0.reload(&format!("{PATIENT}{}", LINES.replace("base.wat", "other.wat")));
    assert!(code == 1 && said.contains(" in stage replay: 2 of 2 recent requests"), "{said}");
    has_none(&said);
    // A new secret is no difference that the other gate minds.
    place.reload(&format!("{PATIENT}{}", LINES.replace("gate = 'same'", "")));
    // What was kept has the old secret, which is masked no more.
    let emptied = |place: &Place| {
        let (code, summary) = place.json(&["journal"]);
        assert!(code == 0 && summary["requests"] == 0, "{summary}");
    };
    emptied(&place);
    place.ask(&["/echo/another-sesame"]);
    let (code, said) = place.0.run(&["journal"]);
    assert!(code == 0 && said.contains("GET /echo/"), "{said}");
    has_none(&said);
    let (code, said) = place.0.run(&["rollback", "1"]);
    assert_eq!(code, 0, "{said}");
    emptied(&place);
    let Place(configured) = place;
    has_none(&configured.server.stop().join("\n"));
}
