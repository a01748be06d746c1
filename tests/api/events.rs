//! Stream of events.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use super::{CHANGES, get, post, send};
use crate::harness::modules::saying;
use crate::harness::{Configured, Deployment, Folder, Server, fixture_text, kill, wait_until};

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most streams at once.
const STREAMS: usize = 32;

/// Stream that is being read.
pub struct Followed {
    stream: BufReader<UnixStream>,
    head: String,
    /// What was received of the body and not parsed yet.
    text: String,
    /// Last id.
    id: String,
    ready: VecDeque<(String, Value)>,
}

impl Followed {
    pub fn new(place: &Deployment, fields: &str) -> Followed {
        Followed::at(&place.socket(), fields)
    }

    pub fn at(socket: &Path, fields: &str) -> Followed {
        let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("GET /v1/events HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
        let (text, id, ready) = (String::new(), String::new(), VecDeque::new());
        let mut followed = Followed { stream, head, text, id, ready };
        if followed.head.contains("200 OK") {
            // What follows is told from here on.
            while followed.id.is_empty() {
                assert!(followed.receive(), "no id");
            }
        }
        followed
    }

    /// Receives a chunk. Returns false at the end of the body.
    fn receive(&mut self) -> bool {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?}"));
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        self.text += std::str::from_utf8(&chunk[..length]).unwrap();
        while let Some((block, rest)) = self.text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            self.take(&block);
            self.text = rest;
        }
        length > 0
    }

    fn take(&mut self, block: &str) {
        let (mut name, mut data) = (None, None);
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("id", id) => self.id = id.into(),
                ("event", found) => name = Some(found.to_owned()),
                ("data", json) => data = Some(serde_json::from_str(json).unwrap()),
                ("", _) => {}
                _ => panic!("{line}"),
            }
        }
        self.ready.extend(name.zip(data));
    }

    /// Returns the next event, or `None` at the end.
    pub fn next(&mut self) -> Option<Value> {
        while self.ready.is_empty() {
            if !self.receive() {
                return None;
            }
        }
        let (name, data) = self.ready.pop_front()?;
        assert_eq!(data["event"], name);
        let time = data["time"].as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        Some(data)
    }

    /// Checks that the next event has these fields.
    #[track_caller]
    pub fn tells(&mut self, expected: Value) -> Value {
        let event = self.next().expect("an event");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&event[name], value, "{name} of {event}");
        }
        event
    }
}

/// Changes the levels of the log. Returns what the event says about it.
fn set_log_level(place: &Deployment, level: &str) -> Value {
    let body = json!({ "level": level }).to_string();
    let reply = send(place, "PUT /v1/log-level", CHANGES, body.as_bytes());
    assert_eq!(reply.status, 200);
    json!({ "event": "log-level", "level": reply.body["level"] })
}

#[test]
fn each_change_is_told_with_who_ordered_it() {
    let place = Deployment::of(saying("one"));
    let server = place.start(&["--no-watch"]);
    let mut events = Followed::new(&place, "");
    for field in ["content-type: text/event-stream\r\n", "cache-control: no-store\r\n"] {
        assert!(events.head.contains(field), "{}", events.head);
    }
    place.serves(saying("two"), 2);
    let hash = get(&place, "/v1/versions/2").body["sha256"].clone();
    let serving = json!({ "event": "serving", "version": 2, "sha256": hash, "replaced": 1, "how": "swap", "site": null });
    let event = events.tells(serving);
    assert!(event["by"].as_str().unwrap().starts_with("uid "), "{event}");
    assert_eq!(post(&place, "/v1/rollback", "", b"").status, 201);
    events.tells(json!({ "event": "serving", "version": 1, "replaced": 2, "how": "rollback" }));
    assert_eq!(post(&place, "/v1/versions", "", b"(module)").status, 422);
    let rejected = events.tells(json!({ "event": "rejected", "version": 3, "stage": "check", "serving": 1 }));
    assert!(rejected["cause"].as_str().unwrap().contains("no export"), "{rejected}");
    let changed = set_log_level(&place, "warn");
    events.tells(changed);
    fs::write(place.file(), saying("three")).unwrap();
    assert_eq!(post(&place, "/v1/reload", "", b"").status, 200);
    events.tells(json!({ "event": "serving", "version": 4, "how": "swap" }));
    events.tells(json!({ "event": "log-level" }));
    events.tells(json!({ "event": "reloaded", "applied": [], "needs_restart": [], "failed": [] }));
    fs::write(place.file(), "(module)").unwrap();
    server.signal("HUP");
    events.tells(json!({ "event": "rejected", "version": 5, "by": "SIGHUP" }));
    let failed = events.tells(json!({ "event": "not-reloaded", "by": "SIGHUP" }));
    assert!(failed["cause"].as_str().unwrap().contains("version 5 was rejected"), "{failed}");
}

#[test]
fn sites_that_come_and_go_are_told() {
    let folder = Folder::new();
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    let place = Configured::start(folder, "module = 'a.wat'\n");
    let mut events = Followed::at(&place.folder.file("control"), "");
    let shop = "module = 'a.wat'\n[[site]]\nname = 'shop'\npath = '/shop'\nmodule = 'a.wat'\n";
    assert_eq!(place.reload(shop).0, 0);
    events.tells(json!({ "event": "site-added", "site": "shop", "version": 1 }));
    events.tells(json!({ "event": "reloaded", "applied": ["site shop (added)"] }));
    fs::write(place.folder.file("b.wat"), saying("b")).unwrap();
    assert_eq!(place.run(&["swap", "--site", "shop", &place.folder.path("b.wat")]).0, 0);
    events.tells(json!({ "event": "serving", "site": "shop", "version": 2 }));
    assert_eq!(place.reload("module = 'a.wat'\n").0, 0);
    events.tells(json!({ "event": "site-removed", "site": "shop" }));
    events.tells(json!({ "event": "reloaded" }));
}

#[test]
fn faults_of_the_handler_are_told_and_those_of_clients_are_not() {
    let place = Deployment::of(fixture_text("traps.wat"));
    let server = place.start(&[]);
    let mut events = Followed::new(&place, "");
    let before = events.id.clone();
    assert_eq!(server.connect().ask("TRACE", "*").status, 400);
    let reply = server.connect().ask("GET", "/boom");
    let fault = events.tells(json!({ "event": "fault", "fault": "trap", "status": 500, "target": "/boom" }));
    assert_eq!(fault["id"].as_str(), reply.field("x-request-id"));
    assert!(fault["cause"].as_str().unwrap().contains("integer divide by zero"), "{fault}");
    assert_eq!(events.id, before, "a fault has no id");
}

#[test]
fn a_client_that_comes_back_gets_what_has_changed_meanwhile() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let mut events = Followed::new(&place, "");
    let changed = set_log_level(&place, "warn");
    events.tells(changed);
    let last = format!("last-event-id: {}\r\n", events.id);
    drop(events);
    let changed = ["error", "info"].map(|level| set_log_level(&place, level));
    let mut events = Followed::new(&place, &last);
    changed.into_iter().for_each(|changed| drop(events.tells(changed)));
    // More changes than the server keeps.
    for _ in 0..257 {
        set_log_level(&place, "info");
    }
    Followed::new(&place, &last).tells(json!({ "event": "missed", "count": 3 }));
    server.stop();
    let _server = place.start(&[]);
    let mut events = Followed::new(&place, &last);
    events.tells(json!({ "event": "missed", "count": null }));
    let changed = set_log_level(&place, "error");
    events.tells(changed);
}

#[test]
fn the_number_of_streams_is_bounded() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    let mut streams: Vec<_> = (0..STREAMS).map(|_| Followed::new(&place, "")).collect();
    let refused = get(&place, "/v1/events");
    assert_eq!(refused.status, 503);
    assert!(refused.body["error"].as_str().unwrap().contains("32 clients follow"), "{}", refused.body);
    let head = send(&place, "HEAD /v1/events", "", b"");
    assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
    assert!(head.field("content-length").is_none() && head.body.is_null(), "{}", head.head);
    place.serves(saying("two"), 2);
    for events in &mut streams {
        events.tells(json!({ "event": "serving", "version": 2 }));
    }
    streams.pop();
    wait_until("the stream of the client that left ends", || {
        Followed::new(&place, "").head.contains("200 OK")
    });
}

#[test]
fn a_client_that_reads_nothing_holds_neither_swaps_nor_memory() {
    let place = Deployment::of(fixture_text("traps.wat"));
    let mut server = place.start(&["--log-level", "off,host=debug"]);
    // Much more than sockets hold.
    let flood = |server: &Server| {
        let target = format!("/boom?{}", "x".repeat(4096));
        let mut client = server.connect();
        for _ in 0..2000 {
            assert_eq!(client.ask("GET", &target).status, 500);
        }
    };
    flood(&server);
    let before = server.resources().resident_kib;
    let mut unread = Followed::new(&place, "");
    flood(&server);
    let after = server.resources().resident_kib;
    // Without a bound, the events would take 8 MiB.
    assert!(after < before + 4096, "{before} KiB -> {after} KiB");
    place.serves(saying("two"), 2);
    server.says("two", 2);
    server.log_line(&["control connection ended early"]);
    let mut rest = Vec::new();
    unread.stream.read_to_end(&mut rest).unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it was told an end");
}

#[test]
fn a_stream_ends_with_the_server() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let mut events: Vec<_> = (0..3).map(|_| Followed::new(&place, "")).collect();
    server.stop();
    for events in &mut events {
        events.tells(json!({ "event": "ending" }));
        assert!(events.next().is_none(), "there is more");
    }
}

/// Follows the events by the command. Returns its process and its lines, once there is one.
fn command(place: &Deployment, arguments: &[&str]) -> (std::process::Child, Receiver<String>, String) {
    let mut command = place.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut first = None;
    wait_until("the command prints an event", || {
        set_log_level(place, "info");
        first = lines.recv_timeout(Duration::from_millis(10)).ok();
        first.is_some()
    });
    (child, lines, first.unwrap())
}

#[test]
fn the_command_prints_a_line_for_each_event_until_the_server_ends() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let (text, lines, first) = command(&place, &["events"]);
    let (json, objects, object) = command(&place, &["events", "--json"]);
    assert!(first.contains("Z log-level level=\"request=info,info\" by=\"uid "), "{first}");
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["event"], "log-level");
    place.serves(saying("two"), 2);
    server.stop();
    let serving = lines.iter().find(|line| line.contains("serving")).unwrap();
    assert!(serving.contains("Z serving version=2 sha256="), "{serving}");
    assert!(lines.iter().last().unwrap().ends_with("Z ending"));
    assert!(objects.iter().last().unwrap().starts_with("{\"event\":\"ending\",\"time\":"));
    for child in [text, json] {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
}

#[test]
fn the_command_fails_when_the_server_ends_otherwise() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let (child, _lines, _) = command(&place, &["events"]);
    kill("KILL", server.pid());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("ended without a word: it was killed") && said.contains("its log"), "{said}");
    let streams = place.tell(&["events"]);
    assert!(streams.starts_with("error: "), "{streams}");
}
