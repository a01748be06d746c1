//! Log lines of handlers are written once, cannot be taken for other lines or fields, and
//! are limited in length and number.

use crate::harness::modules::{escaped, trapping_in};
use crate::harness::{Server, TextFile, fixture_text, status_kib};

/// Returns a handler that logs these bytes `times` times for each request, at level info.
fn logging(bytes: &[u8], times: u32) -> String {
    let numbers = [times, bytes.len() as u32].map(u32::to_le_bytes).concat();
    let data = format!("(data (i32.const 65528) \"{}\")", escaped(&[&numbers[..], bytes].concat()));
    let text = fixture_text("logs_its_data.wat");
    // Appends the data, because a module must begin with its imports.
    text.trim_end().strip_suffix(')').unwrap().to_owned() + &data + ")"
}

#[test]
fn what_a_handler_logs_is_bounded_and_stays_on_its_line() {
    let mut server = Server::of("logs.wat");
    let reply = server.connect().ask("GET", "/");
    assert_eq!(reply.status, 200);
    let id = format!("id={}", reply.field("x-request-id").unwrap());
    server.log_line(&["WARN handler: ", r"first\n\u{1b}[31msecond", &id]);
    server.log_line(&["more log lines were dropped (the limit is --log-lines-max)", &id]);
    let lines = server.stop();
    assert_eq!(lines.iter().filter(|line| line.contains("31msecond")).count(), 64);
    assert!(lines.iter().all(|line| !line.starts_with("second")));
}

#[test]
fn a_gigabyte_of_log_lines_is_cut_to_the_limits() {
    let server = Server::of("logs_a_gigabyte.wat");
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    let lines = server.stop();
    let handlers: Vec<_> = lines.iter().filter(|line| line.contains("handler: ")).collect();
    assert_eq!(handlers.len(), 65, "64 lines, and one that says that more were dropped");
    assert!(handlers.iter().all(|line| line.len() < 1200), "no line is longer than 1 KiB and its id");
}

#[test]
fn names_in_a_module_cannot_forge_a_log_line() {
    let name = format!("evil\\0aERROR forged\\1b[31m{}", "x".repeat(10_000));
    let mut server = Server::of_text(&trapping_in(&name));
    assert_eq!(server.connect().ask("GET", "/").status, 500);
    let line = server.log_line(&["ERROR request", r"in evil\\nERROR forged\\u{1b}[31mxxx"]);
    assert!(line.len() < 1000, "{} bytes", line.len());
}

#[test]
fn a_handlers_text_cannot_pass_for_fields_of_its_line() {
    for (text, shown) in [
        ("x status=200 id=ffffffff-1-1", r#""x status=200 id=ffffffff-1-1""#),
        (r#"x" id="1"#, r#""x\" id=\"1""#),
        ("x\\\" a=b", r#""x\\\" a=b""#),
        ("all is well: (1)", "all is well: (1)"),
        ("", r#""""#),
    ] {
        let mut server = Server::of_text(&logging(text.as_bytes(), 1));
        let id = server.connect().ask("GET", "/").field("x-request-id").unwrap().to_owned();
        let line = server.log_line(&["handler: "]);
        assert_eq!(line.split_once("handler: ").unwrap().1, format!("{shown} id={id}"));
        server.log_line(&["request: ", &format!(" id={id}")]);
    }
}

#[test]
fn what_a_handler_logs_is_bounded_as_it_is_shown() {
    for (bytes, format) in [
        (&b"\x01"[..], "text"),
        (b"\x01", "json"),
        (b"\xff", "text"),
        ("\u{9b}".as_bytes(), "json"),
        (b"\"", "json"),
    ] {
        let server = Server::of_text_with(&logging(&bytes.repeat(2000), 1), &["--log-format", format]);
        assert_eq!(server.connect().ask("GET", "/").status, 200);
        let lines = server.stop();
        let line = lines.iter().find(|line| line.contains("handler") && line.contains('…')).unwrap();
        assert!((800..1200).contains(&line.len()), "{} bytes of {bytes:?} as {format}", line.len());
        assert!(line.chars().all(|character| !character.is_control()), "{line}");
    }
}

#[test]
fn a_handlers_text_is_a_value_in_json() {
    let text = "a\n\u{1b}[31m\" \\ \u{202e}\u{9b} status=200";
    let mut server = Server::of_text_with(&logging(text.as_bytes(), 1), &["--log-format", "json"]);
    let id = server.connect().ask("GET", "/").field("x-request-id").map(str::to_owned);
    let line = server.log_line(&["\"target\":\"handler\""]);
    assert!(!line.contains('\u{202e}') && !line.contains('\u{9b}'), "{line}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = &line["fields"];
    assert_eq!((fields["message"].as_str(), fields["id"].as_str()), (Some(text), id.as_deref()));
}

#[test]
fn lines_that_nobody_reads_take_bounded_memory() {
    // Each request logs 64 lines of 60,000 bytes, which escaping makes longer.
    let file = TextFile::new(logging(&b"\x01".repeat(60_000), 64));
    let arguments = [file.path(), "--log-line-max", "64KiB", "--log-level", "info,request=off"];
    let (mut child, mut client) = super::output::with_stderr(&arguments, std::process::Stdio::piped());
    let resident = || status_kib(child.id(), "VmRSS:").unwrap();
    assert_eq!(client.ask("GET", "/").status, 200);
    let before = resident();
    for _ in 0..10 {
        assert_eq!(client.ask("GET", "/").status, 200);
    }
    let after = resident();
    assert!(after < before + (12 << 10), "{before} KiB, then {after} KiB");
    child.kill().unwrap();
    child.wait().unwrap();
}
