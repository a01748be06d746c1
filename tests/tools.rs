use std::path::Path;
use std::process::Output;

use crate::harness::modules::{answering, saying};
use crate::harness::{Folder, Server, TextFile, fails_to_start, fixture, host, run_to_end};

/// Making a crate, and serving it while it is written.
mod developing;
/// Requests that failed are kept, and made again.
mod recording;

/// Runs a tool to its end: its exit code, standard output and standard error.
fn tool<A: AsRef<std::ffi::OsStr>>(arguments: &[A]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = run_to_end(host().args(arguments));
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code().unwrap(), stdout, stderr)
}

fn check(file: impl AsRef<[u8]>) -> (i32, String) {
    let file = TextFile::new(file);
    let (code, stdout, stderr) = tool(&["check".as_ref(), file.path().as_os_str()]);
    assert_eq!(stderr, "");
    (code, stdout.replace(file.path().to_str().unwrap(), "FILE"))
}

/// A module of the contract, with one of its parts replaced.
fn module_with(part: &str, other: &str) -> String {
    let whole = saying("hi");
    assert!(whole.contains(part), "{part} in {whole}");
    whole.replace(part, other)
}

#[test]
fn check_says_what_is_wrong_and_what_helps() {
    let memory = "(memory (export \"memory\") 1)";
    let alloc = "(export \"alloc\")";
    let begin = "(module ";
    for (file, error, remedy) in [
        (String::new(), "it is empty; expected a WebAssembly module", "build it again"),
        (
            "#!/bin/sh".into(),
            "it is a text file that is not WebAssembly text",
            "name the file that cargo build",
        ),
        ("(component)".into(), "it is a WebAssembly component", "leave out what makes a component of it"),
        (
            "(module (funk))".into(),
            "its WebAssembly text is wrong: expected valid module field (at 1:10)",
            "correct the text",
        ),
        (
            "(module (func (result i32)))".into(),
            "it is not a valid WebAssembly module: ",
            "build it again whole",
        ),
        (
            module_with(memory, "(memory 1)"),
            "it has no export `memory`; expected a memory",
            "export it: (memory",
        ),
        (
            module_with(alloc, ""),
            "it has no export `alloc`; expected a function (i32) -> i32",
            "handler_sdk::export!(answer)",
        ),
        (
            module_with(alloc, "(export \"handle\") (export \"alloc\")").replacen(
                "(export \"handle\") (param i32 i32)",
                "(param i32 i32)",
                1,
            ),
            "its export `handle` is a function (i32) -> i32; expected a function (i32, i32) -> i64",
            "give it that type, or another name",
        ),
        (
            module_with(begin, "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func))"),
            "it imports `fd_write` from `wasi_snapshot_preview1`, which is not offered",
            "rather than WASI",
        ),
        (
            module_with(begin, "(module (import \"__wbindgen_placeholder__\" \"x\" (func))"),
            "which is not offered",
            "do without wasm-bindgen",
        ),
        (
            module_with(begin, "(module (import \"env\" \"x\" (func))"),
            "it imports `x` from `env`",
            "find who declares it",
        ),
        (
            module_with(begin, "(module (import \"host\" \"log\" (func))"),
            "it imports `log` from `host` as a function ()",
            "declare the import with that type",
        ),
        (
            module_with(memory, "(memory (export \"memory\") 2000)"),
            "its memory starts at 131072000 bytes",
            "-zstack-size=16384",
        ),
        (
            module_with(begin, "(module (table 70000 funcref)"),
            "it needs more than an instance may have",
            "make its memory or its tables smaller",
        ),
        (
            module_with(begin, "(module (start $f) (func $f unreachable)"),
            "it does not start: wasm trap: wasm `unreachable`",
            "mend what its start function",
        ),
    ] {
        let (code, report) = check(&file);
        assert_eq!(code, 1, "{report}");
        assert!(report.starts_with("FILE: cannot serve\n  error       "), "{report}");
        let line = |name: &str| report.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line("error ").contains(error), "expected {error:?} in\n{report}");
        assert!(line("remedy ").contains(remedy), "expected {remedy:?} in\n{report}");
    }
    let looping = fixture("loops_in_initialize.wat");
    let (code, report, _) =
        tool(&["check".as_ref(), looping.as_os_str(), "--deadline".as_ref(), "20ms".as_ref()]);
    assert_eq!(code, 1);
    assert!(
        report.contains("remedy      do less in `_initialize`, or allow more time by --deadline"),
        "{report}"
    );
}

#[test]
fn check_describes_a_module_that_can_serve() {
    let file = TextFile::new(host::swap::EMBEDDED);
    let (code, report, _) = tool(&["check".as_ref(), file.path().as_os_str()]);
    assert_eq!(code, 0, "{report}");
    for line in [
        ": can serve\n",
        "  exports     memory, alloc, handle, panic_message",
        "  imports     none\n",
        "  memory      1 page (64.0 KiB) at first, no maximum of its own\n",
        "  instances   put back after each request\n",
        ", name ",
    ] {
        assert!(report.contains(line), "{line:?} in\n{report}");
    }
    assert!(!report.contains("warning"), "{report}");

    let (code, report, _) = tool(&["check".as_ref(), "--json".as_ref(), file.path().as_os_str()]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["acceptable"], &report["error"]), (0, &true.into(), &serde_json::Value::Null));
    assert_eq!(report["memory_pages"]["initial"], 1);
    assert!(report["compile_quick_ms"].as_f64().unwrap() > 0.0 && report["start_ms"].is_f64(), "{report}");
}

#[test]
fn check_warns_with_a_remedy() {
    let stack = "(module (global (mut i32) (i32.const 1048576)) ";
    let table = "(module (table 1 funcref) (func $swaps (table.set 0 (i32.const 0) (ref.null func))) ";
    for (module, warning, remedy) in [
        (
            module_with("(module ", stack).replace("\"memory\") 1)", "\"memory\") 17)"),
            "its stack is 1 MiB, most of the 17 pages",
            "-zstack-size=16384",
        ),
        (
            module_with("\"memory\") 1)", "\"memory\") 40)"),
            "its memory starts at 40 pages (2.5 MiB)",
            "make large statics smaller",
        ),
        (saying("hi"), "it has no names for its functions", "strip = \"debuginfo\""),
        (
            module_with("(module ", table),
            "each request gets a new instance, which takes longer: table.set in swaps cannot be put back",
            "do without changing tables",
        ),
        (
            module_with("(module ", "(module (func (export \"_start\"))"),
            "it looks like a program",
            "in `_initialize`",
        ),
        (
            module_with(
                "(module ",
                &format!("(module (@custom \".debug_info\" \"{}\")", "x".repeat(100_000)),
            ),
            "97 KiB of it are debug information",
            "build with --release",
        ),
    ] {
        let (code, report) = check(&module);
        assert_eq!(code, 0, "{report}");
        let mut lines = report.lines();
        assert!(
            lines.any(|line| line.starts_with("  warning     ") && line.contains(warning)),
            "{warning} in\n{report}"
        );
        let next = lines.next().unwrap();
        assert!(next.starts_with("  remedy      ") && next.contains(remedy), "{remedy} in\n{report}");
    }
}

#[test]
fn call_shows_the_answer_and_what_it_used() {
    let file = TextFile::new(host::swap::EMBEDDED);
    let module = file.path().to_str().unwrap();
    let (code, stdout, stderr) = tool(&["call", module, "/route?a=1"]);
    assert_eq!((code, stdout.as_str()), (0, "<h1> hello route</h1>"));
    assert!(stderr.starts_with("answered 200 OK with 21 bytes\nthe call took "), "{stderr}");
    assert!(
        stderr.contains(" ms; memory 64.0 KiB, of which at most ") && stderr.ends_with(" were written to\n"),
        "{stderr}"
    );

    let (code, stdout, _) = tool(&["call", module, "GET", "http://localhost:4444/nope", "-i"]);
    let head =
        "HTTP/1.1 404 page not found\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 28\r\n\r\n";
    assert_eq!((code, stdout), (0, format!("{head}<h1>error 404 not found</h1>")));
    assert!(tool(&["call", module, "HEAD", "/", "-i"]).1.ends_with("content-length: 21\r\n\r\n"));
}

#[test]
fn call_sends_what_it_is_told_to() {
    let show = fixture("show.wat");
    let show = show.to_str().unwrap();
    let (_, stdout, _) = tool(&["call", show, "/a", "-H", "Accept: x/y", "-H", "x-two:  2", "-d", "milk"]);
    let expected = "POST /a HTTP/1.1\r\naccept: x/y\r\nx-two: 2\r\nhost: localhost\r\ncontent-length: 4\r\n";
    assert!(stdout.starts_with(expected) && stdout.ends_with("\r\n\r\nmilk"), "{stdout}");
    let body = TextFile::new(b"from a file");
    let (_, stdout, _) = tool(&["call", show, "PUT", "/", "-d", &format!("@{}", body.path().display())]);
    assert!(stdout.starts_with("PUT / ") && stdout.ends_with("\r\n\r\nfrom a file"), "{stdout}");
    for (arguments, complaint) in [
        (&["G(T", "/"][..], "expected a method such as GET, found `G(T`"),
        (&["route"], "expected a target such as /path?query, found `route`"),
        (&["/", "-H", "accept"], "expected a field such as accept: text/html, found `accept`"),
        (&["/", "-d", "@/no/such/file"], "cannot read /no/such/file: No such file or directory"),
    ] {
        let (code, stdout, stderr) = tool(&[&["call", show], arguments].concat());
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(complaint), "{stderr}");
    }
}

#[test]
fn call_tells_a_trap_with_its_backtrace_and_what_was_logged() {
    let call = |name: &str, more: &[&str]| {
        let module = fixture(name);
        tool(&[&["call", module.to_str().unwrap(), "/boom"], more].concat())
    };
    let (code, stdout, stderr) = call("traps.wat", &[]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let trap = "trap: wasm trap: integer divide by zero (a client gets 500)\n  in divide\n  in function 2\nthe call took ";
    assert!(stderr.starts_with(trap), "{stderr}");
    assert!(call("panics.wat", &[]).2.contains("\n  panic: out of \"cheese\"\\nat counter 7\n"));
    let (code, _, stderr) = call("loops.wat", &["--deadline", "30ms"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with(
            "deadline: the call took longer than its deadline (--deadline) (a client gets 504)\n"
        ),
        "{stderr}"
    );
    let (code, _, stderr) = call("logs.wat", &["--log-lines-max", "2"]);
    assert_eq!((code, stderr.matches(r"first\n\u{1b}[31msecond").count()), (0, 2), "{stderr}");
    let teapot = TextFile::new(answering(b"HTTP/1.1 503 no\n\ntea"));
    let (code, stdout, _) = tool(&["call", teapot.path().to_str().unwrap(), "/"]);
    assert_eq!((code, stdout.as_str()), (1, "tea"));
    let none = TextFile::new(answering(b"tea"));
    let (code, _, stderr) = tool(&["call", none.path().to_str().unwrap(), "/"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("invalid response: the handler's response is refused: its head is malformed: it does not begin with HTTP/1.1 (a client gets 502)"),
        "{stderr}"
    );
}

/// A file of requests in a folder of its own.
fn requests(text: &str) -> (Folder, String) {
    let folder = Folder::new();
    let path = folder.file("requests.http");
    std::fs::write(&path, text).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

/// Runs `host test`, and leaves out of its output what differs from run to run.
fn test(module: &Path, text: &str) -> (i32, String, String) {
    let (_folder, file) = requests(text);
    let (code, stdout, stderr) = tool(&["test", module.to_str().unwrap(), &file]);
    let lines = stdout.replace(&file, "FILE");
    let lines =
        lines.lines().map(|line| match line.strip_suffix(" ms").and_then(|line| line.rsplit_once(", ")) {
            Some((line, _)) => format!("{line}\n"),
            None => format!("{line}\n"),
        });
    (code, lines.collect(), stderr.replace(&file, "FILE"))
}

#[test]
fn test_passes_when_all_is_as_expected() {
    let module = TextFile::new(host::swap::EMBEDDED);
    let text = "@host = http://localhost:4444\n\n### the front page\n# > content-type: text/html\nGET {{host}}/ HTTP/1.1\r\naccept: text/html\n# a comment\n\n> 200\n> body: <h1> hello index</h1>\n\n###\nGET /nope\n\n> 404 page not found\n> content-type: text/html; charset=utf-8\n> body contains: 404\n###\nHEAD /\n";
    let (code, stdout, stderr) = test(module.path(), text);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (
            0,
            "ok    FILE:5: GET http://localhost:4444/ (the front page): 200 OK\nok    FILE:13: GET /nope: 404 page not found\nok    FILE:19: HEAD /: 200 OK\n3 passed, 0 failed\n",
            ""
        )
    );
}

#[test]
fn test_shows_what_differs() {
    let module = TextFile::new(answering(b"HTTP/1.1 200 OK\ncontent-type: text/plain\n\none\ntwo\nthree"));
    let text = "GET /\n> 404\n> content-type: text/html\n> etag: \"1\"\n> body: one\n> body: 2\n> body: three\n> body contains: four\n";
    let (code, stdout, _) = test(module.path(), text);
    let expected = "\
FAIL  FILE:1: GET /: 200 OK
      FILE:2: answered 200 OK; expected 404
      FILE:3: answered with content-type: text/plain; expected content-type: text/html
      FILE:4: answered without the field etag; expected etag: \"1\"
      FILE:5: answered with the body `one\\ntwo\\nthree`; expected the body `one\\n2\\nthree`
        - 2
        + two
      FILE:8: answered with the body `one\\ntwo\\nthree`; expected a body that contains `four`
0 passed, 1 failed
";
    assert_eq!((code, stdout.as_str()), (1, expected));
    let (code, stdout, _) = test(&fixture("traps.wat"), "GET /fine\n###\nGET /boom\n");
    assert_eq!(code, 1);
    assert!(
        stdout.contains(
            "FAIL  FILE:3: GET /boom: not answered\n      trap: wasm trap: integer divide by zero; in divide"
        ),
        "{stdout}"
    );
    assert!(stdout.ends_with("1 passed, 1 failed\n"), "{stdout}");
}

#[test]
fn test_sends_bodies_as_they_are_written() {
    let text = "POST /\n\n# no comment\n\n> 200\n> body: # no comment\n###\n@what = milk\nPOST /\n\n{{what}}\n\n  and more\n\n\n> body: milk\n> body: \n> body:   and more\n";
    let (code, stdout, _) = test(&fixture("echo.wat"), text);
    assert_eq!(code, 0, "{stdout}");
    let (folder, file) = requests("POST /\n\n< body.txt\n> body: from a file\n");
    std::fs::write(folder.file("body.txt"), "from a file").unwrap();
    let (code, stdout, _) = tool(&["test", fixture("echo.wat").to_str().unwrap(), &file]);
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn a_mistake_in_a_file_of_requests_is_told_with_its_line() {
    for (text, complaint) in [
        ("\n\nGET\n", "FILE:3: expected METHOD TARGET [HTTP/1.1], found `GET`"),
        ("GET / HTTP/1.1 x\n", "FILE:1: expected METHOD TARGET [HTTP/1.1], found `GET / HTTP/1.1 x`"),
        ("GET route\n", "FILE:1: expected a target such as /path?query, found `route`"),
        ("GET /\nfield\n", "FILE:2: expected a field such as accept: text/html, found `field`"),
        (
            "GET /\n> ok\n",
            "FILE:2: expected a status such as 200 or 404 not found, a field such as content-type: text/html, body: TEXT, or body contains: TEXT; found `ok`",
        ),
        ("GET /\n> 200\nmore\n", "FILE:3: expected a line that begins with > or ###, found `more`"),
        ("GET {{host}}/\n", "FILE:1: `host` has no value; expected a line `@host = ...` above"),
        ("# > 200\n", "FILE:1: there is no request for what is expected here"),
        ("POST /\n\n< none.txt\n", "FILE:3: cannot read "),
        ("# nothing\n", "FILE: there is no request in it; expected METHOD TARGET, such as GET /"),
    ] {
        let (code, stdout, stderr) = test(&fixture("echo.wat"), text);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {complaint}")), "expected {complaint}\nfound {stderr}");
    }
}

#[test]
fn probes_from_a_file_decide_whether_a_candidate_serves() {
    let (folder, file) = requests("GET /health\n> 200\n> body: well\n");
    let (module, control) = (folder.file("module.wat"), folder.file("control"));
    std::fs::write(&module, saying("well")).unwrap();
    let arguments = |file: &str| {
        let module = module.to_str().unwrap().to_owned();
        [module, "--probe-file".into(), file.into(), "--control".into(), control.to_str().unwrap().into()]
    };
    let server = Server::with(&arguments(&file));
    let swap = |text: &str| {
        let candidate = TextFile::new(text);
        tool(&["swap".as_ref(), candidate.path().as_os_str(), "--control".as_ref(), control.as_os_str()])
    };
    let (code, stdout, _) = swap(&saying("ill"));
    let cause = format!(
        "rejected version 2 in stage probe: {file}:3: GET /health was answered with the body `ill`; expected the body `well`\n"
    );
    assert_eq!((code, stdout), (1, cause + "version 1 goes on serving\n"));
    let (code, stdout, _) = swap(&answering(b"HTTP/1.1 404 no\n\nwell"));
    let cause = format!(
        "rejected version 3 in stage probe: {file}:2: GET /health was answered 404 Not Found; expected 200\n"
    );
    assert_eq!((code, stdout), (1, cause + "version 1 goes on serving\n"));
    let (code, stdout, _) = swap(&saying("well").replace("32768", "32784"));
    assert_eq!(code, 0, "{stdout}");
    assert_eq!(server.connect().ask("GET", "/").text(), "well");
    drop(server);

    std::fs::write(&file, "GET\n").unwrap();
    let complaint = fails_to_start(&arguments(&file));
    assert_eq!(complaint, format!("error: {file}:1: expected METHOD TARGET [HTTP/1.1], found `GET`"));
}
