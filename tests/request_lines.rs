//! Log lines of requests: which fields they have, what they show of a query, and how a program can
//! read them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::harness::modules::saying;
use crate::harness::{Client, Configured, Folder, Server, fixture_text, host};

/// Starts a server in a folder with modules and a secret. Its configuration has these lines.
fn start(lines: &str) -> Configured {
    let folder = Folder::new();
    for name in ["show", "traps", "raw", "logs", "loops", "configures"] {
        fs::write(folder.file(&format!("{name}.wat")), fixture_text(&format!("{name}.wat"))).unwrap();
    }
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    fs::write(folder.file("b.wat"), saying("b")).unwrap();
    fs::write(folder.file("bad.wat"), "(module)").unwrap();
    let mut command = host();
    command.env("THE_KEY", "s3cr3t-text");
    Configured::spawn(command, folder, lines)
}

/// Sends a request, and returns its status and its id.
fn ask(client: &mut Client, request: &str) -> (u16, String) {
    client.send(request);
    let reply = client.reply_to("GET");
    (reply.status, reply.field("x-request-id").unwrap().to_owned())
}

#[test]
fn a_line_has_the_fields_that_were_asked_for() {
    let all = "default,span,parent,host,protocol,user_agent,referer,peer,bytes_in,bytes_out,queue_us,call_us";
    let flags = [
        "--log-fields",
        all,
        "--traceparent",
        "accept",
        "--trust-forwarded",
        "127.0.0.1",
        "--log-format",
        "json",
    ];
    let mut server = Server::of_with("show.wat", &flags);
    let request = "GET /a?b=c HTTP/1.0\r\nHost: A.example:80\r\nx-forwarded-for: 192.0.2.7\r\n\
                   User-Agent: x \"y\"\r\nReferer: http://user:password@b/c?d=e\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    let (_, id) = ask(&mut server.connect(), request);
    let line: Value = serde_json::from_str(&server.log_line(&["\"request\"", &id])).unwrap();
    let mut fields = line["fields"].clone();
    for time in ["time_us", "queue_us", "call_us"] {
        assert!(fields[time].is_u64(), "{fields}");
    }
    let (sent, body) = (fields["bytes_out"].as_u64().unwrap(), fields["length"].as_u64().unwrap());
    assert!(sent > body && body > 100, "{fields}");
    for name in ["time_us", "queue_us", "call_us", "bytes_out", "length"] {
        fields.as_object_mut().unwrap().remove(name);
    }
    let expected = serde_json::json!({
        "method": "GET", "target": "/a?b=c", "status": 200, "client": "192.0.2.7", "peer": "127.0.0.1",
        "bytes_in": request.len(), "protocol": "HTTP/1.0", "host": "A.example:80", "user_agent": "x \"y\"",
        "referer": "http://b/c?d=e", "version": 1, "id": id, "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span": id.rsplit('-').next().unwrap(), "parent": "00f067aa0ba902b7",
    });
    assert_eq!(fields, expected);
    // A field that a request does not have is left out.
    let (_, id) = ask(&mut server.connect(), "GET http://u:p@c/ HTTP/1.1\r\nhost: d\r\n\r\n");
    let line: Value = serde_json::from_str(&server.log_line(&["\"request\"", &id])).unwrap();
    assert_eq!((&line["fields"]["host"], &line["fields"]["target"]), (&"c".into(), &"http://c/".into()));
    for name in ["user_agent", "referer", "parent", "site", "version", "queue_us", "call_us"] {
        assert!(line["fields"].get(name).is_none(), "{line}");
    }
}

#[test]
fn a_line_has_no_other_fields_unless_it_is_about_a_fault() {
    let mut server = Server::of_with("traps.wat", &["--log-fields", "status,method", "--log-level", "info"]);
    let (status, _) = ask(&mut server.connect(), "GET /fine HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(status, 200);
    let line = server.log_line(&["INFO request: "]);
    assert!(line.ends_with("request: method=GET status=200"), "{line}");
    let (status, id) = ask(&mut server.connect(), "GET /boom HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(status, 500);
    let line = server.log_line(&["ERROR request: "]);
    let end = format!("request: method=GET status=500 id={id} fault=\"trap\" cause=\"wasm trap: ");
    assert!(line.contains(&end), "{line}");
    // The level of request lines hides no fault, and neither do their fields.
    let mut server =
        Server::of_with("traps.wat", &["--log-fields", "host", "--log-level", "info,request=off"]);
    ask(&mut server.connect(), "GET /fine HTTP/1.1\r\nhost: a\r\n\r\n");
    let (_, id) = ask(&mut server.connect(), "GET /boom HTTP/1.1\r\nhost: a\r\n\r\n");
    let line = server.log_line(&["request: "]);
    assert!(line.contains(&format!("ERROR request: host=a id={id} fault=\"trap\" cause=")), "{line}");
}

#[test]
fn what_a_client_sends_stays_in_its_field_and_is_cut() {
    let flags = ["--log-fields", "host,user_agent,referer,status"];
    for (sent, shown) in [
        ("x status=200", "\"x status=200\"".to_owned()),
        ("a\" status=\"200", r#""a\" status=\"200""#.to_owned()),
        ("ü\u{9b}\u{202e}", r#""ü\u{9b}\u{202e}""#.to_owned()),
        (&"y".repeat(5000), format!("\"{}…\"", "y".repeat(512))),
    ] {
        let mut server = Server::of_with("show.wat", &flags);
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nuser-agent: {sent}\r\nreferer: {sent}\r\n\r\n");
        ask(&mut server.connect(), &request);
        let line = server.log_line(&["INFO request: "]);
        let expected = format!("status=200 host=a user_agent={shown} referer={shown}");
        assert!(line.ends_with(&expected), "{line}");
    }
    let mut server = Server::of_with("show.wat", &flags);
    let mut client = server.connect();
    client.send(b"GET / HTTP/1.1\r\nhost: a\r\nuser-agent: a\xff\r\n\r\n");
    client.reply_to("GET");
    server.log_line(&["user_agent=\"a\u{fffd}\""]);
}

#[test]
fn a_secret_is_in_no_field() {
    let mut place = start(
        "module = 'configures.wat'\nlog-fields = ['target', 'host', 'user_agent', 'referer']\n\
         secrets.KEY = { env = 'THE_KEY' }\n",
    );
    let request = "GET /s3cr3t-text HTTP/1.1\r\nhost: s3cr3t-text\r\nuser-agent: s3cr3t-text\r\n\
                   referer: http://a/s3cr3t-text\r\n\r\n";
    ask(&mut place.server.connect(), request);
    let line = place.server.log_line(&["INFO request: "]);
    assert_eq!(line.matches("[secret KEY]").count(), 4, "{line}");
    assert!(!line.contains("s3cr3t"), "{line}");
}

#[test]
fn a_query_is_shown_as_it_was_asked_for_wherever_the_server_names_a_request() {
    for (query, target, referer) in [
        ("keep", "/boom?token=t0ken&x", "http://b/?key=k3y"),
        ("mask", "/boom?token=*&*", "http://b/?key=*"),
        ("drop", "/boom", "http://b/"),
    ] {
        let mut place = start(&format!(
            "module = 'a.wat'\nlog-query = '{query}'\nlog-fields = 'default,referer'\nlog-format = 'json'\n\
             [[site]]\nname = 'traps'\npath = '/boom'\nmodule = 'traps.wat'\nno-probe = true\n"
        ));
        let request = "GET /boom?token=t0ken&x HTTP/1.1\r\nhost: a\r\nreferer: http://u@b/?key=k3y\r\n\r\n";
        ask(&mut place.server.connect(), request);
        let line: Value = serde_json::from_str(&place.server.log_line(&["\"request\""])).unwrap();
        assert_eq!(line["fields"]["target"], target);
        assert_eq!(line["fields"]["referer"], referer);
        let (_, faults) = place.run(&["faults"]);
        assert!(faults.contains(&format!("GET {target}")), "{faults}");
        // An example of a comparison, and the reason of a rejection.
        ask(&mut place.server.connect(), "GET /other?token=t0ken HTTP/1.1\r\nhost: a\r\n\r\n");
        let other = target.replace("boom", "other").replace("&x", "").replace("&*", "");
        let (_, said) = place.run(&["diff", "b.wat"]);
        assert!(
            said.contains(&format!("GET {other}")) && (query == "keep" || !said.contains("t0ken")),
            "{said}"
        );
        let traps = saying("b").replacen(
            "(func (export \"handle\") (param i32 i32) (result i64)",
            "(func (export \"handle\") (param i32 i32) (result i64) unreachable",
            1,
        );
        fs::write(place.folder.file("fails.wat"), traps).unwrap();
        let (code, said) = place.run(&["swap", "fails.wat"]);
        assert!(code != 0 && (query == "keep" || !said.contains("t0ken")), "{said}");
        // The requests themselves are not changed.
        place.run(&["journal", "export", "kept.http"]);
        let kept = fs::read_to_string(place.folder.file("kept.http")).unwrap();
        assert!(kept.contains("GET /other?token=t0ken"), "{kept}");
    }
}

#[test]
fn a_reload_changes_the_lines_at_once_and_a_list_is_checked() {
    let mut place = start("module = 'a.wat'\nlog-fields = 'method'\n");
    let mut client = place.server.connect();
    client.ask("GET", "/a?b=c");
    let line = place.server.log_line(&["INFO request: "]);
    assert!(line.ends_with("request: method=GET"), "{line}");
    let (code, said) =
        place.reload("module = 'a.wat'\nlog-fields = ['target', 'status']\nlog-query = 'drop'\n");
    assert!(code == 0 && said.starts_with("reloaded; settings changed: log-fields, log-query\n"), "{said}");
    // Even those of connections that are open.
    client.ask("GET", "/a?b=c");
    place.server.log_line(&["INFO request: target=/a status=200"]);
    for wrong in ["'user-agent'", "['method', 'user-agent']", "'method,user-agent'"] {
        let (code, said) = place.reload(&format!("module = 'a.wat'\nlog-fields = {wrong}\n"));
        let start = "log-fields: found `user-agent`; expected one of: default, method, target, ";
        let end = "; did you mean `user_agent`?";
        assert!(code != 0 && said.contains(start) && said.contains(end), "{said}");
    }
    let (code, said) = place.reload("module = 'a.wat'\nlog-fields = 'method,'\n");
    assert!(code != 0 && said.contains("log-fields"), "{said}");
}

/// Notes the type of each key of a line of the log. Returns whether all have one.
fn types_of(line: &Value, path: &str, types: &mut BTreeMap<String, (&'static str, Value)>) {
    let Value::Object(entries) = line else { panic!("{path} is no object: {line}") };
    for (key, value) in entries {
        let kind = match value {
            Value::Object(_) => {
                types_of(value, &format!("{path}{key}."), types);
                continue;
            }
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
            Value::Array(_) => "array",
        };
        let (before, first) = types.entry(format!("{path}{key}")).or_insert_with(|| (kind, line.clone()));
        assert_eq!(*before, kind, "{path}{key} has two types: {first} and {line}");
    }
}

#[test]
fn a_key_of_the_json_log_has_one_type_in_all_lines() {
    let sites = "[[site]]\nname = 'traps'\npath = '/traps'\nstrip-path = true\nmodule = 'traps.wat'\nno-probe = true\n\
                 [[site]]\nname = 'raw'\npath = '/raw'\nmodule = 'raw.wat'\nno-probe = true\n\
                 [[site]]\nname = 'logs'\npath = '/logs'\nmodule = 'logs.wat'\nno-probe = true\n\
                 [[site]]\nname = 'loops'\npath = '/loops'\nmodule = 'loops.wat'\nno-probe = true\ndeadline = '50ms'\n";
    let settings = |more: &str| {
        format!(
            "module = 'a.wat'\nlog-format = 'json'\nlog-level = 'trace'\ntraceparent = 'new'\nbody-max = '1KiB'\n\
             state-dir = 'state'\nlog-fields = ['default', 'span', 'parent', 'host', 'protocol', 'user_agent', \
             'referer', 'peer', 'bytes_in', 'bytes_out', 'queue_us', 'call_us']\n{more}{sites}"
        )
    };
    let place = start(&settings(""));
    for request in [
        "GET /a?b=c HTTP/1.1\r\nhost: a\r\nuser-agent: 17\r\nreferer: 18\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: 1\r\n\r\n",
        "DELETE http://2/ HTTP/1.1\r\nhost: 1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET relative HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /raw HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /raw HTTP/1.1\r\nhost: a\r\ncontent-length: 99999\r\n\r\n",
        "GET /traps/boom HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /traps/fine HTTP/1.1\r\nhost: a\r\ntraceparent: 17\r\n\r\n",
        "GET /logs HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /loops HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        ask(&mut place.server.connect(), request);
    }
    let commands: [&[&str]; 12] = [
        &["swap", "b.wat"],
        &["swap", "bad.wat"],
        &["swap", "a.wat", "--site", "raw"],
        &["rollback"],
        &["rollback", "--site", "raw"],
        &["diff", "b.wat"],
        &["rollout", "b.wat", "--steps", "50%"],
        &["rollout", "abort"],
        &["rollout", "b.wat", "--steps", "50%"],
        &["rollout", "promote"],
        &["log-level", "debug"],
        &["journal"],
    ];
    for command in commands {
        place.run(command);
    }
    place.reload(&settings("drain = '5s'\nthreads = 1\n"));
    place.reload(&settings("drain = 5\n"));
    place.reload(&settings("").replace(sites, "").replace("a.wat", "b.wat"));
    place.server.signal("USR1");
    let lines = place.server.stop();
    let mut types = BTreeMap::new();
    let mut kinds = std::collections::BTreeSet::new();
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        types_of(&line, "", &mut types);
        kinds.insert((
            line["target"].to_string(),
            line["level"].to_string(),
            line["fields"]["message"].to_string(),
        ));
    }
    let targets = |start: &str| kinds.iter().filter(|(target, ..)| target.contains(start)).count();
    assert!(
        targets("\"request\"") >= 2 && targets("\"handler\"") >= 2 && targets("\"host") >= 15,
        "{kinds:#?}"
    );
    assert!(types.len() >= 45, "{types:#?}");
}
