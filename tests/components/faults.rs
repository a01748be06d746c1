//! Each mistake of a component is a fault with a name, a status and one line.

use super::{answers, probe, server};
use crate::harness::{Server, TextFile, fixture_text};
use crate::tools::tool;

/// Asks for a target, and checks that the client gets this status, and the log this fault with
/// this cause.
#[track_caller]
fn fails(server: &mut Server, target: &str, status: u16, fault: &str, cause: &str) {
    let reply = server.connect().ask("GET", target);
    assert_eq!(reply.status, status, "{target}: {}", reply.text());
    assert!(!reply.text().contains("first piece"), "{target}: {}", reply.text());
    let id = reply.field("x-request-id").unwrap();
    server.log_line(&["ERROR request", &format!(" id={id}"), &format!("fault=\"{fault}\""), cause]);
}

#[test]
fn a_mistake_of_a_component_is_a_fault_that_says_what_it_was() {
    let mut server = server(&["--log-level", "debug"]);
    let s = &mut server;
    fails(s, "/trap-before", 500, "trap", "panic: before the head at probe/src/lib.rs:");
    fails(s, "/trap-mid", 500, "trap", "panic: in the middle at probe/src/lib.rs:");
    fails(s, "/none", 502, "no response", "it ended without a response");
    fails(
        s,
        "/error-code",
        502,
        "error code",
        "it answered with an error instead of a response: ErrorCode::InternalError",
    );
    let unfinished =
        "it gave up its response after 11 bytes of the body; expected it to call `outgoing-body.finish`";
    fails(s, "/no-finish", 502, "unfinished response", unfinished);
    fails(s, "/leaked", 502, "unfinished response", unfinished);
    let length = "it wrote 11 bytes of a body whose content-length is 100";
    fails(s, "/too-short", 502, "invalid response", length);
    fails(s, "/exit?1", 500, "trap", "it ended by wasi:cli/exit with status 1");
    fails(
        s,
        "/big-fields",
        500,
        "trap",
        "its fields take more than the 65536 bytes of a head (--response-head-max)",
    );
    fails(
        s,
        "/big-body?3000",
        502,
        "response too long",
        "its response is longer than 8388608 bytes (--response-max)",
    );
    fails(s, "/status?101", 502, "invalid response", "101");
    fails(s, "/grow?100", 500, "trap", "the memory reached its limit of 64.0 MiB (--memory-max)");
    fails(
        s,
        "/resources",
        500,
        "trap",
        "it holds more than 256 streams, bodies, field lists and waits at a time",
    );
    answers(&server, "/exit?0", 200, "before the exit");
    answers(&server, "/grow?20", 200, "20 MiB");
}

#[test]
fn a_call_past_its_deadline_is_ended_whether_it_computes_or_waits() {
    let mut server = server(&["--deadline", "100ms"]);
    for target in ["/loop", "/loop-after-head", "/sleep?60000"] {
        let since = std::time::Instant::now();
        fails(
            &mut server,
            target,
            504,
            "deadline",
            "the call took longer than its deadline of 100ms (--deadline)",
        );
        assert!(since.elapsed().as_secs() < 20, "{target}");
    }
    answers(&server, "/hello", 200, "hello");
}

#[test]
fn memory_is_limited_for_all_memories_of_a_call_together() {
    let server = Server::with(&[&probe(), "--memory-max", "8MiB"]);
    answers(&server, "/grow?2", 200, "2 MiB");
    assert_eq!(server.connect().ask("GET", "/grow?8").status, 500);
    answers(&server, "/hello", 200, "hello");
}

#[test]
fn a_component_may_be_composed_of_others_with_memories_of_their_own() {
    let parts = r#"
  (component $greets
    (core module $m (memory (export "memory") 1) (func (export "greet") (param i32 i32))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func (export "greet") (param "name" string)
      (canon lift (core func $i "greet") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $asks
    (import "greet" (func $greet (param "name" string)))
    (core module $m (memory (export "memory") 1))
    (core instance $i (instantiate $m))
    (core func $lowered (canon lower (func $greet) (memory (core memory $i "memory"))))
    (core module $user (import "" "greet" (func (param i32 i32))))
    (core instance (instantiate $user (with "" (instance (export "greet" (func $lowered)))))))
  (instance $one (instantiate $greets))
  (instance (instantiate $asks (with "greet" (func $one "greet"))))
)"#;
    let text = fixture_text("component.wat").trim_end().strip_suffix(')').unwrap().to_owned() + parts;
    let (code, report, errors) = tool(&["check", TextFile::new(text).path()]);
    assert!(code == 0 && report.contains("can serve"), "{report}{errors}");
}

#[test]
fn a_component_that_cannot_start_never_serves() {
    let with = |modules: &[&str]| {
        let fields: String = (modules.iter().enumerate())
            .map(|(index, fields)| {
                format!("(core module $m{index} {fields}) (core instance (instantiate $m{index}))")
            })
            .collect();
        fixture_text("component.wat").trim_end().strip_suffix(')').unwrap().to_owned() + &fields + ")"
    };
    let full = "the memory reached its limit of 64.0 MiB (--memory-max)";
    let late = "the call took longer than its deadline of 100ms (--deadline); in f";
    for (modules, cause, remedy) in [
        (&["(memory 600)", "(memory 600)"][..], full, "allow more memory by --memory-max"),
        (&["(func $f (loop (br 0))) (start $f)"], late, "do less while it is instantiated"),
        (&["(func $f unreachable) (start $f)"], "instruction executed; in f", "fix what runs while it is"),
        (&["(memory 1025)"], "its memory starts at 67174400 bytes", "allow more by --memory-max"),
        (&[""; 40], "exceeds the configured maximum", "the engine has this limit"),
    ] {
        let file = TextFile::new(with(modules));
        let (code, report, _) = tool(&["check", file.path(), "--deadline", "100ms"]);
        assert!(code == 1 && report.contains(cause) && report.contains(remedy), "{report}");
    }
    let other = fixture_text("component.wat")
        .replace("(func (export \"handle\") (param i32 i32))", "(func (export \"handle\"))")
        .replace("(param \"request\" (own $request)) (param \"response-out\" (own $outparam))", "");
    let (code, report, _) = tool(&["check", TextFile::new(other).path()]);
    let cause = "is an interface without the function of WASI 0.2; expected `handle: func(request";
    assert!(code == 1 && report.contains(cause), "{report}");
    let file = TextFile::new(fixture_text("component.wat"));
    let mut server = Server::with(&[file.path()]);
    fails(&mut server, "/", 502, "no response", "it ended without a response");
}
