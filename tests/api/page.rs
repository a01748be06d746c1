//! The page for a browser, and what it reads besides the other resources: the stream of samples of
//! the traffic, and the report on the latest candidate that was tried.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::{get, post, send};
use crate::harness::modules::saying;
use crate::harness::{Client, Configured, Deployment, Folder, fixture_text, wait_until};

/// Most streams at once.
const STREAMS: usize = 32;

/// Stream of samples that is being read.
struct Samples(BufReader<UnixStream>);

impl Samples {
    fn new(socket: &std::path::Path, query: &str) -> Samples {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(format!("GET /v1/traffic{query} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
        let mut samples = Samples(BufReader::new(stream));
        assert!(samples.line().starts_with("HTTP/1.1 200"));
        samples
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Returns the next sample, or `None` at the end.
    fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.line();
            if line.is_empty() || line == "0\r\n" {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// Reads samples until there have been so many requests. Returns all samples.
    fn until(&mut self, requests: u64) -> Vec<Value> {
        let mut all = Vec::new();
        let sum = |all: &[Value]| all.iter().map(|sample| sample["requests"].as_u64().unwrap()).sum::<u64>();
        while sum(&all) < requests {
            all.push(self.next().expect("a sample"));
        }
        assert_eq!(sum(&all), requests);
        all
    }
}

/// Returns the sum of a number of all samples.
fn sum(samples: &[Value], name: &str) -> u64 {
    samples.iter().map(|sample| sample[name].as_u64().unwrap()).sum()
}

#[test]
fn the_page_is_served_without_a_token_and_protects_itself() {
    let place = Deployment::new();
    fs::write(place.path("token"), "0123456789abcdef\n").unwrap();
    let mut server = place.start(&["--admin", "127.0.0.1:0", "--admin-token", &place.path("token")]);
    let url = server.log_line(&["API: http://127.0.0.1:"]);
    let address: SocketAddr = url.split("http://").nth(1).unwrap().parse().unwrap();
    let ask = |line: &str| {
        let mut client = Client::connect(address);
        client.send(format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n"));
        client.reply_to(line.split(' ').next().unwrap())
    };
    let page = ask("GET /");
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let names: Vec<_> =
        page.text().split("/page/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names, ["icon.svg", "page.css", "main.js"]);
    let mut scripts: Vec<String> = names.iter().map(|name| (*name).into()).collect();
    let mut seen = 0;
    // Each file that the page loads, and that these load in turn.
    while let Some(name) = scripts.get(seen).cloned() {
        seen += 1;
        let file = ask(&format!("GET /page/{name}"));
        assert_eq!(file.status, 200, "{name}");
        let kind = match name.rsplit('.').next().unwrap() {
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        assert_eq!(file.field("content-type"), Some(kind));
        for other in file.text().split("from \"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            if !scripts.iter().any(|known| known == other) {
                scripts.push(other.into());
            }
        }
        for (field, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!((file.field(field), page.field(field)), (Some(value), Some(value)), "{name}: {field}");
        }
        let text = file.text();
        for forbidden in
            ["innerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://", "localStorage"]
        {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
    }
    assert!(scripts.len() > 6, "{scripts:?}");
    let policy = page.field("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.split("; ").any(|found| found == part), "{policy} lacks {part}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for inline in ["<style", "style=", "<script>", " onclick=", " onload="] {
        assert!(!page.text().contains(inline), "the page has {inline}");
    }
    let head = ask("HEAD /");
    assert_eq!((head.status, head.field("content-length")), (200, page.field("content-length")));
    assert_eq!(ask("HEAD /page/main.js").status, 200);
    assert_eq!(ask("GET /page/none.js").status, 404);
    assert_eq!(ask("GET /page/../main.js").status, 401, "no other path is open");
    // The page is open, and what it shows is not.
    for path in ["/v1/status", "/v1/traffic", "/v1/events", "/v1/replay"] {
        assert_eq!(ask(&format!("GET {path}")).status, 401, "{path}");
    }
}

#[test]
fn the_traffic_is_told_of_the_whole_server_and_of_a_site_with_its_versions() {
    let folder = Folder::new();
    fs::write(folder.file("traps.wat"), fixture_text("traps.wat")).unwrap();
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    let site = "[[site]]\nname = 'shop'\npath = '/shop'\nmodule = 'a.wat'\n";
    let lines = format!("module = 'traps.wat'\nprobe = ['GET /fine']\nwatch-after = '0s'\n{site}");
    let place = Configured::start(folder, &lines);
    let socket = place.folder.file("control");
    let (mut all, mut shop) = (Samples::new(&socket, ""), Samples::new(&socket, "?site=shop"));
    // From here on both count.
    assert!(all.next().is_some() && shop.next().is_some());
    let mut client = place.server.connect();
    for _ in 0..5 {
        assert_eq!(client.ask("GET", "/fine").status, 200);
        assert_eq!(client.ask("GET", "/shop").status, 200);
    }
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/boom").status, 500);
    }
    let of_all = all.until(13);
    assert_eq!(sum(&of_all, "failed"), 3);
    let last = of_all.last().unwrap();
    assert!(
        last["p50_seconds"].as_f64().unwrap() > 0.0
            && last["p99_seconds"].as_f64() >= last["p50_seconds"].as_f64()
    );
    assert!(
        last["connections"].as_u64().unwrap() >= 1 && last["memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{last}"
    );
    assert!(last["seconds"].as_f64().unwrap() > 0.5 && last["versions"].is_null(), "{last}");
    let of_shop = shop.until(5);
    assert_eq!(of_shop.last().unwrap()["versions"][0]["version"], 1);
    assert_eq!((sum(&of_shop, "failed"), sum(&of_shop, "requests")), (0, 5));

    // Those that come later get what was sampled before.
    let mut later = Samples::new(&socket, "?site=shop");
    assert!(later.until(5).len() <= of_shop.len() + 3);
    fs::write(place.folder.file("b.wat"), saying("b")).unwrap();
    assert_eq!(place.run(&["swap", "--site", "shop", &place.folder.path("b.wat")]).0, 0);
    assert_eq!(client.ask("GET", "/shop").text(), "b");
    let versions = shop.until(1).pop().unwrap()["versions"].clone();
    assert_eq!(versions, json!([{ "version": 2, "requests": 1, "failed": 0 }]));

    // The stream of a site that is removed ends.
    assert_eq!(place.reload("module = 'traps.wat'\nprobe = ['GET /fine']\n").0, 0);
    while shop.next().is_some() {}
    let mut gone = UnixStream::connect(&socket).unwrap();
    gone.write_all(b"GET /v1/traffic?site=shop HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut said = String::new();
    gone.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 404") && said.contains("there is no site shop"), "{said}");
}

#[test]
fn the_streams_of_the_traffic_are_bounded_and_given_back() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    let mut streams: Vec<_> = (0..STREAMS).map(|_| Samples::new(&place.socket(), "")).collect();
    let refused = get(&place, "/v1/traffic");
    assert_eq!(refused.status, 503);
    assert!(
        refused.body["error"].as_str().unwrap().contains("32 clients follow the traffic"),
        "{}",
        refused.body
    );
    let head = send(&place, "HEAD /v1/traffic", "", b"");
    assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
    assert_eq!(get(&place, "/v1/traffic?sit=a").status, 400);
    streams.pop();
    let mut again = None;
    wait_until("a place is free", || {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        stream.write_all(b"GET /v1/traffic HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut samples = Samples(BufReader::new(stream));
        let is_free = samples.line().starts_with("HTTP/1.1 200");
        again = Some(samples);
        is_free
    });
    assert!(again.unwrap().next().is_some());
}

#[test]
fn what_came_of_the_latest_candidate_is_kept_with_examples() {
    let place = Deployment::of(saying("one"));
    let server = place.start(&["--no-watch"]);
    assert_eq!(get(&place, "/v1/replay").status, 404);
    server.says("one", 1);
    assert_eq!(post(&place, "/v1/versions", "", saying("two").as_bytes()).status, 201);
    let passed = get(&place, "/v1/replay").body;
    assert_eq!(
        (&passed["version"], &passed["against"], &passed["passed"]),
        (&json!(2), &json!(1), &json!(true))
    );
    let example = &passed["report"]["groups"][0]["examples"][0];
    assert_eq!(
        example["parts"][0]["diff"]["lines"][0],
        json!({ "line": "removed", "text": "one" }),
        "{passed}"
    );
    assert_eq!(post(&place, "/v1/versions", "", fixture_text("traps.wat").as_bytes()).status, 422);
    let rejected = get(&place, "/v1/replay").body;
    assert_eq!(
        (&rejected["version"], &rejected["against"], &rejected["passed"]),
        (&json!(3), &json!(2), &json!(false))
    );
    let example = &rejected["report"]["groups"][0]["examples"][0];
    assert_eq!((&example["verdict"], &example["to"]["fault"]), (&json!("newly_faulting"), &json!("trap")));
}

#[test]
fn an_order_about_a_rollout_may_name_the_candidate_that_it_is_for() {
    let place = Deployment::of(saying("one"));
    let server = place.start(&["--no-watch"]);
    let begin = |text: &str| {
        let reply = post(&place, "/v1/rollout?steps=1%25,50%25&hold=10min", "", saying(text).as_bytes());
        assert_eq!(reply.status, 202, "{}", reply.body);
    };
    begin("two");
    begin("three");
    for what in ["pause", "resume", "promote", "abort"] {
        let reply = post(&place, &format!("/v1/rollout/{what}?version=2"), "", b"");
        let error = reply.body["error"].as_str().unwrap_or_default();
        assert!(
            reply.status == 409 && error.contains("version 3 is rolled out; expected version 2"),
            "{what}: {error}"
        );
    }
    assert_eq!(get(&place, "/v1/rollout").body["state"], "canary");
    assert_eq!(post(&place, "/v1/rollout/pause?version=x", "", b"").status, 400);
    assert_eq!(post(&place, "/v1/rollout/pause?version=3", "", b"").body["state"], "paused");
    assert_eq!(post(&place, "/v1/rollout/resume?version=3", "", b"").body["state"], "canary");
    assert_eq!(post(&place, "/v1/rollout/promote?version=3", "", b"").body["state"], "published");
    server.says("three", 3);
    begin("four");
    assert_eq!(post(&place, "/v1/rollout/abort?version=4", "", b"").body["serving"], 3);
    // Without a rollout, the order is not taken for one about a candidate that is prepared.
    assert_eq!(post(&place, "/v1/rollout/abort?version=4", "", b"").status, 409);
}
