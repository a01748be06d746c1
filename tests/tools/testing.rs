//! `host test` and `--probe-file` check the responses to requests in a file.

use super::tool;
use crate::harness::modules::{answering, saying};
use crate::harness::{Deployment, Folder, TextFile, fails_to_start, fixture, output_of};

/// Writes a request file in a temporary folder.
fn requests(text: &str) -> (Folder, String) {
    let folder = Folder::new();
    let path = folder.path("requests.http");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// Runs `host test`, and replaces what differs between runs in its output: times are
/// removed, and the path of the file becomes `FILE`.
fn test(module: &str, text: &str) -> (i32, String, String) {
    let (_folder, file) = requests(text);
    let (code, stdout, stderr) = tool(&["test", module, &file]);
    let without_time = |line: &str| {
        let timed = line.strip_suffix(" ms").and_then(|line| line.rsplit_once(", "));
        timed.map_or(line, |(line, _)| line).to_owned() + "\n"
    };
    let lines = stdout.lines().map(without_time).collect::<String>();
    (code, lines.replace(&file, "FILE"), stderr.replace(&file, "FILE"))
}

#[test]
fn test_passes_when_all_is_as_expected() {
    let module = TextFile::new(host::site::version::EMBEDDED);
    let text = "@host = http://localhost:4444\n\n### the front page\n# > content-type: text/html\nGET {{host}}/ HTTP/1.1\r\naccept: text/html\n# a comment\n\n> 200\n> body: <h1> hello index</h1>\n\n###\nGET /nope\n\n> 404 page not found\n> content-type: text/html; charset=utf-8\n> body contains: 404\n###\nHEAD /\n";
    let (code, stdout, stderr) = test(module.path(), text);
    let expected = "\
ok    FILE:5: GET http://localhost:4444/ (the front page): 200 OK
ok    FILE:13: GET /nope: 404 page not found
ok    FILE:19: HEAD /: 200 OK
3 passed, 0 failed
";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, expected, ""));
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
    let trap =
        "FAIL  FILE:3: GET /boom: not answered\n      trap: wasm trap: integer divide by zero; in divide";
    assert!(code == 1 && stdout.contains(trap) && stdout.ends_with("1 passed, 1 failed\n"), "{stdout}");
}

#[test]
fn test_sends_bodies_as_they_are_written() {
    let text = "POST /\n\n# no comment\n\n> 200\n> body: # no comment\n###\n@what = milk\nPOST /\n\n{{what}}\n\n  and more\n\n\n> body: milk\n> body: \n> body:   and more\n";
    let (code, stdout, _) = test(&fixture("echo.wat"), text);
    assert_eq!(code, 0, "{stdout}");
    let (folder, file) = requests("POST /\n\n< body.txt\n> body: # > 200\n");
    std::fs::write(folder.file("body.txt"), "# > 200").unwrap();
    let (code, stdout, _) = tool(&["test", &fixture("echo.wat"), &file]);
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn a_mistake_in_a_file_of_requests_is_told_with_its_line() {
    let no_expectation = "FILE:2: expected a status such as 200 or 404 not found, a field such as content-type: text/html, body: TEXT, or body contains: TEXT; found `ok`";
    let no_request = "FILE:1: this expectation belongs to no request; expected METHOD TARGET, such as GET /";
    for (text, complaint) in [
        ("\n\nGET\n", "FILE:3: expected METHOD TARGET [HTTP/1.1], found `GET`"),
        ("GET / HTTP/1.1 x\n", "FILE:1: expected METHOD TARGET [HTTP/1.1], found `GET / HTTP/1.1 x`"),
        (
            "GET route\n",
            "FILE:1: expected a target that begins with /, such as /path?query, or a URL, found `route`",
        ),
        ("GET /\nfield\n", "FILE:2: expected a field such as accept: text/html, found `field`"),
        ("GET /\n> ok\n", no_expectation),
        ("GET /\n> 200\nmore\n", "FILE:3: expected a line that begins with > or ###, found `more`"),
        ("GET {{host}}/\n", "FILE:1: the variable `host` is not set; expected a line `@host = ...` above"),
        ("# > 200\n", no_request),
        (
            "GET /\n\n# > 200\n",
            "FILE:3: an expectation behind the empty line is written `> 200`; `# > 200` stands above",
        ),
        ("POST /\n\nmilk\n//> 200\n", "FILE:4: an expectation behind the empty line is written `> 200`; "),
        ("POST /\n\n< none.txt\n", "FILE:3: cannot read "),
        ("# nothing\n", "FILE: the file has no request; expected METHOD TARGET, such as GET /"),
    ] {
        let (code, stdout, stderr) = test(&fixture("echo.wat"), text);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {complaint}")), "expected {complaint}\nfound {stderr}");
    }
}

#[test]
fn probes_from_a_file_decide_whether_a_candidate_serves() {
    let (_folder, file) = requests("GET /health\n> 200\n> body: well\n");
    let place = Deployment::of(saying("well"));
    let server = place.start(&["--probe-file", &file]);
    let missing = answering(b"HTTP/1.1 404 no\n\nwell");
    for (number, module, cause) in [
        (2, saying("ill"), "3: GET /health was answered with the body `ill`; expected the body `well`"),
        (3, missing, "2: GET /health was answered 404 Not Found; expected 200"),
    ] {
        let rejected = format!("rejected version {number} in stage probe: {file}:{cause}\n");
        let (code, printed) = output_of(&mut place.swap_command(module));
        assert_eq!((code, printed), (1, rejected + "version 1 goes on serving\n"));
    }
    place.serves(saying("well").replace("32768", "32784"), 4);
    assert_eq!(server.connect().ask("GET", "/").text(), "well");
    drop(server);

    std::fs::write(&file, "GET\n").unwrap();
    let complaint = fails_to_start(&place.arguments(&["--probe-file", &file]));
    assert_eq!(complaint, format!("error: {file}:1: expected METHOD TARGET [HTTP/1.1], found `GET`"));
}
