//! `--record` records requests on which the handler failed, and `host replay` repeats
//! them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::tool;
use crate::harness::modules::{answering, saying};
use crate::harness::{Folder, Server, TextFile, fails_to_start, fixture};

/// Starts a server with a module, which records to a folder.
fn recording(module: &str, folder: &Path, more: &[&str]) -> Server {
    let fixed = [module, "--record", folder.to_str().unwrap()];
    Server::with(&[&fixed, more].concat())
}

/// Stops the server, which writes all recordings before it ends. Returns the sorted paths
/// of the files in the folder.
fn recorded(server: Server, folder: &Path) -> Vec<String> {
    server.stop();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| path.into_os_string().into_string().unwrap()).collect();
    files.sort();
    files
}

fn replay(arguments: &[&str]) -> (i32, String) {
    let (code, stdout, stderr) = tool(&[&["replay"], arguments].concat());
    assert_eq!(stderr, "");
    (code, stdout)
}

#[test]
fn a_request_that_trapped_does_so_again_wherever_it_is_replayed() {
    let (folder, copy) = (Folder::new(), Folder::new());
    let traps = fixture("traps.wat");
    let server = recording(&traps, &folder.file("made/by/it"), &[]);
    let mut client = server.connect();
    assert_eq!(client.ask("GET", "/fine").status, 200);
    let id = client.ask("POST", "/boom?a=1").field("x-request-id").unwrap().to_owned();
    let [file] = &recorded(server, &folder.file("made/by/it"))[..] else { panic!("expected one file") };
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(folder.file("made/by/it")).unwrap().permissions().mode() & 0o777, 0o700);
    let name = file.rsplit_once('/').unwrap().1;
    assert!(name.ends_with(&format!("-{id}.fault.http")), "{name}");
    let text = fs::read_to_string(file).unwrap();
    let cause = "wasm trap: integer divide by zero; in divide < function 2";
    let sha256 = host::site::version::hash(&fs::read(&traps).unwrap());
    let head = format!(
        "# fault: trap\n# cause: {cause}\n# version: 1\n# sha256: {sha256}\n# masked: nothing\n\nPOST /boom?a=1 HTTP/1.1\r\nhost: test\r\nx-request-id: {id}\r\n"
    );
    assert!(text.starts_with(&head), "{text}");

    let copied = &*copy.path(name);
    fs::copy(file, copied).unwrap();
    drop(folder);
    let same = format!("same    {copied}: POST /boom?a=1: trap: {cause}\n");
    let whole = (0, format!("{same}1 as recorded, 0 otherwise\n"));
    for path in [copy.path("").trim_end_matches('/'), copied] {
        assert_eq!(replay(&[path, "--module", &traps]), whole);
    }

    let mended = TextFile::new(saying("mended"));
    let expected = format!("{same}        against: 200 OK, 6 bytes: mended\n1 as recorded, 0 otherwise\n");
    assert_eq!(replay(&[copied, "--module", &traps, "--against", mended.path()]), (0, expected));
    let expected = format!(
        "DIFFERS {copied}: POST /boom?a=1: 200 OK, 6 bytes: mended\n        recorded: trap: {cause}\n        recorded with another module: version 1, sha256 {}\n0 as recorded, 1 otherwise\n",
        &sha256[..12]
    );
    assert_eq!(replay(&[copied, "--module", mended.path()]), (1, expected));
    let fixed = format!("fixed   {copied}: POST /boom?a=1: 200 OK, 6 bytes: mended\n1 fixed, 0 not\n");
    assert_eq!(replay(&[copied, "--module", mended.path(), "--expect-fixed"]), (0, fixed));
    let (code, stdout) = replay(&[copied, "--module", &traps, "--expect-fixed"]);
    assert!(code == 1 && stdout.starts_with("FAILS   ") && stdout.ends_with("0 fixed, 1 not\n"), "{stdout}");
}

#[test]
fn secrets_are_masked_unless_they_are_asked_for() {
    let request = "POST /boom HTTP/1.1\r\nhost: test\r\nCookie: a=secret\r\nauthorization: Basic secret\r\ncontent-length: 6\r\n\r\nno one";
    for (more, cookie, masked) in [
        (&[][..], "cookie: ********\r\nauthorization: ************\r\n", "# masked: cookie, authorization\n"),
        (&["--record-secrets"], "cookie: a=secret\r\nauthorization: Basic secret\r\n", "# masked: nothing\n"),
    ] {
        let folder = Folder::new();
        let server = recording(&fixture("panics.wat"), &folder.file("r"), more);
        let mut client = server.connect();
        client.send(request);
        assert_eq!(client.reply_to("POST").status, 500);
        let files = recorded(server, &folder.file("r"));
        let text = fs::read_to_string(&files[0]).unwrap();
        assert!(text.contains(cookie) && text.contains(masked) && text.ends_with("\r\n\r\nno one"), "{text}");
        let (code, stdout) = replay(&[&files[0], "--module", &fixture("panics.wat")]);
        assert_eq!(code, 0, "{stdout}");
    }
}

#[test]
fn every_fault_of_the_handler_is_recorded_and_nobody_elses_is() {
    let folder = Folder::new();
    let bad = TextFile::new(answering(b"no response"));
    let server = recording(bad.path(), &folder.file("r"), &[]);
    assert_eq!(server.connect().ask("GET", "/").status, 502);
    assert_eq!(server.connect().ask("GET", &format!("/{}", "a".repeat(9000))).status, 414);
    let files = recorded(server, &folder.file("r"));
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(fs::read_to_string(&files[0]).unwrap().starts_with("# fault: invalid response\n"));
    let (code, stdout) = replay(&[&files[0], "--module", bad.path()]);
    assert!(code == 0 && stdout.starts_with("same    "), "{stdout}");

    let server = recording(&fixture("loops.wat"), &folder.file("r"), &["--deadline", "30ms"]);
    assert_eq!(server.connect().ask("GET", "/").status, 504);
    let files = recorded(server, &folder.file("r"));
    assert_eq!(files.len(), 2);
    // Another deadline ends the call elsewhere, and by the same fault.
    let late = files.iter().find(|file| fs::read_to_string(file).unwrap().contains("# fault: deadline\n"));
    let flags = ["--module", &fixture("loops.wat"), "--deadline", "20ms"];
    let (code, stdout) = replay(&[&[&**late.unwrap()], &flags[..]].concat());
    assert!(code == 0 && stdout.starts_with("same    "), "{stdout}");
}

#[test]
fn no_more_is_recorded_than_may_be() {
    let folder = Folder::new();
    fs::create_dir(folder.file("r")).unwrap();
    // A file with another name is neither counted nor removed.
    fs::write(folder.file("r/mine.http"), "").unwrap();
    let server = recording(&fixture("traps.wat"), &folder.file("r"), &["--record-max", "2"]);
    for number in 0..4 {
        assert_eq!(server.connect().ask("GET", &format!("/boom{number}")).status, 500);
    }
    let files = recorded(server, &folder.file("r"));
    let texts: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(files.len(), 3);
    assert!(texts[0].contains("GET /boom2 ") && texts[1].contains("GET /boom3 "), "{texts:?}");

    // Recordings of an earlier process count, too. The oldest are removed until the new one
    // fits.
    let size = fs::metadata(&files[1]).unwrap().len();
    let server =
        recording(&fixture("traps.wat"), &folder.file("r"), &["--record-bytes", &(2 * size - 1).to_string()]);
    assert_eq!(server.connect().ask("GET", "/boom4").status, 500);
    let files = recorded(server, &folder.file("r"));
    assert!(files.len() == 2 && fs::read_to_string(&files[0]).unwrap().contains("GET /boom4 "), "{files:?}");

    let mut server = recording(&fixture("traps.wat"), &folder.file("r"), &["--record-bytes", "100"]);
    assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    let cause = "larger than the whole folder may be (--record-bytes)";
    server.log_line(&["WARN", "requests are not recorded: a request of ", cause]);
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_said_to_be() {
    let file = TextFile::new("text");
    let path = file.path();
    let complaint = fails_to_start(&["--record", path, "--listen", "127.0.0.1:0", "--no-control"]);
    assert!(complaint.starts_with(&format!("error: cannot record to {path}: ")), "{complaint}");
    let empty = Folder::new();
    let no_request = format!("{path}: not a recorded request: the line `# fault:` is missing");
    for (path, complaint) in [
        (path, &*no_request),
        ("/no/such", "cannot read /no/such: No such file or directory (os error 2)"),
        (&empty.path(""), "no recorded requests found; expected files that `host --record DIR` has written"),
    ] {
        let found = tool(&["replay", path, "--module", &fixture("traps.wat")]);
        assert_eq!(found, (1, String::new(), format!("error: {complaint}\n")));
    }
}

#[test]
fn what_stands_in_a_recorded_request_steers_no_terminal() {
    let head = "# fault: t\u{1b}[31m\n# cause: \u{9b}2J\n# version: 1\n# sha256: \u{1b}[31m0123456789\n# masked: \u{1b}]0;x\u{7}\n\n";
    let file = TextFile::new(format!("{head}GET /\u{9b} HTTP/1.1\r\nhost: a\r\n\r\n"));
    let module = TextFile::new(answering("HTTP/1.1 200 \u{9b}31m\n\n\u{1b}[2J".as_bytes()));
    let module = module.path();
    let (code, stdout) = replay(&[file.path(), "--module", module, "--against", module]);
    assert!(code == 1 && stdout.contains(r"recorded: t\u{1b}[31m: \u{9b}2J"), "{stdout}");
    super::calling::steers_nothing(&stdout);
}
