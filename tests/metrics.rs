//! Metrics count each request once, through swaps and rollouts, and health needs no token.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use crate::api::post;
use crate::harness::modules::{saying, trapping_at};
use crate::harness::{Client, Deployment, Server, fixture_text, wait_until};
use crate::tls::parts::{Authority, NOW};

/// Reads the metrics with these fields, each with its line end.
pub fn scrape(place: &Deployment, fields: &str) -> String {
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// Returns the value of a sample by its name and labels.
pub fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("there is no {sample}: {text}")).parse().unwrap()
}

/// Returns the sum of all samples of a name.
fn sum(text: &str, name: &str) -> f64 {
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

fn requests(version: &str, method: &str, status: &str) -> String {
    format!(
        "host_requests_total{{site=\"default\",version=\"{version}\",method=\"{method}\",status=\"{status}\"}}"
    )
}

fn ask(server: &Server, requests: &[(&str, &str)]) {
    let mut client = server.connect();
    for (method, target) in requests {
        client.ask(method, target);
    }
}

#[test]
fn each_request_is_counted_once_by_version_method_and_status() {
    let place = Deployment::new();
    let server = place.start(&["--keep", "2"]);
    ask(
        &server,
        &[("GET", "/"), ("GET", "/route"), ("HEAD", "/"), ("GET", "/nope"), ("PATCH", "/"), ("BREW", "/")],
    );
    let text = scrape(&place, "");
    assert_eq!(value(&text, &requests("1", "GET", "2xx")), 2.0);
    assert_eq!(value(&text, &requests("1", "GET", "4xx")), 1.0);
    assert_eq!(value(&text, &requests("1", "HEAD", "2xx")), 1.0);
    assert_eq!(value(&text, &requests("1", "PATCH", "4xx")), 1.0);
    assert_eq!(value(&text, &requests("1", "other", "4xx")), 1.0);
    // Requests that no version was called for, and one that belongs to no site.
    assert_eq!(server.connect().ask("GET", "/%").status, 400);
    let mut client = server.connect();
    client.send(b"GARBAGE\r\n\r\n");
    assert_eq!(client.reply_to("GET").status, 400);
    for number in 2..=5 {
        place.serves(saying(&format!("v{number}")), number);
        ask(&server, &[("GET", "/"); 3]);
    }
    // The requests of versions that are gone are not lost.
    let older = requests("older", "GET", "2xx");
    wait_until("the oldest versions are dropped", || {
        let text = scrape(&place, "");
        assert_eq!(sum(&text, "host_requests_total"), 20.0, "{text}");
        text.contains(&format!("{older} 8"))
    });
    let text = scrape(&place, "");
    assert_eq!(value(&text, &requests("5", "GET", "2xx")), 3.0);
    assert_eq!(value(&text, "host_request_seconds_count{site=\"default\"}"), 18.0, "{text}");
    assert_eq!(value(&text, "host_request_seconds_count{site=\"\"}"), 2.0, "{text}");
    assert_eq!(value(&text, "host_published_total{site=\"default\",how=\"swap\"}"), 4.0);
    assert!(value(&text, "host_sent_bytes_total{site=\"default\"}") > 18.0 * 100.0);
    assert_eq!(value(&text, "host_serving_version{site=\"default\"}"), 5.0);
}

#[test]
fn calls_have_their_times_and_their_waits() {
    let place = Deployment::of(fixture_text("mixed.wat"));
    let server = place.start(&["--instances", "1", "--queue", "1", "--deadline", "300ms"]);
    let mut clients = [server.asking("/l"), server.asking("/l")];
    clients.iter_mut().for_each(|client| assert_eq!(client.reply_to("GET").status, 504));
    ask(&server, &[("GET", "/fine")]);
    let text = scrape(&place, "");
    assert_eq!(value(&text, &requests("1", "GET", "5xx")), 2.0, "{text}");
    assert_eq!(value(&text, "host_faults_total{fault=\"deadline\"}"), 2.0);
    let calls = |name: &str| value(&text, &format!("host_{name}{{site=\"default\"}}"));
    assert_eq!((calls("call_seconds_count"), calls("queue_wait_seconds_count")), (3.0, 3.0));
    // Both ran for their deadline, and one waited for the other.
    assert!((0.5..60.0).contains(&calls("call_seconds_sum")), "{text}");
    let waited = calls("queue_wait_seconds_sum");
    assert!((0.1..60.0).contains(&waited), "{text}");
    assert!(calls("request_seconds_sum") >= waited + calls("call_seconds_sum") - 0.01, "{text}");
}

#[test]
fn changes_are_counted_and_every_metric_stands_on_the_page() {
    let place = Deployment::of(saying("one"));
    Authority::new("authority").issue(&["a.test"], NOW).put(&place.folder, "a");
    let (cert, key) = (place.path("a.pem"), place.path("a.key"));
    let acme = place.path("acme");
    let mut flags = vec!["--listen", "127.0.0.1:0,plain", "--tls-cert", &cert, "--tls-key", &key];
    // Nobody answers there.
    flags.extend([
        "--acme",
        "b.test",
        "--acme-agree",
        "--acme-directory",
        "https://127.0.0.1:1/",
        "--acme-ca",
        &cert,
    ]);
    let server = place.start(&[&flags[..], &["--acme-dir", &acme]].concat());
    wait_until("the next attempt is planned", || {
        scrape(&place, "").contains("host_acme_next_attempt_seconds{")
    });
    ask(&server, &[("GET", "/"), ("GET", "/x")]);
    assert!(place.swap(trapping_at('x', "bad")).contains("in stage replay"));
    place.serves(saying("three"), 3);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    let begun = post(&place, "/v1/rollout?steps=10%25&hold=1h", "", saying("four").as_bytes());
    assert_eq!(begun.status, 202, "{}", begun.body);
    let text = scrape(&place, "");
    assert_eq!(value(&text, "host_rejected_total{site=\"default\",stage=\"replay\"}"), 1.0);
    assert_eq!(value(&text, "host_published_total{site=\"default\",how=\"rollback\"}"), 1.0);
    assert_eq!(value(&text, "host_rollout_changes_total{site=\"default\",change=\"begun\"}"), 1.0);
    assert_eq!(value(&text, "host_rollout_share_ratio{site=\"default\",version=\"4\"}"), 0.1);
    assert_eq!(value(&text, "host_rollout_step{site=\"default\",version=\"4\"}"), 1.0);
    assert!(value(&text, "host_stage_seconds_count{site=\"default\",stage=\"compile\"}") >= 2.0, "{text}");
    assert_eq!(server.connect().ask("GET", "/%").status, 400);

    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let rows: Vec<_> = { rows }.filter(|(name, _)| !name.starts_with("GET ")).collect();
    let text = scrape(&place, "");
    let mut told = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap();
        told.push(name);
        let row = rows.iter().find(|(found, _)| *found == name);
        let row = row.unwrap_or_else(|| panic!("docs/metrics.md lacks {name}: {help}")).1;
        assert!(
            row.contains(help.trim_end_matches('.')),
            "docs/metrics.md says of {name}: {row}; expected: {help}"
        );
    }
    for (name, _) in rows {
        assert!(told.contains(&name), "docs/metrics.md has {name}, which the server lacks");
    }
    // The dashboard asks for metrics that there are.
    let dashboard = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
            for word in words.filter(|word| word.starts_with("host_") || word.starts_with("process_")) {
                let family =
                    word.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
                assert!(told.contains(&word) || told.contains(&family), "{query}: there is no {word}");
                asked += 1;
            }
        }
    }
    assert!(asked > 10, "{asked}");
}

#[test]
fn both_formats_are_served_to_those_who_ask_for_them() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    let open = scrape(&place, "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    assert!(open.ends_with("# EOF\n") && open.contains("# UNIT host_call_seconds seconds\n"), "{open}");
    assert!(open.contains("# TYPE host_accepted_connections counter\n"), "{open}");
    let older = scrape(&place, "");
    assert!(older.contains("# TYPE host_accepted_connections_total counter\n"), "{older}");
    assert!(!older.contains("# EOF") && !older.contains("# UNIT"), "{older}");
}

#[test]
fn health_needs_no_token_and_a_server_that_ends_is_not_ready() {
    let place = Deployment::of(fixture_text("mixed.wat"));
    let token = place.path("token");
    fs::write(&token, "0123456789abcdef\n").unwrap();
    let flags = ["--admin", "127.0.0.1:0", "--admin-token", &token, "--deadline", "60s"];
    let mut server = place.start(&flags);
    let url = server.log_line(&["API: http://127.0.0.1:"]);
    let address: SocketAddr = url.split("http://").nth(1).unwrap().parse().unwrap();
    let ask = |target: &str| {
        let mut client = Client::connect(address);
        client.send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
        client.reply_to("GET")
    };
    for (target, status, text) in [("/livez", 200, "alive\n"), ("/readyz", 200, "ready\n")] {
        let reply = ask(target);
        assert_eq!((reply.status, reply.text()), (status, text));
    }
    assert_eq!(ask("/readyz?verbose").status, 200);
    for target in ["/metrics", "/v1/status", "/livez/", "/readyz/x"] {
        assert_eq!(ask(target).status, 401, "{target}");
    }
    let mut client = server.asking("/l");
    wait_until("the call runs", || value(&scrape(&place, ""), "host_calls") == 1.0);
    server.signal("TERM");
    server.log_line(&["shutting down"]);
    assert_eq!((ask("/livez").status, ask("/readyz").status), (200, 503));
    assert_eq!(value(&scrape(&place, ""), "host_draining"), 1.0);
    assert!(!client.has_reply());
}
