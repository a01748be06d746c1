//! Commands to a running server, by the command line and as bytes on the control socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::harness::modules::saying;
use crate::harness::{Deployment, Folder, Server, TextFile, fails_to_start, fixture_text, host, output_of};

#[track_caller]
fn succeeds(place: &Deployment, arguments: &[&str], text: &str) -> String {
    let (code, printed) = output_of(&mut place.command(arguments));
    assert!(code == 0 && printed.contains(text), "{arguments:?}: {printed}");
    printed
}

#[track_caller]
fn fails(place: &Deployment, arguments: &[&str], text: &str) {
    let (code, printed) = output_of(&mut place.command(arguments));
    assert!(code == 1 && printed.contains(text), "{arguments:?}: {code}: {printed}");
}

#[test]
fn commands_swap_roll_back_and_tell() {
    let place = &Deployment::new();
    let server = Server::with(&["--control", &place.path("control"), "--keep", "3"]);
    let mut client = server.connect();
    let mut answered = |word: &str| assert_eq!(client.ask("GET", "/").text(), word);
    let files: Vec<TextFile> =
        ["two", "three", "four"].into_iter().map(|word| TextFile::new(saying(word))).collect();
    let path = |index: usize| files[index].path();

    succeeds(place, &["swap", path(0)], "serving version 2 (sha256 ");
    answered("two");
    succeeds(place, &["swap", path(0)], "unchanged: version 2 serves these bytes already");
    succeeds(place, &["swap", path(1), "--if-version", "2"], "which replaced version 2");
    let refused = "refused: version 3 is current; expected version 2";
    fails(place, &["swap", path(2), "--if-version", "2"], refused);
    answered("three");

    let bad = TextFile::new("(module)");
    fails(place, &["swap", bad.path()], "rejected version 4 in stage check: it has no export `memory`");
    fails(
        place,
        &["swap", "/no/such/file"],
        "error: cannot read /no/such/file: there is no such file; expected a .wasm",
    );
    answered("three");

    succeeds(place, &["rollback"], "serving version 2");
    answered("two");
    fails(place, &["swap", bad.path()], "version 2 goes on serving");
    succeeds(place, &["rollback"], "serving version 1");
    succeeds(place, &["rollback", "3", "--if-version", "1"], "serving version 3");
    succeeds(place, &["rollback", "3"], "unchanged: version 3");
    fails(place, &["rollback", "4"], "version 4 was rejected and has never served");
    // With `--keep 3`, a fourth good version makes the server drop version 1.
    succeeds(place, &["swap", path(2)], "serving version 6");
    fails(
        place,
        &["rollback", "1"],
        "version 1 is not kept (--keep, --keep-bytes); kept versions, to which a rollback can go: 2, 3, 6",
    );
    answered("four");

    let table = succeeds(place, &["versions"], "rejected");
    let states = [("2", "retired"), ("3", "retired"), ("4", "rejected"), ("5", "rejected"), ("6", "current")];
    for (line, (number, state)) in table.lines().skip(1).zip(states) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[0], words[1]), (number, state), "{table}");
    }
    let json = succeeds(place, &["versions", "--json"], "");
    let entries: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(entries[2]["reason"], "check: it has no export `memory`; expected a memory");

    let status = succeeds(place, &["status"], "serves version 6: ");
    assert!(status.contains(&format!("http://{}", server.addresses[0])), "{status}");
    let json = succeeds(place, &["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&status["pid"], &status["sites"][0]["serving"]["number"]), (&server.pid().into(), &6.into()));
}

#[test]
fn the_faults_and_the_levels_of_the_log_are_shown_and_the_levels_changed() {
    let place = &Deployment::of(fixture_text("traps.wat"));
    let mut server = place.start(&["--log-level", "info,request=off"]);
    assert_eq!(succeeds(place, &["faults"], ""), "faults since the start: none\n");
    assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    let faults = succeeds(place, &["faults"], "faults since the start: trap 1\nlatest faults of the handler");
    assert!(
        faults.contains("trap (500), GET /boom, request ") && faults.contains(", version 1: "),
        "{faults}"
    );
    let json: serde_json::Value = serde_json::from_str(&succeeds(place, &["faults", "--json"], "")).unwrap();
    assert_eq!((&json["counts"]["trap"], &json["recent"][0]["target"]), (&1.into(), &"/boom".into()));

    let before = succeeds(place, &["log-level"], "levels of the log: ");
    assert_eq!(server.connect().ask("GET", "/fine?quiet").status, 200);
    succeeds(place, &["log-level", "info"], "levels of the log until a reload or a restart: ");
    assert_eq!(server.connect().ask("GET", "/fine?loud").status, 200);
    server.log_line(&["target=/fine?loud"]);
    assert_eq!(server.log_line_now(&["target=/fine?quiet"]), None);
    assert_ne!(succeeds(place, &["log-level"], "levels of the log: "), before);
    let json: serde_json::Value =
        serde_json::from_str(&succeeds(place, &["log-level", "--json"], "")).unwrap();
    assert!(json["level"].is_string(), "{json}");
    let (code, printed) = output_of(&mut place.command(&["log-level", "loud"]));
    assert!(code == 2 && printed.contains("LEVEL: found `loud`; expected one of off"), "{printed}");
}

#[test]
fn the_default_place_follows_from_the_port_and_is_private() {
    let folder = Folder::new();
    let runtime = folder.file("runtime");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = host();
    command.env("XDG_RUNTIME_DIR", &runtime);
    let server = Server::spawn::<&str>(command, &[]);
    let port = server.addresses[0].port();
    let socket = runtime.join(format!("host-{port}.sock"));
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut status = host();
    status.args(["status", "--port", &port.to_string()]).env("XDG_RUNTIME_DIR", &runtime);
    let (code, printed) = output_of(&mut status);
    assert_eq!(code, 0, "{printed}");
}

#[test]
fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
    let place = &Deployment::new();
    let socket = place.path("control");
    let server = Server::with(&["--control", &socket]);
    let complaint = fails_to_start(&["--control", &socket, "--listen", "127.0.0.1:0"]);
    let taken = format!(
        "{socket} (choose another with --control, or none with --no-control): another server uses it (process {}); stop \
         that server, or choose another place",
        server.pid()
    );
    assert!(complaint.contains(&taken), "{complaint}");
    succeeds(place, &["status"], "serves version 1");
    // Kills the server, so that it cannot remove its socket.
    drop(server);
    fails(place, &["status"], "no server answers at");
    assert!(Path::new(&socket).exists());
    let server = Server::with(&["--control", &socket]);
    succeeds(place, &["status"], "serves version 1");
    server.stop();
    assert!(!Path::new(&socket).exists());

    fs::write(&socket, "a file of somebody's").unwrap();
    let complaint = fails_to_start(&["--control", &socket, "--listen", "127.0.0.1:0"]);
    assert!(complaint.ends_with("the path exists and is not a socket"), "{complaint}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "a file of somebody's");
}

#[test]
fn a_client_in_another_folder_is_told_whole_paths() {
    let folder = Folder::new();
    let mut command = host();
    command.current_dir(folder.file(""));
    let _server = Server::spawn(command, &["--state-dir", "state", "--control", "control"]);
    let here = fs::canonicalize(folder.file("")).unwrap().display().to_string();
    let (_, printed) = output_of(host().args(["status", "--control", &folder.path("control")]));
    assert!(printed.contains(&format!("\ntakes commands at {here}/control\n")), "{printed}");
    assert!(printed.contains(&format!(" {here}/state")), "{printed}");
}

#[test]
fn what_is_no_server_of_this_program_is_told() {
    let folder = Folder::new();
    let asking = |socket: &str| output_of(host().args(["status", "--control", socket]));
    // The socket on which a server answers its clients.
    let http = folder.path("http.sock");
    let _server = Server::with(&["--listen", &format!("unix:{http}")]);
    let (code, printed) = asking(&http);
    assert!(code == 1 && printed.contains("another program listens there, or another version"), "{printed}");
    let silent = UnixListener::bind(folder.file("other")).unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    let (code, printed) = asking(&folder.path("other"));
    assert!(code == 1 && printed.contains("another program listens there, or another version"), "{printed}");
    other.join().unwrap();
}

#[test]
fn bytes_that_are_no_http_harm_nothing() {
    let place = &Deployment::new();
    let socket = &place.path("control");
    let server = Server::with(&["--control", socket]);
    for request in [&b""[..], b"{}", b"{}\n", b"\xff\n\r\n\r\n", b"GET / HTTP/1.1\r\n", &[b'x'; 100_000]] {
        let mut stream = UnixStream::connect(socket).unwrap();
        // Fails if the server has refused the request before everything was sent.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", reply.escape_ascii());
    }
    // Clients that send nothing delay no other command.
    let silent: Vec<UnixStream> = (0..12).map(|_| UnixStream::connect(socket).unwrap()).collect();
    succeeds(place, &["status"], "serves version 1");
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    drop(silent);
}
