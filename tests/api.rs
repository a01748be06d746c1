//! API on the control socket: its resources and their replies, by a client of HTTP that is
//! not the program's own.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::modules::saying;
use crate::harness::{
    Client, Configured, Deployment, Folder, bombs, fails_to_start, fixture_text, host, output_of, wait_until,
};

pub mod events;
mod page;

/// Reply of the API.
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: Value,
}

impl Reply {
    /// Returns the value of a field.
    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        { lines }.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends a request with these fields, each with its line end, and reads the reply.
fn send(place: &Deployment, line: &str, fields: &str, body: &[u8]) -> Reply {
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    let head = format!("{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}");
    let head = format!("{head}content-length: {}\r\n\r\n", body.len());
    // Fails if the server has refused the request before everything was sent.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    read(&mut stream)
}

fn read(stream: &mut UnixStream) -> Reply {
    let mut text = String::new();
    // The end may be a reset, if the server has not read everything.
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
    let status = head[9..12].parse().unwrap();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() };
    Reply { status, head: head.into(), body }
}

pub fn get(place: &Deployment, path: &str) -> Reply {
    send(place, &format!("GET {path}"), "", b"")
}

const CHANGES: &str = "x-host-admin: test\r\n";

pub fn post(place: &Deployment, path: &str, fields: &str, body: &[u8]) -> Reply {
    send(place, &format!("POST {path}"), &format!("{CHANGES}{fields}"), body)
}

#[test]
fn a_module_is_uploaded_rolled_back_and_listed() {
    let place = Deployment::new();
    let server = place.start(&["--keep", "2", "--module-max", "64KiB"]);
    let versions = get(&place, "/v1/versions");
    assert_eq!((versions.status, versions.field("etag")), (200, Some("\"1\"")));
    assert_eq!(versions.field("content-type"), Some("application/json"));
    assert_eq!(versions.body[0]["state"], "current");

    let two =
        post(&place, "/v1/versions?name=two%20%C3%A9.wat", "if-match: \"1\"\r\n", saying("two").as_bytes());
    assert_eq!(
        (two.status, two.field("etag"), two.field("location")),
        (201, Some("\"2\""), Some("/v1/versions/2"))
    );
    assert_eq!((&two.body["outcome"], &two.body["replaced"]), (&json!("serving"), &json!(1)));
    server.says("two", 2);
    assert_eq!(get(&place, "/v1/versions/2").body["origin"], "two \u{e9}.wat (sent)");
    assert_eq!(get(&place, "/v1/versions/3").status, 404);
    assert_eq!(get(&place, "/v1/versions/x").status, 404);

    let same = post(&place, "/v1/versions", "", saying("two").as_bytes());
    assert_eq!((same.status, &same.body["outcome"]), (200, &json!("unchanged")));
    let bad = post(&place, "/v1/versions", "", b"(module)");
    assert_eq!((bad.status, &bad.body["stage"], &bad.body["serving"]), (422, &json!("check"), &json!(2)));
    // The list of tags is met by one of them, and by `*`.
    for (tags, status) in [
        ("\"1\"", 412),
        ("\"7\", \"1\"", 412),
        ("W/\"2\"", 400),
        ("2", 400),
        ("", 412),
        ("*, \"99\"", 400),
        ("*", 200),
        ("\"1\", \"2\"", 200),
    ] {
        let reply = post(&place, "/v1/versions", &format!("if-match: {tags}\r\n"), saying("two").as_bytes());
        assert_eq!(reply.status, status, "{tags}: {}", reply.body);
        assert!(status != 412 || reply.body["outcome"] == "refused", "{}", reply.body);
    }
    let large = post(&place, "/v1/versions", "", &vec![b' '; 65_537]);
    assert_eq!(
        (large.status, &large.body["error"]),
        (413, &json!("the module is 65537 bytes long, more than 65536 (--module-max)"))
    );

    let back = post(&place, "/v1/rollback", "", b"");
    assert_eq!((back.status, &back.body["version"], back.field("etag")), (201, &json!(1), Some("\"1\"")));
    server.says("<h1> hello index</h1>", 1);
    let forth = post(&place, "/v1/rollback", "", b"{\"version\":2}");
    assert_eq!((forth.status, &forth.body["replaced"]), (201, &json!(1)));
    assert_eq!(post(&place, "/v1/rollback", "", b"{\"version\":2}").status, 200);
    assert_eq!(post(&place, "/v1/rollback", "", b"{\"version\":9}").status, 409);
    assert_eq!(post(&place, "/v1/rollback", "if-match: \"1\"\r\n", b"").status, 412);
    for body in [&b"{\"version\":-1}"[..], b"{\"more\":1}", b"[]", b"[2]", b"[", b"\xff"] {
        let reply = post(&place, "/v1/rollback", "", body);
        assert!(reply.status == 400 && reply.body["error"].is_string(), "{}", body.escape_ascii());
    }
    assert_eq!(post(&place, "/v1/rollback", "", &[b' '; 20_000]).status, 413);
}

#[test]
fn a_body_in_chunks_is_bounded_like_any_other() {
    let place = Deployment::new();
    let _server = place.start(&["--module-max", "64KiB"]);
    let send = |count: usize| {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        let head = format!(
            "POST /v1/versions HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{CHANGES}transfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        for _ in 0..count {
            let _ = stream.write_all(format!("1000\r\n{}\r\n", " ".repeat(4096)).as_bytes());
        }
        let _ = stream.write_all(b"0\r\n\r\n");
        read(&mut stream).status
    };
    assert_eq!(send(16), 422);
    assert_eq!(send(17), 413);
}

#[test]
fn a_change_needs_a_field_that_no_page_in_a_browser_can_send() {
    let place = Deployment::new();
    let server = place.start(&[]);
    for line in ["POST /v1/versions", "POST /v1/rollback", "POST /v1/reload", "PUT /v1/log-level"] {
        let reply = send(&place, line, "", b"{}");
        assert_eq!(reply.status, 403, "{line}");
        assert!(reply.body["error"].as_str().unwrap().contains("x-host-admin"), "{}", reply.body);
    }
    server.says("<h1> hello index</h1>", 1);
}

#[test]
fn unknown_resources_and_methods_are_told() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    assert_eq!(get(&place, "/v1").status, 404);
    assert_eq!(get(&place, "/v1/versions/1/more").status, 404);
    for (line, allow) in [
        ("DELETE /v1/versions", "GET, POST, HEAD"),
        ("GET /v1/reload", "POST"),
        ("POST /v1/status", "GET, HEAD"),
    ] {
        let reply = send(&place, line, CHANGES, b"");
        assert_eq!((reply.status, reply.field("allow")), (405, Some(allow)), "{line}");
    }
    let head = send(&place, "HEAD /v1/status", "", b"");
    assert_eq!((head.status, head.body), (200, Value::Null));
}

#[test]
fn a_parameter_that_a_resource_does_not_have_is_refused() {
    let place = Deployment::new();
    let server = place.start(&[]);
    let two = saying("two");
    for (line, said) in [
        ("POST /v1/versions?nam=foo&acept-all=true", "there is no parameter `nam`; did you mean `name`?"),
        ("POST /v1/versions?acept-all=true", "there is no parameter `acept-all`; did you mean `accept-all`?"),
        ("POST /v1/versions?hold=1s", "expected one of: site, name, accept, accept-all, now"),
        ("POST /v1/reload?site=blog", "there is no parameter `site`; this resource has no parameters"),
        ("POST /v1/rollback?version=1", "there is no parameter `version`; expected one of: site"),
        ("PUT /v1/log-level?level=off", "there is no parameter `level`; this"),
        ("HEAD /v1/status?a", ""),
        ("GET /v1/status?a%0A%1B", "there is no parameter `a\\n\\u{1b}`; this"),
        ("GET /v1/versions?=1", "there is no parameter ``; expected one of: site"),
    ] {
        let reply = send(&place, line, CHANGES, two.as_bytes());
        let error = reply.body["error"].as_str().unwrap_or_default();
        assert!(reply.status == 400 && error.contains(said), "{line}: {}", reply.body);
    }
    assert_eq!(get(&place, "/v1/versions/1?site=default&").status, 200);
    server.says("<h1> hello index</h1>", 1);
}

#[test]
fn the_log_level_is_read_and_changed() {
    let place = Deployment::new();
    let mut server = place.start(&["--log-level", "info,request=off"]);
    let level = get(&place, "/v1/log-level").body["level"].as_str().unwrap().to_owned();
    let put = |level: &str| {
        send(&place, "PUT /v1/log-level", CHANGES, json!({ "level": level }).to_string().as_bytes())
    };
    assert_eq!(server.connect().ask("GET", "/quiet").status, 404);
    assert_eq!(put("info").status, 200);
    assert_eq!(server.connect().ask("GET", "/loud").status, 404);
    server.log_line(&["target=/loud"]);
    assert_eq!(server.log_line_now(&["target=/quiet"]), None);
    assert_eq!(put(&level).body["level"], level);
    let wrong = put("loud");
    assert!(
        wrong.status == 400 && wrong.body["error"].as_str().unwrap().contains("expected one of off"),
        "{}",
        wrong.body
    );
}

#[test]
fn the_settings_are_those_with_which_the_server_runs() {
    let place = Deployment::new();
    let _server = place.start(&["--body-max", "64KiB"]);
    let settings = get(&place, "/v1/settings").body;
    let find =
        |key: &str| settings.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap().clone();
    assert_eq!(find("body-max"), json!({ "key": "body-max", "value": "64KiB", "source": "command line" }));
    assert_eq!(find("head-max"), json!({ "key": "head-max", "value": "16KiB", "source": "default" }));
}

#[test]
fn the_limits_in_force_are_numbers_with_their_units() {
    let folder = Folder::new();
    let lines = "body-max = '64KiB'\n[[site]]\nname = 'a'\nmodule = 'a.wat'\ndeadline = '250ms'\n";
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    let place = Configured::start(folder, lines);
    let ask = || {
        let mut stream = UnixStream::connect(place.folder.file("control")).unwrap();
        stream.write_all(b"GET /v1/limits HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        read(&mut stream).body.as_array().unwrap().clone()
    };
    let limits = ask();
    let find = |key: Value, site: Value| {
        let is_wanted = |limit: &&Value| limit["key"] == key && limit["site"] == site;
        limits.iter().find(is_wanted).unwrap_or_else(|| panic!("{key} {site}")).clone()
    };
    let body = find(json!("body-max"), Value::Null);
    assert_eq!(
        (&body["value"], &body["unit"], &body["past"], &body["source"], &body["line"]),
        (&json!(65_536), &json!("bytes"), &json!("413"), &json!("file"), &json!(3))
    );
    let deadline = find(json!("deadline"), Value::Null);
    assert_eq!(
        (&deadline["value"], &deadline["unit"], &deadline["source"]),
        (&json!(1), &json!("seconds"), &json!("default"))
    );
    assert_eq!(find(json!("deadline"), json!("a"))["value"], 0.25);
    assert!(find(json!("connections"), Value::Null)["value"].is_u64());
    let fixed = limits.iter().find(|limit| limit["what"] == "Streams of events at once").unwrap();
    assert_eq!(
        *fixed,
        json!({ "key": null, "what": "Streams of events at once", "value": 32, "unit": "count", "past": "503" })
    );
    // What a reload changes is in force at once.
    assert_eq!(place.reload(&lines.replace("64KiB", "32KiB")).0, 0);
    assert!(ask().iter().any(|limit| limit["key"] == "body-max" && limit["value"] == 32_768));
}

#[test]
fn the_latest_faults_have_their_causes() {
    let place = Deployment::of(fixture_text("traps.wat"));
    let server = place.start(&[]);
    assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    // Faults of clients are counted and not remembered.
    assert_eq!(server.connect().ask("TRACE", "*").status, 400);
    let faults = get(&place, "/v1/faults").body;
    assert_eq!(faults["counts"]["trap"], 1);
    assert_eq!(faults["recent"].as_array().unwrap().len(), 1, "{faults}");
    let recent = &faults["recent"][0];
    assert_eq!(
        (&recent["fault"], &recent["target"], &recent["version"]),
        (&json!("trap"), &json!("/boom"), &json!(1))
    );
    assert!(recent["cause"].as_str().unwrap().contains("integer divide by zero; in divide < "), "{recent}");
    for _ in 0..40 {
        server.connect().ask("GET", "/boom");
    }
    assert_eq!(get(&place, "/v1/faults").body["recent"].as_array().unwrap().len(), 32);
}

#[test]
fn a_reload_is_a_resource() {
    let place = Deployment::of(saying("one"));
    let server = place.start(&["--no-watch"]);
    // Only then the server has read the file that it was started with.
    assert_eq!(post(&place, "/v1/reload", "", b"").body["sites"][0]["outcome"], "unchanged");
    fs::write(place.file(), saying("two")).unwrap();
    let reply = post(&place, "/v1/reload", "", b"");
    assert_eq!(
        (reply.status, &reply.body["sites"][0]["outcome"]),
        (200, &json!("serving")),
        "{}",
        reply.body
    );
    assert_eq!(server.connect().ask("GET", "/").text(), "two");
    fs::write(place.file(), "(module)").unwrap();
    let reply = post(&place, "/v1/reload", "", b"");
    assert!(
        reply.status == 422 && reply.body["error"].as_str().unwrap().contains("was rejected"),
        "{}",
        reply.body
    );
}

#[test]
fn a_client_that_leaves_orders_nothing() {
    let place = Deployment::new();
    let mut server = place.start(&[]);
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    let module = saying("never");
    let head =
        format!("POST /v1/versions HTTP/1.1\r\nhost: a\r\n{CHANGES}content-length: {}\r\n\r\n", module.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&module.as_bytes()[..module.len() - 1]).unwrap();
    drop(stream);
    wait_until("the upload ends", || get(&place, "/v1/status").body["resources"]["uploads"]["used"] == 0);
    server.says("<h1> hello index</h1>", 1);
    assert_eq!(server.log_line_now(&["serving version 2"]), None);
}

#[test]
fn over_tcp_a_client_that_leaves_orders_nothing_either() {
    let place = Deployment::new();
    fs::write(place.path("token"), "0123456789abcdef\n").unwrap();
    let flags =
        ["--admin", "127.0.0.1:0", "--admin-token", &place.path("token"), "--compile-timeout", "10min"];
    let mut server = place.start(&flags);
    let url = server.log_line(&["API: http://"]);
    let address: SocketAddr = url.split("http://").nth(1).unwrap().parse().unwrap();
    let module = bombs::much_code(2500);
    let mut client = Client::connect(address);
    client.send(format!(
        "POST /v1/versions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer 0123456789abcdef\r\n{CHANGES}content-length: {}\r\n\r\n",
        module.len()
    ));
    client.send(&module);
    wait_until("it is prepared", || get(&place, "/v1/versions").body[1]["state"] == "candidate");
    drop(client);
    server.log_line(&["rejected version 2", "its client disconnected before it was ready", "by=127.0.0.1:"]);
}

#[test]
fn a_connection_answers_one_request() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    // A client that reads no replies cannot make the server queue many of them.
    let request = "GET /v1/status HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request.repeat(3).as_bytes()).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert_eq!(text.matches("HTTP/1.1 200").count(), 1, "{text}");
    assert!(text.contains("connection: close\r\n"), "{text}");
}

#[test]
fn the_description_has_every_resource_and_status() {
    let place = Deployment::new();
    let _server = place.start(&[]);
    let document = get(&place, "/v1/openapi.json").body;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 29, "{paths:?}");
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation["responses"].as_object().unwrap().len() > 2, "{method} {path}");
        }
    }
    assert!(document["components"]["schemas"]["Status"]["properties"]["sites"].is_object());
}

#[test]
fn commands_to_a_server_go_through_the_api() {
    let place = Deployment::of(saying("one"));
    let _server = place.start(&[]);
    // Passes connections on to the server, and keeps what the commands send.
    let front = place.path("front");
    let listener = UnixListener::bind(&front).unwrap();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (socket, kept) = (place.socket(), Arc::clone(&sent));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = UnixStream::connect(&socket).unwrap();
            let (mut replies, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut replies, &mut back));
            let mut line = String::new();
            let mut client = BufReader::new(client);
            client.read_line(&mut line).unwrap();
            kept.lock().unwrap().push(line.trim_end().to_owned());
            (&server).write_all(line.as_bytes()).unwrap();
            std::thread::spawn(move || std::io::copy(&mut client, &mut &server));
        }
    });
    fs::write(place.path("two.wat"), saying("two")).unwrap();
    for (command, line) in [
        (vec!["status"], "GET /v1/status HTTP/1.1"),
        (vec!["versions"], "GET /v1/versions HTTP/1.1"),
        (vec!["swap", &place.path("two.wat")], "POST /v1/versions?name="),
        (vec!["rollback"], "POST /v1/rollback HTTP/1.1"),
        (vec!["reload"], "POST /v1/reload HTTP/1.1"),
        (vec!["faults"], "GET /v1/faults HTTP/1.1"),
        (vec!["log-level"], "GET /v1/log-level HTTP/1.1"),
        (vec!["log-level", "info"], "PUT /v1/log-level HTTP/1.1"),
    ] {
        let (code, said) = output_of(host().args(&command).args(["--control", &front]));
        assert_eq!(code, 0, "{command:?}: {said}");
        let last = sent.lock().unwrap().last().cloned().unwrap();
        assert!(last.starts_with(line), "{command:?}: {last}");
    }
}

#[test]
fn one_address_cannot_take_all_connections() {
    let place = Deployment::new();
    let token = place.path("token");
    fs::write(&token, "0123456789abcdef\n").unwrap();
    let mut server = place.start(&["--admin", "127.0.0.1:0", "--admin-token", &token]);
    let url = server.log_line(&["API: http://127.0.0.1:"]);
    let address: SocketAddr = url.split("http://").nth(1).unwrap().parse().unwrap();
    let greedy: Vec<_> = (0..64).map(|_| Client::connect_from([127, 0, 0, 2], address)).collect();
    Client::connect_from([127, 0, 0, 2], address).expect_close();
    let mut modest = Client::connect(address);
    modest.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(modest.reply_to("GET").status, 200);
    drop(greedy);
}

#[test]
fn at_an_address_each_request_needs_the_token() {
    let place = Deployment::new();
    fs::write(place.path("token"), "0123456789abcdef\n").unwrap();
    let token = place.path("token");
    let mut server = place.start(&["--admin", "127.0.0.1:0", "--admin-token", &token]);
    let url = server.log_line(&["API: http://127.0.0.1:"]);
    let address: SocketAddr = url.split("http://").nth(1).unwrap().parse().unwrap();
    let ask = |line: &str, fields: &str| {
        let mut client = Client::connect(address);
        client.send(format!("{line} HTTP/1.1\r\nhost: a\r\n{fields}\r\n"));
        client.reply_to(line.split(' ').next().unwrap())
    };
    for fields in [
        "",
        "authorization: Bearer\r\n",
        "authorization: Bearer 0123456789abcde\r\n",
        "authorization: Bearer 0123456789abcdef0\r\n",
        "authorization: Basic 0123456789abcdef\r\n",
        "authorization: Bearer 0123456789abcdef\r\nauthorization: Bearer 0123456789abcdef\r\n",
    ] {
        let reply = ask("GET /v1/status", fields);
        assert_eq!((reply.status, reply.field("www-authenticate")), (401, Some("Bearer")), "{fields}");
    }
    server.log_line(&["command refused: it came without the token (--admin-token)", "by=127.0.0.1:"]);
    let right = "authorization: bearer 0123456789abcdef\r\n";
    let status = ask("GET /v1/status", right);
    let status: Value = serde_json::from_str(status.text()).unwrap();
    assert_eq!(status["admin"], json!([format!("http://{address}")]));
    assert_eq!(ask("POST /v1/reload", right).status, 403, "the field against forgery is needed, too");
    assert_eq!(ask("POST /v1/reload", &format!("{right}{CHANGES}")).status, 200);
    server.log_line(&["configuration reloaded", "by=127.0.0.1:"]);
    // A token is replaced by replacing the file.
    fs::write(&token, "another token of some length".replace(' ', "-")).unwrap();
    assert_eq!(ask("GET /v1/status", right).status, 401);
    assert_eq!(ask("GET /v1/status", "authorization: Bearer another-token-of-some-length\r\n").status, 200);
    fs::remove_file(&token).unwrap();
    assert_eq!(ask("GET /v1/status", right).status, 503);
    server.log_line(&["the token cannot be read (--admin-token)"]);
}

#[test]
fn a_token_that_other_users_can_read_is_told_at_the_start() {
    let place = Deployment::new();
    let token = place.path("token");
    fs::write(&token, "0123456789abcdef\n").unwrap();
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let mut server = place.start(&["--admin", "127.0.0.1:0", "--admin-token", &token]);
        server.log_line(&["memory that the limits allow"]);
        let told = server.log_line_now(&[
            " WARN ",
            &format!("{token} is open to other users (mode {mode:04o}, --admin-token); close it: chmod 600"),
        ]);
        assert_eq!(told.is_some(), is_told, "{mode:o}");
    }
}

#[test]
fn a_token_that_could_be_guessed_is_refused() {
    let place = Deployment::new();
    let token = place.path("token");
    for (text, cause) in
        [("short\n", "at least 16 visible ASCII characters"), ("0123456789 abcdef\n", "without spaces")]
    {
        fs::write(&token, text).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let said = fails_to_start(&[
            "--listen",
            "127.0.0.1:0",
            "--no-control",
            "--admin",
            "127.0.0.1:0",
            "--admin-token",
            &token,
        ]);
        assert!(said.contains(cause) && said.contains("(--admin-token)"), "{said}");
    }
    fs::remove_file(&token).unwrap();
    let flags =
        ["--listen", "127.0.0.1:0", "--no-control", "--admin", "127.0.0.1:0", "--admin-token", &token];
    assert_eq!(
        fails_to_start(&flags),
        format!(
            "error: cannot use the token file {token} (--admin-token): there is no such file; expected one with one line \
             of at least 16 visible ASCII characters"
        )
    );
    let (code, said) = output_of(host().args(["--admin", "127.0.0.1:0"]));
    assert_eq!(
        (code, &*said),
        (2, "error: --admin needs a token; expected --admin-token FILE with it (see host --help)\n")
    );
}
