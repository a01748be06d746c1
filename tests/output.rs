//! Output of the program: banner, log lines and help. A log that cannot be written or that
//! nobody reads does not stop the server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use crate::harness::{Client, Folder, Server, fails_to_start, host, kill, ready_address, wait_until};

#[test]
fn the_banner_says_what_is_served_where_and_how_to_stop() {
    let mut server = Server::start();
    let line = server.log_line(&["serves version 1: the embedded handler, "]);
    let hash = line.rsplit("sha256 ").next().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    let url = format!("  http://{}", server.addresses[0]);
    server.log_line(&[&url]);
    server.log_line(&["Ctrl-C"]);
}

#[test]
fn each_request_is_one_line() {
    let mut server = Server::start();
    let mut client = server.connect();
    let id = client.ask("GET", "/route?a=1").field("x-request-id").unwrap().to_owned();
    let line = server.log_line(&[&format!("id={id}")]);
    let (_, rest) = line.split_once(" INFO request: ").unwrap();
    let (start, end) = rest.split_once("time_us=").unwrap();
    assert_eq!(start, "method=GET target=\"/route?a=1\" status=200 length=21 client=127.0.0.1 ");
    let (time, end) = end.split_once(' ').unwrap();
    assert!(time.parse::<u64>().is_ok(), "{line}");
    assert_eq!(end, format!("version=1 id={id}"));

    let id = client.ask("HEAD", "/").field("x-request-id").unwrap().to_owned();
    server.log_line(&["method=HEAD target=/ status=200 length=0 ", &format!("id={id}")]);
}

#[test]
fn json_lines_hold_the_same_and_nothing_else_is_said() {
    let mut server = Server::with(&["--log-format", "json"]);
    let id = server.connect().ask("POST", "/a?b").field("x-request-id").map(str::to_owned);
    server.log_line(&["\"target\":\"request\""]);
    let lines = server.stop();
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let request = lines.iter().find(|line| line["target"] == "request").unwrap();
    assert_eq!(request["level"], "INFO");
    let fields = &request["fields"];
    assert!(fields["time_us"].is_u64() && fields["id"].is_string(), "{fields}");
    let expected = serde_json::json!({
        "method": "POST", "target": "/a?b", "status": 405, "length": 37, "client": "127.0.0.1",
        "time_us": fields["time_us"], "version": 1, "id": id,
    });
    assert_eq!(fields, &expected);
    assert!(lines.iter().any(|line| line["fields"]["message"] == "serving"));
}

#[test]
fn lines_for_requests_can_be_turned_off() {
    let server = Server::with(&["--log-level", "info,request=off"]);
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    let lines = server.stop();
    assert!(lines.iter().all(|line| !line.contains("request:")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("shutting down")), "{lines:?}");
}

#[test]
fn lines_that_were_lost_are_counted_and_told() {
    let (mut child, mut client) = with_stderr(&["--log-level", "info"], Stdio::piped());
    // Nobody reads the log yet, so most lines are lost: the pipe holds 64 KiB and the queue
    // and the writer 2 MiB each, but these lines are 16 MB.
    ask_for_long_targets(&mut client, 2000);
    // Reads the log from here on.
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let (mut written, mut lost) = (0, None);
    for line in lines {
        written += u64::from(line.contains("request: method=GET target=/aaa"));
        if let Some((_, number)) = line.split_once("log lines were lost: ") {
            lost = number.rsplit_once("lines=").map(|(_, number)| number.parse::<u64>().unwrap());
            break;
        }
    }
    assert_eq!(written + lost.unwrap(), 2000);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Makes `requests` requests, each of which logs a line of 8 kB.
fn ask_for_long_targets(client: &mut Client, requests: usize) {
    let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(8000));
    for _ in 0..requests / 50 {
        client.send(request.repeat(50));
        (0..50).for_each(|_| assert_eq!(client.reply_to("GET").status, 404));
    }
}

/// Starts a server with `stderr` as its standard error, and connects to it.
pub fn with_stderr(arguments: &[&str], stderr: Stdio) -> (Child, Client) {
    let mut command = host();
    command.args(arguments);
    command.args(["--listen", "127.0.0.1:0", "--no-control"]).stdout(Stdio::piped()).stderr(stderr);
    let mut child = command.spawn().unwrap();
    let client = Client::connect(ready_address(&mut child));
    (child, client)
}

#[test]
fn a_log_that_cannot_be_written_does_not_stop_the_server() {
    for stderr in [Stdio::piped(), File::create("/dev/full").unwrap().into()] {
        let (mut child, mut client) = with_stderr(&[], stderr);
        // Closes the pipe, so that every write fails.
        drop(child.stderr.take());
        for _ in 0..3 {
            assert_eq!(client.ask("GET", "/").status, 200);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_log_that_is_not_read_does_not_stop_the_server() {
    let (mut child, mut client) = with_stderr(&[], Stdio::piped());
    // The log does not fit the pipe, which holds 64 KiB: these lines are 8 MB.
    ask_for_long_targets(&mut client, 1000);
    kill("TERM", child.id());
    client.expect_close();
    assert!(child.wait().unwrap().success());
}

#[test]
fn help_and_version_are_to_be_had() {
    let help = host().arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success());
    for flag in ["[MODULE]", "--listen", "localhost:4444", "--threads", "--log-format", "--body-max", "1MiB"]
    {
        assert!(text.contains(flag), "{flag} in:\n{text}");
    }
    let version = host().arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("host {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_log_file_is_opened_again_after_it_was_put_away() {
    let folder = Folder::new();
    let (log, old) = (folder.path("host.log"), folder.path("host.log.1"));
    let server = Server::begin(host(), &["--log-file", &log]).until_ready();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    assert_eq!(server.connect().ask("GET", "/first").status, 404);
    wait_until("the first line", || read(&log).contains("target=/first"));
    assert!(read(&log).contains("host 0.2.0 serves version 1"), "{}", read(&log));
    fs::rename(&log, &old).unwrap();
    assert_eq!(server.connect().ask("GET", "/second").status, 404);
    wait_until("the second line", || read(&old).contains("target=/second"));
    server.signal("USR1");
    wait_until("the new file", || read(&log).contains("the log goes on in a file that was opened again"));
    assert_eq!(server.connect().ask("GET", "/third").status, 404);
    wait_until("the third line", || read(&log).contains("target=/third"));
    assert!(!read(&old).contains("target=/third"));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o640);
    // A folder has taken the place of the file: the file that is open goes on.
    fs::rename(&log, folder.path("host.log.2")).unwrap();
    fs::create_dir(&log).unwrap();
    server.signal("USR1");
    let second = folder.path("host.log.2");
    wait_until("the complaint", || read(&second).contains("again, so this file goes on: "));
    assert!(server.stop().is_empty(), "nothing goes to standard error");
    for (path, cause) in [(folder.path(""), "Is a directory"), ("/dev/null".into(), "it is no regular file")]
    {
        let said = fails_to_start(&["--log-file", &path]);
        assert!(said.contains("cannot log to ") && said.contains(cause), "{said}");
    }
}
