//! Versions survive a restart, a crash and a damaged state folder, and dropped versions
//! free everything that they held.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::answers::INDEX;
use crate::harness::modules::saying;
use crate::harness::{
    Configured, Deployment, Folder, Random, Server, fails_to_start, host, output_of, rename_over, wait_until,
};

/// Starts a server, and swaps to version 2 by changing the module file.
fn swapped_to_two(place: &Deployment) -> Server {
    let mut server = place.start(&[]);
    rename_over(place.file(), saying("two"));
    server.log_line(&["serving version 2"]);
    server
}

#[test]
fn the_server_comes_back_with_the_version_that_served() {
    let place = Deployment::of(saying("one"));
    let server = swapped_to_two(&place);
    assert!(place.tell(&["swap", "/dev/null"]).contains("rejected version 3"));
    drop(server);

    // The module file becomes bad while the server is down.
    fs::write(place.file(), "nonsense").unwrap();
    let mut server = place.start(&[]);
    server.log_line(&[
        "rejected version 4",
        "it is a text file",
        "serving=2",
        "name the .wasm file that cargo build",
    ]);
    server.says("two", 2);
    // The server compiles the other versions after the current one.
    wait_until("version 1 comes back", || place.tell(&["versions"]).contains("1  retired"));
    assert!(place.tell(&["versions"]).contains("2  current"));
    let begins_with =
        |number: u64| format!("\nafter a restart: version {number}, kept in {}\n", place.state().display());
    assert!(place.tell(&["status"]).contains(&begins_with(2)));
    assert!(place.tell(&["rollback", "1"]).contains("serving version 1"));
    assert!(place.tell(&["status"]).contains(&begins_with(1)));
    drop(server);

    let mut server = place.start(&[]);
    server.says("one", 1);
    // The server does not try the bad file again, but tries a new one.
    rename_over(place.file(), saying("five"));
    server.log_line(&["serving version 5"]);
    drop(server);
    fs::write(place.file(), saying("six")).unwrap();
    let mut server = place.start(&[]);
    server.log_line(&["serving version 6", "replaced=5"]);
    server.says("six", 6);
}

#[test]
fn a_damaged_state_is_reported_and_serving_goes_on() {
    let place = Deployment::of(saying("one"));
    let start_and_swap = || {
        drop(swapped_to_two(&place));
        fs::write(place.file(), saying("one")).unwrap();
    };
    start_and_swap();
    let state = place.state().join("state.json");
    let whole = fs::read(&state).unwrap();
    // Removes the spaces with which the server pads the file.
    let whole = whole.trim_ascii_end();

    let half = &whole[..whole.len() / 2];
    for (damaged, number) in [(&b""[..], 1), (b"{", 1), (b"{\"format\":2}", 1), (b"\xff\xff", 1), (half, 3)] {
        fs::write(&state, damaged).unwrap();
        let mut server = place.start(&[]);
        let counts = format!("and counts versions from {number}");
        server.log_line(&["WARN", "is unusable: ", "it is set aside as state.damaged", "are lost", &counts]);
        server.says("one", number);
    }
    assert!(place.state().join("state.damaged").exists());

    // Damaged files are kept for inspection.
    let names = place.state_names();
    let aside = names.iter().filter(|name| name.ends_with(".damaged")).count();
    assert!(aside >= 3, "the state and two modules: {names:?}");

    // A state file that cannot be read may be intact, so the server does not start.
    let _ = fs::remove_file(&state);
    fs::create_dir(&state).unwrap();
    let complaint = fails_to_start(&place.arguments(&[]));
    assert!(complaint.contains("cannot read ") && complaint.contains("it is a folder"), "{complaint}");

    // If the module of the current version is damaged, the newest other version serves.
    fs::remove_dir_all(place.state()).unwrap();
    start_and_swap();
    fs::write(place.saved(saying("two")), "damaged").unwrap();
    let mut server = place.start(&[]);
    server.log_line(&["version 2", "cannot be restored", "is damaged: its SHA-256 is not the recorded one"]);
    assert_eq!(server.connect().ask("GET", "/").text(), "one");
    drop(server);

    // A file in the place of the state folder keeps the server from starting.
    fs::remove_dir_all(place.state()).unwrap();
    fs::write(place.state(), "a file").unwrap();
    let complaint = fails_to_start(&place.arguments(&[]));
    assert!(complaint.starts_with("error: cannot use the state folder "), "{complaint}");
}

#[test]
fn versions_that_cannot_serve_now_are_kept_for_later() {
    let place = Deployment::of(saying("one"));
    let large = saying(&"x".repeat(20_000));
    fs::write(place.file(), &large).unwrap();
    let mut server = place.start(&[]);
    // Waits until the state is saved: the server saves it before it handles SIGHUP.
    server.signal("HUP");
    server.log_line(&["the file is unchanged: its bytes serve already"]);
    drop(server);
    // Version 1 is larger than the limit now. The server starts with the embedded handler,
    // under the next number.
    let mut server = Server::with(&["--state-dir", &place.path("state"), "--module-max", "16KiB"]);
    server.log_line(&["version 1", "cannot be restored", "(--module-max)"]);
    assert_eq!(server.connect().ask("GET", "/").field("x-handler-version"), Some("2"));
    server.signal("HUP");
    server.log_line(&["configuration reloaded"]);
    drop(server);
    let server = place.start(&[]);
    wait_until("version 1 comes back", || place.tell(&["versions"]).contains("1  retired"));
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    assert_eq!(server.connect().ask("GET", "/").body.len(), 20_000);
}

#[test]
fn one_server_at_a_time_has_the_state() {
    let place = Deployment::of(saying("one"));
    let first = place.start(&[]);
    let complaint = fails_to_start(&["--state-dir", &place.path("state")]);
    let (state, pid) = (place.path("state"), first.pid());
    assert_eq!(
        complaint,
        format!(
            "error: cannot use the state folder {state} (--state-dir): another server uses it (process {pid}); stop that \
             server, or choose another place"
        )
    );
    first.says("one", 1);
}

#[test]
fn one_server_at_a_time_has_the_state_even_if_only_named_sites_keep_versions() {
    let folder = Folder::new();
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    let mut place =
        Configured::start(folder, "state-dir = 'state'\n[[site]]\nname = 'a'\nmodule = 'a.wat'\n");
    let state = fs::canonicalize(place.folder.file("state")).unwrap();
    for made in [state.clone(), state.join("site-a")] {
        let made = format!("made the state folder {}; it keeps no version yet", made.display());
        place.server.log_line(&["INFO", &made]);
    }
    let complaint = fails_to_start(&["--state-dir", state.to_str().unwrap()]);
    assert!(complaint.contains(&format!("(process {})", place.server.pid())), "{complaint}");
    // The site of the general settings comes, goes and comes again in the folder of the server.
    let with = "state-dir = 'state'\nmodule = 'a.wat'\n[[site]]\nname = 'a'\npath = '/a'\nmodule = 'a.wat'\n";
    for lines in [with.to_owned(), with.replacen("module = 'a.wat'\n", "", 1), with.to_owned()] {
        wait_until("the last request is answered", || place.reload(&lines).0 == 0);
    }
    // The folders are there now.
    let mut again = place.restart();
    again.server.log_line(&["memory that the limits allow"]);
    assert_eq!(again.server.log_line_now(&["made the state folder"]), None);
}

#[test]
fn killed_at_any_moment_it_comes_back_with_a_good_version() {
    let place = Deployment::of(saying("one"));
    let mut random = Random::new(0x5eed);
    let mut client_saw = 0;
    for round in 0..50 {
        let server = place.start(&[]);
        let mut client = server.connect();
        let reply = client.ask("GET", "/");
        let word: u64 = reply.text().parse().unwrap_or(0);
        // The version that comes back is good, and not older than the last one whose swap
        // was reported as done.
        assert!(reply.text() == "one" || word > 0, "{reply:?}");
        assert_eq!(reply.status, 200);
        assert!(word >= client_saw, "back at {word} after {client_saw} was durable");
        let last = random.below(4) as u64;
        for step in 0..last {
            client_saw = (round + 1) * 100 + step;
            let told = place.swap(saying(&client_saw.to_string()));
            assert!(told.starts_with("serving"), "{told}");
        }
        // Does not wait for the last swap, so that the kill may come in the middle of it.
        let child = place.begin_swap(saying(&((round + 1) * 100 + last).to_string()));
        (0..random.below(400)).for_each(|_| _ = client.ask("GET", "/"));
        drop(server);
        child.wait_with_output().unwrap();
    }
}

#[test]
fn a_version_that_serves_and_is_not_kept_is_said_to_be() {
    let place = Deployment::new();
    let large = saying(&"x".repeat(20_000));
    // A folder stands at the path where the module is to be saved, so saving fails.
    fs::create_dir_all(place.saved(&large).join("a file")).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o700)).unwrap();
    let server = place.start(&[]);
    let (code, text) = output_of(&mut place.swap_command(&large));
    let not_saved = "\nnot saved, so it would not survive a restart: cannot write ";
    assert!(code == 3 && text.starts_with("serving version 2 ") && text.contains(not_saved), "{text}");
    assert_eq!(server.connect().ask("GET", "/").body.len(), 20_000);
    drop(server);

    let server = place.start(&["--require-durable"]);
    let (code, text) = output_of(&mut place.swap_command(&large));
    let expected =
        "rejected version 3 in stage save: it would not survive a restart (--require-durable): cannot write ";
    assert!(code == 1 && text.starts_with(expected), "{text}");
    assert_eq!(server.connect().ask("GET", "/").text(), INDEX);
}

#[test]
fn a_first_version_that_cannot_be_kept_ends_the_start_if_it_has_to_be() {
    let place = Deployment::of(saying("one"));
    fs::create_dir_all(place.saved(saying("one")).join("a file")).unwrap();
    fs::set_permissions(place.state(), fs::Permissions::from_mode(0o700)).unwrap();
    let flags = ["--require-durable", "--listen", "127.0.0.1:0"];
    let (code, text) = output_of(host().args(place.arguments(&flags)));
    let cause = "the first version would not survive a restart (--require-durable): cannot write ";
    assert!(code == 1 && text.contains(cause), "{code} {text}");
}

#[test]
fn a_version_that_fails_its_probes_does_not_come_back() {
    let place = Deployment::of(saying("one"));
    drop(swapped_to_two(&place));
    let requests = place.path("requests.http");
    let expecting = |body: &str| fs::write(&requests, format!("GET /\n\n> body: {body}\n")).unwrap();
    expecting("one");
    let mut server = place.start(&["--probe-file", &requests]);
    server.log_line(&["version 2", "cannot be restored: probe: ", "expected the body `one`"]);
    server.says("one", 1);
    drop(server);
    // Now neither a saved version nor the module file passes the probe.
    expecting("three");
    let flags = ["--probe-file", &requests, "--listen", "127.0.0.1:0"];
    let (code, text) = output_of(host().args(place.arguments(&flags)));
    let complaint = text.lines().last().unwrap();
    assert!(complaint.starts_with("error: cannot serve "), "{text}");
    assert!(code == 1 && complaint.contains("expected the body `three`"), "{text}");
}

#[test]
fn what_was_swapped_out_gives_everything_back() {
    let place = Deployment::of(saying("one"));
    // With a short journal, because this client leaves the gate little time.
    let file = place.file();
    let flags = [file.to_str().unwrap(), "--no-watch", "--log-level", "off", "--journal", "100"];
    let server = Server::with(&flags);
    let mut client = server.connect();
    let mut swap_many = |from: u64, to: u64| {
        for number in from..to {
            fs::write(place.file(), saying(&number.to_string())).unwrap();
            server.signal("HUP");
            while client.ask("GET", "/").text() != number.to_string() {}
        }
        // A compile process that works or waits has descriptors too.
        wait_until("a compile process", || !server.children().is_empty());
        server.resources()
    };
    let early = swap_many(0, 100);
    swap_many(100, 400);
    server.settles_at(&early);
}

#[test]
fn a_module_that_is_gone_is_not_needed_if_the_state_has_it_whatever_its_name() {
    let folder = Folder::new();
    fs::write(folder.file("greeter"), saying("hi")).unwrap();
    let begin = || {
        let mut command = host();
        command.current_dir(folder.file(""));
        command.args(["greeter", "--listen", "127.0.0.1:0", "--no-control", "--state-dir", "state"]);
        Server::begin_as_it_is(command).until_ready()
    };
    let server = begin();
    wait_until("the version is saved", || folder.file("state/state.json").exists());
    server.stop();
    fs::remove_file(folder.file("greeter")).unwrap();
    assert_eq!(begin().connect().ask("GET", "/").text(), "hi");
    let (code, said) = output_of(host().arg("greeter").current_dir(folder.file("")));
    assert!(
        code == 2 && said.contains("there is no command and no file `greeter`; expected a file"),
        "{said}"
    );
}
