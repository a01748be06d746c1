//! What the journal keeps: some requests of each class, and nothing of what it leaves out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::handlers::Does::{Says, Traps};
use super::handlers::Handler;
use super::{FINE, PATIENT, Place, assert_counts};
use crate::harness::{host, output_of};

fn fine() -> Handler {
    Handler::new(Says(FINE))
}

fn start(lines: &str) -> Place {
    Place::start(&fine(), &settings(lines))
}

fn settings(lines: &str) -> String {
    format!("{PATIENT}module = 'base.wat'\n{lines}\n")
}

#[test]
fn a_rare_class_survives_a_flood_of_another() {
    let place = start("journal = 8");
    place.ask(&["/rare/one"]);
    let flood: Vec<_> = (0..1000).map(|number| format!("/flood/{number}")).collect();
    place.ask(&flood);
    assert_eq!(place.classes(), [("GET /flood/* 200".into(), 7), ("GET /rare/one 200".into(), 1)]);
    let cause = place.is_rejected(&fine().but("GET /rare", Traps), &[]);
    assert!(cause.starts_with("1 of 8 recent requests fail"), "{cause}");
}

#[test]
fn a_flood_of_classes_leaves_the_others_their_places() {
    let place = start("journal = 40");
    // Each is met twice.
    let usual = ["/a", "/b", "/c", "/d", "/e"];
    place.ask(&usual);
    place.ask(&usual);
    let letters = || 'a'..='z';
    let flood = letters().flat_map(|one| letters().map(move |other| format!("/flood/{one}{other}")));
    place.ask(&flood.collect::<Vec<_>>());
    let classes = place.classes();
    assert!(classes.len() <= 10, "{classes:?}");
    for target in usual {
        assert!(classes.contains(&(format!("GET {target} 200"), 2)), "{target}: {classes:?}");
    }
}

#[test]
fn the_paths_of_a_scanner_are_one_class_for_each_depth() {
    let place = Place::start(
        &Handler::new(Says("HTTP/1.1 404 Not Found\n\n")).but("GET / ", Says(FINE)),
        &settings(""),
    );
    place.ask(&["/", "/wp-admin", "/.env", "/old?page=admin", "/wp/login.php", "/a/b/", "/cgi-bin/x?y"]);
    let expected = [("GET / 200", 1), ("GET /* 404", 3), ("GET /*/* 404", 2), ("GET /*/*/* 404", 1)]
        .map(|(class, count)| (class.into(), count));
    assert_eq!(place.classes(), expected);
}

#[test]
fn a_request_that_is_left_out_is_not_kept() {
    let place = start("journal-skip = 'POST /login'");
    let mut client = place.0.server.connect();
    client.post("/login", b"user=me&password=sesame");
    // The same request, as a client sends it to a proxy.
    client.send("POST http://test/login HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\r\na=b");
    assert_eq!(client.reply_to("POST").status, 200);
    client.post("/items", b"milk");
    client.ask("GET", "/login");
    client.ask("GET", "/private/letter?to=me");
    let classes = |place: &Place| place.classes().into_iter().map(|(class, _)| class).collect::<Vec<_>>();
    assert_eq!(classes(&place), ["GET /login 200", "GET /private/letter?to= 200", "POST /items 200"]);
    let other = Handler::new(Traps).but("GET ", Says(FINE)).but("POST /items ", Says(FINE));
    assert_counts(&place.passes(&other, &[]), &[("same", 3)]);
    place.undo();
    // A reload drops the requests of a new pattern at once, and does not try its own candidate on
    // them.
    place.write("public.wat", &fine().but("GET /private/", Traps));
    let lines = "journal-skip = ['POST /login', '/private/*']";
    place.reload(&settings(lines).replace("base.wat", "public.wat"));
    assert_eq!(classes(&place), ["GET /login 200", "POST /items 200"]);
    client.ask("GET", "/private/letter?to=me");
    assert_eq!(classes(&place), ["GET /login 200", "POST /items 200"]);
}

#[test]
fn without_a_journal_every_candidate_passes() {
    let place = start("journal = 0\ngate = 'same'");
    place.ask(&["/", "/about"]);
    let (code, said) = place.0.run(&["journal"]);
    assert!(code == 0 && said == "the journal is off (--journal 0)\n", "{said}");
    let bad = fine().but("GET /about", Traps);
    let file = place.write("bad.wat", &bad);
    let (code, report) = place.json(&["diff", &file]);
    assert_eq!((code, &report["requests"]), (1, &0.into()), "{report}");
    assert!(place.passes(&bad, &[]).is_null());
}

#[test]
fn a_reload_turns_the_journal_off_and_on() {
    let place = start("");
    place.ask(&["/", "/about"]);
    place.write("bad.wat", &fine().but("GET /about", Traps));
    // Without a journal there is nothing on which the new file of the same reload is tried.
    place.reload(&settings("journal = 0").replace("base.wat", "bad.wat"));
    assert_eq!(place.classes(), []);
    place.undo();
    place.ask(&["/"]);
    assert_eq!(place.classes(), []);
    place.reload(&settings(""));
    place.ask(&["/about"]);
    assert_eq!(place.classes(), [("GET /about 200".into(), 1)]);
}

#[test]
fn the_journal_is_shown_by_class() {
    let place = start("journal = 100\njournal-bytes = '1MiB'");
    place.ask(&["/items/1", "/items/2", "/"]);
    place.0.server.connect().post("/large", &vec![b'x'; 100_000]);
    let (code, said) = place.0.run(&["journal"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(code, 0, "{said}");
    assert!(lines[0].starts_with("3 of at most 100 requests, "), "{said}");
    assert!(lines[0].ends_with(" of 1.0 MiB, 2 classes; 1 were too large"), "{said}");
    assert!(lines[2].starts_with("       1 ") && lines[2].ends_with("  GET / 200"), "{said}");
    assert!(lines[3].starts_with("       2 ") && lines[3].ends_with("  GET /items/* 200"), "{said}");
}

#[test]
fn the_journal_is_exported_to_a_file_that_the_same_module_passes() {
    let handler = fine()
        .but("GET /gone ", Says("HTTP/1.1 404 Not Found\n\n"))
        .but("GET /own ", Says("HTTP/1.1 500 Oh\n\n"))
        .but("GET /broken", Traps)
        .but("POST /strict ", Says("HTTP/1.1 400 Bad\n\n"))
        .but("POST /strict HTTP/1.1\r\nhost: test\r\nx-a: 1\r\n", Says(FINE));
    let place = Place::start(&handler, &settings(""));
    place.ask(&["/", "/items/7?a=b&c", "/gone", "/own", "/broken/x"]);
    let mut client = place.0.server.connect();
    client.ask("HEAD", "/");
    client.ask("DELETE", "/items/7");
    client.ask("OPTIONS", "*");
    client.post("/items", b"{\"name\": \"milk\"}\n\n  {\"name\": \"honey\"}");
    client.send("POST /strict HTTP/1.1\r\nhost: test\r\nx-a: 1\r\ncookie: a=sesame\r\nauthorization: Basic sesame\r\ncontent-length: 2\r\n\r\nok");
    assert_eq!(client.reply_to("POST").status, 200);
    // What a text cannot show, or what its reader would take for something else.
    for body in [
        &b"\xff"[..],
        b"line\n",
        b"### x",
        b"> 200",
        b"//> 200",
        b"@a = b",
        b"{{a}}",
        b"< file",
        b"a\r\nb",
        b"a\n ",
        b" ",
    ] {
        client.post("/odd", body);
    }
    client.send("#GET /odd HTTP/1.1\r\nhost: test\r\n\r\n");
    client.reply_to("GET");
    client.send("GET /odd HTTP/1.1\r\nhost: test\r\n#a: b\r\n\r\n");
    client.reply_to("GET");
    let (code, said) = place.0.run(&["journal", "export", "recent.http"]);
    assert!(code == 0 && said == "wrote 9 requests to recent.http\n", "{said}");
    let file = place.0.folder.file("recent.http");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("\n### GET /items/*?a=&c= 200\nGET /items/7?a=b&c\nhost: test\n\n> 200\n"),
        "{text}"
    );
    assert!(text.contains("\ncookie: ***\nauthorization: ***\n") && !text.contains("sesame"), "{text}");
    assert!(text.contains("\n# left out, because it ended in a fault (trap): GET /broken/x\n"), "{text}");
    let (code, said) =
        output_of(host().args(["test", "base.wat", "recent.http"]).current_dir(place.0.folder.file("")));
    assert!(code == 0 && said.ends_with("\n9 passed, 0 failed\n"), "{said}");
    // The file is also one of probes.
    place.reload(&settings("probe-file = 'recent.http'"));

    let (code, said) = place.0.run(&["journal", "export", "recent.http"]);
    assert!(code == 1 && said.starts_with("error: cannot write recent.http: File exists"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}
