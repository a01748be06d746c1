use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::modules::saying;
use crate::harness::{Folder, Random, Server, fails_to_start, rename_over};

/// A folder with a module file and a folder for the state.
struct Place(Folder);

impl Place {
    fn new() -> Place {
        let place = Place(Folder::new());
        fs::write(place.file(), saying("one")).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.0.file("handler.wasm")
    }

    fn state(&self) -> PathBuf {
        self.0.file("state")
    }

    fn socket(&self) -> PathBuf {
        self.0.file("control")
    }

    fn start(&self) -> Server {
        let (file, state, control) = (self.file(), self.state(), self.socket());
        let args = [
            file.as_os_str(),
            "--state-dir".as_ref(),
            state.as_os_str(),
            "--control".as_ref(),
            control.as_os_str(),
        ];
        Server::with(&args)
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let mut command = crate::harness::host();
        let output = crate::harness::run_to_end(command.args(arguments).arg("--control").arg(self.socket()));
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }
}

fn says(server: &Server, word: &str, version: &str) {
    let reply = server.connect().ask("GET", "/");
    assert_eq!((reply.text(), reply.field("x-handler-version")), (word, Some(version)));
}

#[test]
fn the_server_comes_back_with_the_version_that_served() {
    let place = Place::new();
    let mut server = place.start();
    rename_over(&place.file(), saying("two"));
    server.log_line(&["serving version 2"]);
    assert!(place.tell(&["swap", "/dev/null"]).contains("rejected version 3"));
    drop(server);

    // Even when the file has become bad meanwhile.
    fs::write(place.file(), "nonsense").unwrap();
    let mut server = place.start();
    server.log_line(&["rejected version 4", "it is a text file", "serving=2"]);
    says(&server, "two", "2");
    let versions = loop {
        let versions = place.tell(&["versions"]);
        // The others are compiled behind the one that serves.
        if versions.contains("retired") {
            break versions;
        }
    };
    assert!(versions.contains("1  retired") && versions.contains("2  current"), "{versions}");
    assert!(place.tell(&["rollback", "1"]).contains("serving version 1"));
    drop(server);

    let mut server = place.start();
    says(&server, "one", "1");
    // The bad file was looked at already; a new one is taken up.
    rename_over(&place.file(), saying("five"));
    server.log_line(&["serving version 5"]);
    drop(server);
    fs::write(place.file(), saying("six")).unwrap();
    let mut server = place.start();
    server.log_line(&["serving version 6", "replaced=5"]);
    says(&server, "six", "6");
}

#[test]
fn a_damaged_state_is_reported_and_serving_goes_on() {
    let place = Place::new();
    let start_and_swap = || {
        let mut server = place.start();
        rename_over(&place.file(), saying("two"));
        server.log_line(&["serving version 2"]);
        drop(server);
        fs::write(place.file(), saying("one")).unwrap();
    };
    start_and_swap();
    let state = place.state().join("state.json");
    let whole = fs::read(&state).unwrap();
    // It is filled up with spaces.
    let whole = whole.trim_ascii_end();

    for damaged in [&b""[..], b"{", b"{\"format\":2}", b"\xff\xff", &whole[..whole.len() / 2]] {
        fs::write(&state, damaged).unwrap();
        let mut server = place.start();
        server.log_line(&["WARN", "is unusable and is set aside"]);
        says(&server, "one", "1");
    }
    assert!(place.state().join("state.damaged").exists());

    // What was set aside is there for whoever can read it.
    let names =
        fs::read_dir(place.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let aside: Vec<String> = names.filter(|name| name.ends_with(".damaged")).collect();
    assert!(aside.len() >= 3, "the state and two modules: {aside:?}");

    // One that cannot be read may be whole.
    let _ = fs::remove_file(&state);
    fs::create_dir(&state).unwrap();
    let (file, folder) = (place.file(), place.state());
    let complaint = fails_to_start(&[file.as_os_str(), "--state-dir".as_ref(), folder.as_os_str()]);
    assert!(complaint.contains("cannot read ") && complaint.contains("it is a folder"), "{complaint}");

    // A state that names a module which is not what it was: the next newest.
    fs::remove_dir_all(place.state()).unwrap();
    start_and_swap();
    let current = host::site::version::hash(saying("two").as_bytes());
    let module = place.state().join(format!("{current}.module"));
    fs::write(&module, "damaged").unwrap();
    let mut server = place.start();
    server.log_line(&["version 2", "cannot be restored", "is damaged: its SHA-256 is not the recorded one"]);
    assert_eq!(server.connect().ask("GET", "/").text(), "one");
    drop(server);

    // No folder at all.
    fs::remove_dir_all(place.state()).unwrap();
    fs::write(place.state(), "a file").unwrap();
    let file = place.file();
    let state = place.state();
    let complaint = fails_to_start(&[file.as_os_str(), "--state-dir".as_ref(), state.as_os_str()]);
    assert!(complaint.starts_with("error: cannot use the state folder "), "{complaint}");
}

#[test]
fn versions_that_cannot_serve_now_are_kept_for_later() {
    let place = Place::new();
    let large = saying(&"x".repeat(20_000));
    fs::write(place.file(), &large).unwrap();
    let mut server = place.start();
    // What it has to save at its start comes before any order.
    server.signal("HUP");
    server.log_line(&["the file is unchanged: its bytes serve already"]);
    drop(server);
    let state = place.state();
    // A start that does not take a module of this size serves another, with
    // the next number.
    let mut server =
        Server::with(&["--state-dir".as_ref(), state.as_os_str(), "--module-max".as_ref(), "16KiB".as_ref()]);
    server.log_line(&["version 1", "cannot be restored", "(--module-max)"]);
    assert_eq!(server.connect().ask("GET", "/").field("x-handler-version"), Some("2"));
    server.signal("HUP");
    server.log_line(&["not swapped"]);
    drop(server);
    let server = place.start();
    while !place.tell(&["versions"]).contains("1  retired") {}
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    assert_eq!(server.connect().ask("GET", "/").body.len(), 20_000);
}

#[test]
fn one_server_at_a_time_has_the_state() {
    let place = Place::new();
    let first = place.start();
    let state = place.state();
    let complaint = fails_to_start(&["--state-dir".as_ref(), state.as_os_str()]);
    assert!(complaint.ends_with("another server uses it"), "{complaint}");
    says(&first, "one", "1");
}

#[test]
fn killed_at_any_moment_it_comes_back_with_a_good_version() {
    let place = Place::new();
    let mut random = Random::new(0x5eed);
    let mut client_saw = 0;
    for round in 0..50 {
        let server = place.start();
        let mut client = server.connect();
        let reply = client.ask("GET", "/");
        let word: u64 = reply.text().parse().unwrap_or(0);
        // Good ones only, and never one from before the last that was told.
        assert!(reply.text() == "one" || word > 0, "{reply:?}");
        assert_eq!(reply.status, 200);
        assert!(word >= client_saw, "back at {word} after {client_saw} was durable");
        let written = 1 + random.below(4) as u64;
        for step in 0..written {
            let number = (round + 1) * 100 + step;
            let file = place.0.file("upload");
            fs::write(&file, saying(&number.to_string())).unwrap();
            if step + 1 < written {
                let told = place.tell(&["swap", file.to_str().unwrap()]);
                assert!(told.starts_with("serving"), "{told}");
                client_saw = number;
            } else {
                // The last one is not waited for: the kill comes in the middle.
                let mut command = crate::harness::host();
                command.args(["swap", file.to_str().unwrap()]).arg("--control").arg(place.socket());
                let mut child = command
                    .stdout(std::process::Stdio::null())
                    .stderr(std::process::Stdio::null())
                    .spawn()
                    .unwrap();
                for _ in 0..random.below(400) {
                    client.ask("GET", "/");
                }
                drop(server);
                child.wait().unwrap();
                break;
            }
        }
    }
}

#[test]
fn a_version_that_serves_and_is_not_kept_is_said_to_be() {
    let place = Place::new();
    let (state, control) = (place.state(), place.socket());
    let args: Vec<&OsStr> =
        vec!["--state-dir".as_ref(), state.as_os_str(), "--control".as_ref(), control.as_os_str()];
    let large = place.0.file("large");
    fs::write(&large, saying(&"x".repeat(20_000))).unwrap();
    // Nothing can be written to where it is to be.
    let taken = state.join(format!("{}.module", host::site::version::hash(&fs::read(&large).unwrap())));
    fs::create_dir_all(taken.join("by a folder")).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let server = Server::with(&args);
    let mut swap = crate::harness::host();
    let swap = swap.args(["swap", large.to_str().unwrap()]).arg("--control").arg(&control);
    let output = crate::harness::run_to_end(swap);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("serving version 2 ")
            && text.contains("\nnot saved, so it would not survive a restart: cannot write "),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(server.connect().ask("GET", "/").body.len(), 20_000);
    drop(server);

    let server = Server::with(&[&args[..], &["--require-durable".as_ref()]].concat());
    let output = crate::harness::run_to_end(swap);
    let text = String::from_utf8(output.stdout).unwrap();
    let expected =
        "rejected version 3 in stage save: it would not survive a restart (--require-durable): cannot write ";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(server.connect().ask("GET", "/").text(), "<h1> hello index</h1>");
}

#[test]
fn a_version_that_fails_its_probes_does_not_come_back() {
    let place = Place::new();
    let mut server = place.start();
    rename_over(&place.file(), saying("two"));
    server.log_line(&["serving version 2"]);
    drop(server);
    let (file, state) = (place.file(), place.state());
    let args: Vec<&OsStr> = vec![file.as_os_str(), "--state-dir".as_ref(), state.as_os_str()];
    let requests = place.0.file("requests.http");
    let with_probe = |body: &str| {
        fs::write(&requests, format!("GET /\n\n> body: {body}\n")).unwrap();
        [&args[..], &["--probe-file".as_ref(), requests.as_os_str()]].concat()
    };
    let mut server = Server::with(&with_probe("one"));
    server.log_line(&["version 2", "cannot be restored: probe: ", "expected the body `one`"]);
    says(&server, "one", "1");
    drop(server);
    // No version that is kept will do, and the file will not either.
    let mut command = crate::harness::host();
    let output =
        crate::harness::run_to_end(command.args(with_probe("three")).args(["--listen", "127.0.0.1:0"]));
    let text = String::from_utf8(output.stderr).unwrap();
    let complaint = text.lines().last().unwrap();
    assert!(
        complaint.starts_with("error: cannot serve ") && complaint.contains("expected the body `three`"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_was_swapped_out_gives_everything_back() {
    let place = Place::new();
    let server = Server::with(&[place.file().to_str().unwrap(), "--no-watch", "--log-level", "off"]);
    let mut client = server.connect();
    let mut swap_many = |from: u64, to: u64| {
        for number in from..to {
            fs::write(place.file(), saying(&number.to_string())).unwrap();
            server.signal("HUP");
            while client.ask("GET", "/").text() != number.to_string() {}
        }
        server.resources()
    };
    let early = swap_many(0, 100);
    swap_many(100, 400);
    server.settles_at(&early);
}
