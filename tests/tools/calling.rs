//! `host call`: sends one request to a module, without a server.

use std::fs::File;

use super::tool;
use crate::harness::modules::{answering, handler, saying, trapping_in};
use crate::harness::{TextFile, fixture, host, run_to_end};

#[test]
fn call_shows_the_answer_and_what_it_used() {
    let file = TextFile::new(host::site::version::EMBEDDED);
    let module = file.path();
    let (code, stdout, stderr) = tool(&["call", module, "/route?a=1"]);
    assert_eq!((code, stdout.as_str()), (0, "<h1> hello route</h1>"));
    assert!(stderr.starts_with("answered 200 OK with 21 bytes\nthe call took "), "{stderr}");
    let memory = " ms; memory 64.0 KiB, of which at most ";
    assert!(stderr.contains(memory) && stderr.ends_with(" were written\n"), "{stderr}");

    let (code, stdout, _) = tool(&["call", module, "GET", "http://localhost:4444/nope", "-i"]);
    let head =
        "HTTP/1.1 404 page not found\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 28\r\n\r\n";
    assert_eq!((code, stdout), (0, format!("{head}<h1>error 404 not found</h1>")));
    assert!(tool(&["call", module, "HEAD", "/", "-i"]).1.ends_with("content-length: 21\r\n\r\n"));
}

#[test]
fn call_sends_what_it_is_told_to() {
    let show = &*fixture("show.wat");
    let (_, stdout, _) = tool(&["call", show, "/a", "-H", "Accept: x/y", "-H", "x-two:  2", "-d", "milk"]);
    let expected = "POST /a HTTP/1.1\r\naccept: x/y\r\nx-two: 2\r\ncontent-type: application/x-www-form-urlencoded\r\nhost: localhost\r\ncontent-length: 4\r\n";
    assert!(stdout.starts_with(expected) && stdout.ends_with("\r\n\r\nmilk"), "{stdout}");
    let (_, stdout, stderr) = tool(&["call", show, "put", "/"]);
    let note = "\nthe method was put; the usual one is PUT, in capitals\nthe call took ";
    assert!(stdout.starts_with("put / ") && stderr.contains(note), "{stderr}");
    let body = TextFile::new(b"from a file");
    let (_, stdout, _) = tool(&["call", show, "PUT", "/", "-d", &format!("@{}", body.path())]);
    assert!(stdout.starts_with("PUT / ") && stdout.ends_with("\r\n\r\nfrom a file"), "{stdout}");
    for (arguments, complaint) in [
        (&["G(T", "/"][..], "expected a method such as GET, found `G(T`"),
        (&["route"], "expected a target that begins with /, such as /path?query, or a URL, found `route`"),
        (&["/", "-H", "accept"], "expected a field such as accept: text/html, found `accept`"),
        (
            &["/", "-d", "@/no/such/file"],
            "cannot read /no/such/file, the file of the body: No such file or directory",
        ),
    ] {
        let (code, stdout, stderr) = tool(&[&["call", show], arguments].concat());
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(complaint), "{stderr}");
    }
}

#[test]
fn call_takes_the_flags_of_curl_as_curl_does() {
    let show = &*fixture("show.wat");
    let lines = TextFile::new("a=1\r\nb\n");
    let file = &*format!("@{}", lines.path());
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let json = "content-type: application/json\r\naccept: application/json\r\n";
    for (flags, method, fields, body) in [
        (&["-d", "a=1", "-d", "b=2"][..], "POST", form, "a=1&b=2"),
        (&["-d", file, "--data", "c"], "POST", form, "a=1b&c"),
        (&["--data-binary", file], "POST", form, "a=1\r\nb\n"),
        (&["--json", "{\"a\":", "--json", "1}"], "POST", json, "{\"a\":1}"),
        (&["-X", "PUT", "-d", "a"], "PUT", form, "a"),
        (&["-XDELETE"], "DELETE", "", ""),
        (&["-d", "", "-X", "PATCH"], "PATCH", form, ""),
        (&["-d", "a", "-H", "content-type: text/plain"], "POST", "content-type: text/plain\r\n", "a"),
    ] {
        let (code, stdout, stderr) = tool(&[&["call", show, "/"], flags].concat());
        assert_eq!(code, 0, "{flags:?}: {stderr}");
        assert!(stdout.starts_with(&format!("{method} / HTTP/1.1\r\n{fields}host: ")), "{flags:?}: {stdout}");
        assert!(stdout.ends_with(&format!("\r\n\r\n{body}")), "{flags:?}: {stdout}");
    }
}

#[test]
fn call_sets_the_time_the_id_and_the_client() {
    let facts = ["--time", "2026-01-02T03:04:05Z", "--id", "my-id", "--client", "2001:db8::1"];
    let (_, stdout, _) = tool(&[&["call", &fixture("show.wat"), "/"], &facts[..]].concat());
    for field in ["x-request-id: my-id\r\n", "x-forwarded-for: 2001:db8::1\r\n", "1767323045000\r\n"] {
        assert!(stdout.contains(field), "{field} in {stdout}");
    }
    let requests = TextFile::new("GET /\n\n> body contains: x-request-id: my-id\n");
    let (code, stdout, _) = tool(&[&["test", &fixture("show.wat"), requests.path()], &facts[..]].concat());
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn call_says_that_the_memory_grew() {
    let (_, _, stderr) = tool(&["call", &fixture("grows.wat"), "/", "--memory-max", "192KiB"]);
    let grew = "the memory grew by 128.0 KiB, so a server drops the instance";
    assert!(stderr.contains(grew), "{stderr}");
}

#[test]
fn a_trap_after_the_memory_could_not_grow_names_the_limit() {
    let grows = |pages: u32| {
        handler("", "(i32.const 8)", &format!("(drop (memory.grow (i32.const {pages}))) unreachable"))
    };
    let (full, other) = (TextFile::new(grows(4)), TextFile::new(grows(3)));
    let call = |file: &TextFile| tool(&["call", file.path(), "/", "--memory-max", "256KiB"]).2;
    let named = "trap: the memory reached its limit of 256.0 KiB (--memory-max); wasm trap: ";
    let stderr = call(&full);
    assert!(stderr.starts_with(named), "{stderr}");
    let stderr = call(&other);
    assert!(stderr.starts_with("trap: wasm trap: "), "{stderr}");
}

#[test]
fn an_overflow_of_the_stack_is_called_that() {
    let recurses = saying("hi").replace(
        "(func (export \"handle\")",
        "(global $stack (mut i32) (i32.const 1024))
         (func $deeper
           (global.set $stack (i32.sub (global.get $stack) (i32.const 64)))
           (i64.store (global.get $stack) (i64.const 1))
           (call $deeper))
         (func (export \"handle\")",
    );
    let body = recurses.rfind("(i64.const").unwrap();
    let (start, end) = recurses.split_at(body);
    let file = TextFile::new(format!("{start}(call $deeper) {end}"));
    let (code, _, stderr) = tool(&["call", file.path(), "/"]);
    let expected = "trap: stack overflow: the module's stack is used up; ";
    assert!(code == 1 && stderr.starts_with(expected) && stderr.contains("`STACK` in build.rs"), "{stderr}");
}

#[test]
fn the_frames_in_which_rust_panics_are_left_out_however_many_they_are() {
    let called = |names: &[&str]| {
        let mut functions = String::from("(func $f0 (@name \"__rust_abort\") unreachable)");
        for (index, name) in names.iter().enumerate() {
            functions += &format!("(func $f{} (@name \"{name}\") (call $f{index}))", index + 1);
        }
        let call = format!("(call $f{}) (i64.const 0)", names.len());
        let file = TextFile::new(handler(&functions, "(i32.const 8)", &call));
        tool(&["call", file.path(), "/"]).2
    };
    let runtime = ["std::panicking::panic_with_hook"; 12];
    let stderr =
        called(&[&runtime[..], &["core::panicking::panic_fmt", "shop::price", "shop::page"]].concat());
    assert!(stderr.contains(" (a client gets 500)\n  in shop::price\n  in shop::page\n"), "{stderr}");
    // A stack of the runtime alone is shown, and one is never searched without end.
    let stderr = called(&["std::panicking::panic_with_hook"; 40]);
    assert_eq!(stderr.matches("  in std::panicking::panic_with_hook\n").count(), 8, "{stderr}");
}

#[test]
fn call_sends_any_bytes_from_standard_input() {
    let bytes = [0, 0xFF, b'\n', 0x80];
    let body = TextFile::new(bytes);
    let mut call = host();
    call.arg("call")
        .arg(fixture("echo.wat"))
        .args(["/", "--data-binary", "@-"])
        .stdin(File::open(body.path()).unwrap());
    assert_eq!(run_to_end(&mut call).stdout, bytes);
}

#[test]
fn call_tells_a_trap_with_its_backtrace_and_what_was_logged() {
    let call = |name: &str, more: &[&str]| tool(&[&["call", &fixture(name), "/boom"], more].concat());
    let (code, stdout, stderr) = call("traps.wat", &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let trap = "trap: wasm trap: integer divide by zero (a client gets 500)\n  in divide\n  in function 2\nthe call took ";
    assert!(stderr.starts_with(trap), "{stderr}");
    assert!(
        call("panics.wat", &[])
            .2
            .starts_with("panic: out of \"cheese\"\\nat counter 7\n  by trap: wasm trap: ")
    );
    let (code, _, stderr) = call("loops.wat", &["--deadline", "30ms"]);
    assert_eq!(code, 1);
    let deadline = "deadline: the call took longer than its deadline of 30ms (--deadline) (a client gets 504)\n  in function ";
    assert!(stderr.starts_with(deadline), "{stderr}");
    let (code, _, stderr) = call("logs.wat", &["--log-lines-max", "2"]);
    assert_eq!((code, stderr.matches(r"first\n\u{1b}[31msecond").count()), (0, 2), "{stderr}");
    let teapot = TextFile::new(answering(b"HTTP/1.1 503 no\n\ntea"));
    let (code, stdout, _) = tool(&["call", teapot.path(), "/"]);
    assert_eq!((code, stdout.as_str()), (1, "tea"));
    let none = TextFile::new(answering(b"tea"));
    let (code, _, stderr) = tool(&["call", none.path(), "/"]);
    let invalid = "invalid response: the handler's response is refused: its head is malformed: it does not begin with HTTP/1.1 (a client gets 502)";
    assert!(code == 1 && stderr.starts_with(invalid), "{stderr}");
}

/// Checks that a text cannot control a terminal: it holds no control characters but line
/// ends, and no right-to-left override.
#[track_caller]
pub fn steers_nothing(text: &str) {
    let steers = |character: char| {
        (character.is_control() && !matches!(character, '\n' | '\r')) || character == '\u{202e}'
    };
    assert!(!text.contains(steers), "{text:?}");
}

#[test]
fn what_a_module_answers_steers_no_terminal() {
    let response = "HTTP/1.1 200 \u{9b}31mred\nx-evil: a\u{202e}b\u{9b}2J\n\n\u{1b}[2Jbody";
    let module = TextFile::new(answering(response.as_bytes()));
    let module = module.path();
    let (code, stdout, stderr) = tool(&["call", module, "/", "-i"]);
    let (head, body) = stdout.split_once("\r\n\r\n").unwrap();
    steers_nothing(&[head, &stderr].concat());
    // Only the body is printed unescaped, byte for byte.
    assert_eq!((code, body), (0, "\u{1b}[2Jbody"));

    let requests = TextFile::new("GET /\n\n> 200 OK\n> x-evil: b\n> body: c\n");
    let (code, stdout, stderr) = tool(&["test", module, requests.path()]);
    assert!(code == 1 && stdout.contains(r"answered 200 \u{9b}31mred; expected 200 OK"), "{stdout}");
    steers_nothing(&(stdout + &stderr));

    let name = r"evil\1b[31m\c2\9b\0a";
    let traps = TextFile::new(trapping_in(name));
    let traps = traps.path();
    let requests = TextFile::new("GET /\n");
    for arguments in [&["call", traps, "/"][..], &["test", traps, requests.path()]] {
        let (code, stdout, stderr) = tool(arguments);
        let printed = stdout + &stderr;
        assert!(code == 1 && printed.contains(r"evil\u{1b}[31m\u{9b}\n"), "{printed}");
        steers_nothing(&printed);
    }
}
