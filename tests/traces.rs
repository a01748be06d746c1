//! Traces: whose `traceparent` is believed, what the handler gets of it, and what the log and a
//! replay have.

use std::collections::HashSet;
use std::fs;

use crate::harness::{Configured, Folder, Server, fixture, fixture_text, host, output_of};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Returns the lines about a trace that the handler gets for a request with these lines, and the
/// id of the request.
fn passed_on(server: &Server, lines: &[&str]) -> (Vec<String>, String) {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let mut client = server.connect();
    client.send(format!("GET /a HTTP/1.1\r\nhost: a\r\n{lines}\r\n"));
    let reply = client.reply_to("GET");
    let of_trace = reply.text().lines().filter(|line| line.starts_with("trace"));
    (of_trace.map(str::to_owned).collect(), reply.field("x-request-id").unwrap().to_owned())
}

/// Returns the trace and the flags of a `traceparent` line in which the host is the parent, as the
/// id of the request says.
fn of_host(line: &str, id: &str) -> (String, String) {
    let parts: Vec<&str> = line.split('-').collect();
    let ["traceparent: 00", trace, span, flags] = parts[..] else { panic!("{line}") };
    assert_eq!(span, id.rsplit('-').next().unwrap(), "{line}");
    assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    (trace.to_owned(), flags.to_owned())
}

#[test]
fn a_trace_goes_on_in_the_handler_and_in_the_log_if_its_client_is_believed() {
    let (parent, state) = (format!("traceparent: 00-{TRACE}-{SPAN}-01"), "tracestate: vendor=1");
    for (flags, is_believed) in [
        (&["--traceparent", "accept"][..], true),
        (&["--traceparent", "new"], false),
        (&["--traceparent", "trusted"], false),
        (&["--traceparent", "trusted", "--trust-forwarded", "10.0.0.0/8"], false),
        (&["--traceparent", "trusted", "--trust-forwarded", "127.0.0.1"], true),
    ] {
        let mut server = Server::of_with("show.wat", flags);
        let (lines, id) = passed_on(&server, &[&parent, state, "TraceState: other=2"]);
        let logged = server.log_line(&[" INFO request: ", &id]);
        let of_log = logged.rsplit_once(" trace=").unwrap().1.to_owned();
        let (trace, digits) = of_host(lines.last().unwrap(), &id);
        assert_eq!(of_log, trace, "{logged}");
        assert_eq!(trace == TRACE, is_believed, "{flags:?}: {lines:?}");
        assert_eq!(digits, if is_believed { "01" } else { "00" }, "{flags:?}");
        let states: &[&str] = if is_believed { &[state, "tracestate: other=2"] } else { &[] };
        assert_eq!(lines[..lines.len() - 1], *states, "{flags:?}");
    }
}

#[test]
fn a_trace_that_is_missing_or_malformed_begins_anew_without_its_state() {
    let server = Server::of_with("show.wat", &["--traceparent", "accept"]);
    let valid = format!("traceparent: 00-{TRACE}-{SPAN}-01");
    let mut traces = HashSet::from([TRACE.to_owned()]);
    for fields in [
        vec![],
        vec![valid.clone(), valid],
        vec!["traceparent:".into()],
        vec![format!("traceparent: 00-{TRACE}-{SPAN}-01-more")],
        vec![format!("traceparent: ff-{TRACE}-{SPAN}-01")],
        vec![format!("traceparent: 00-{}-{SPAN}-01", TRACE.to_uppercase())],
        vec![format!("traceparent: 00-{}-{SPAN}-01", "0".repeat(32))],
        vec![format!("traceparent: 00-{TRACE}-{}-01", "0".repeat(16))],
    ] {
        let mut sent: Vec<&str> = fields.iter().map(String::as_str).collect();
        sent.push("tracestate: vendor=1");
        let (lines, id) = passed_on(&server, &sent);
        assert_eq!(lines.len(), 1, "{fields:?}: {lines:?}");
        let (trace, flags) = of_host(&lines[0], &id);
        assert_eq!(flags, "00", "{fields:?}");
        assert!(traces.insert(trace), "{fields:?}: {lines:?}");
    }
    let (lines, id) = passed_on(&server, &[&format!("traceparent: 42-{TRACE}-{SPAN}-03-later")]);
    assert_eq!(of_host(&lines[0], &id), (TRACE.into(), "01".into()));
}

#[test]
fn without_traces_the_clients_fields_stay_as_they_are() {
    let mut server = Server::of("show.wat");
    for lines in [
        vec![],
        vec!["traceparent: nonsense".to_owned(), "tracestate: a=1".to_owned()],
        vec![format!("traceparent: 00-{TRACE}-{SPAN}-01"), "traceparent: twice".to_owned()],
    ] {
        let sent: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (passed, id) = passed_on(&server, &sent);
        assert_eq!(passed, lines);
        let line = server.log_line(&[" INFO request: ", &id]);
        assert!(line.ends_with(&id), "{line}");
    }
}

#[test]
fn a_fault_has_its_trace_and_its_replay_the_same_one() {
    let folder = Folder::new();
    let traps = fixture("traps.wat");
    let recorded = folder.path("recorded");
    let mut server = Server::of_with("traps.wat", &["--traceparent", "accept", "--record", &recorded]);
    let mut client = server.connect();
    client.send(format!("GET /boom HTTP/1.1\r\nhost: a\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n\r\n"));
    let id = client.reply_to("GET").field("x-request-id").unwrap().to_owned();
    server.log_line(&["ERROR request: ", &format!(" id={id} trace={TRACE} fault=")]);
    // A message that is no request has no trace.
    let mut client = server.connect();
    client.send("nonsense\r\n\r\n");
    let id = client.reply_to("GET").field("x-request-id").unwrap().to_owned();
    server.log_line(&["method=- target=- ", &format!(" id={id} fault=")]);
    server.stop();
    let file = fs::read_dir(&recorded).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("\ntraceparent: ").count(), 1, "{text}");
    assert!(text.contains(&format!("\ntraceparent: 00-{TRACE}-")), "{text}");
    let (code, said) = output_of(host().args(["replay", &recorded, "--module", &traps]));
    assert!(code == 0 && said.ends_with("1 as recorded, 0 otherwise\n"), "{said}");
}

/// Both versions get the same bytes, so the ids of the host are no difference.
#[test]
fn two_versions_that_show_their_request_answer_alike() {
    let folder = Folder::new();
    for name in ["base.wat", "same.wat"] {
        fs::write(folder.file(name), fixture_text("show.wat")).unwrap();
    }
    // Another module with the same answers.
    let other =
        fixture_text("show.wat").replace("(memory (export \"memory\") 2)", "(memory (export \"memory\") 3)");
    fs::write(folder.file("same.wat"), other).unwrap();
    let place = Configured::start(folder, "module = 'base.wat'\ntraceparent = 'new'\n");
    for target in ["/a", "/b", "/c"] {
        let reply = place.server.connect().ask("GET", target);
        assert!(reply.text().contains("\r\ntraceparent: 00-"), "{}", reply.text());
    }
    let (code, said) = place.run(&["diff", "same.wat"]);
    assert!(code == 0 && said.contains("3 same"), "{said}");
    // What is exported goes on with the trace that the request had.
    let (code, said) = place.run(&["journal", "export", "kept.http"]);
    let exported = fs::read_to_string(place.folder.file("kept.http")).unwrap_or_default();
    assert!(code == 0 && exported.matches("\ntraceparent: 00-").count() == 3, "{said}{exported}");
}

#[test]
fn a_reload_changes_who_is_believed_for_new_connections() {
    let folder = Folder::new();
    fs::write(folder.file("base.wat"), fixture_text("show.wat")).unwrap();
    let place = Configured::start(folder, "module = 'base.wat'\n");
    let sent = format!("traceparent: 00-{TRACE}-{SPAN}-01");
    assert_eq!(passed_on(&place.server, &[&sent]).0, [sent.as_str()]);
    let (code, said) = place.reload("module = 'base.wat'\ntraceparent = 'accept'\n");
    assert!(code == 0 && said.starts_with("reloaded; settings changed: traceparent\n"), "{said}");
    let (lines, id) = passed_on(&place.server, &[&sent]);
    assert_eq!(of_host(&lines[0], &id), (TRACE.into(), "01".into()));
    let (code, said) = place.reload("module = 'base.wat'\ntraceparent = 'all'\n");
    let expected = "traceparent: found `all`; expected one of: off, new, trusted, accept";
    assert!(code != 0 && said.contains(expected), "{said}");
}
