//! Reload: a new configuration is checked as a whole and takes effect as a whole or not at
//! all, and no request is lost meanwhile.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use host::cli::serve;
use host::config::live::LIVE;
use host::config::setting;

use crate::harness::modules::saying;
use crate::harness::{Client, Configured, Folder, Server, bombs, host, make_pipe, output_of, wait_until};

/// Starts a server whose configuration has these lines. `a.wat` says `a`, and `b.wat` `b`.
fn start(lines: &str) -> Configured {
    let folder = Folder::new();
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    fs::write(folder.file("b.wat"), saying("b")).unwrap();
    Configured::start(folder, lines)
}

/// Asks over a new connection with a body of 2 KiB.
fn status_of_body(place: &Configured) -> u16 {
    post(&mut place.server.connect())
}

fn post(client: &mut Client) -> u16 {
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2048\r\n\r\n{}", "x".repeat(2048)));
    client.reply_to("POST").status
}

#[test]
fn a_reload_changes_what_it_can_and_lists_what_needs_a_restart() {
    let mut place = start("module = 'a.wat'\n");
    place.server.says("a", 1);
    let mut old = place.server.connect();
    assert_eq!(post(&mut old), 200);
    let (code, said) =
        place.reload("module = 'b.wat'\nbody-max = '1KiB'\nthreads = 1\nlog-level = 'info,request=off'\n");
    let expected = "reloaded; settings changed: body-max, log-level, module\nneed a restart: threads\nserving version 2 ";
    assert!(code == 0 && said.starts_with(expected), "{said}");
    place.server.log_line(&[
        "configuration reloaded",
        "applied=\"body-max log-level module\"",
        "needs_restart=\"threads\"",
    ]);
    place.server.says("b", 2);
    assert_eq!(place.server.connect().ask("GET", "/quiet").status, 200);
    assert_eq!(status_of_body(&place), 413);
    // A connection keeps the settings with which it began.
    assert_eq!(post(&mut old), 200);
    // `threads` differs until the server is restarted. Keys that were removed have their defaults.
    let (code, said) = place.reload("module = 'b.wat'\nthreads = 1\n");
    let expected =
        "reloaded; settings changed: body-max, log-level\nneed a restart: threads\nunchanged: version 2 ";
    assert!(code == 0 && said.starts_with(expected), "{said}");
    assert_eq!(status_of_body(&place), 200);
    assert_eq!(place.server.connect().ask("GET", "/loud").status, 200);
    place.server.log_line(&["target=/loud"]);
    assert_eq!(place.server.log_line_now(&["target=/quiet"]), None);
    let (_, said) = place.reload("module = 'b.wat'\n");
    assert!(said.starts_with("reloaded; settings changed: none\nunchanged"), "{said}");
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let mut place = start("module = 'a.wat'\nprobe = 'GET / 200'\n");
    fs::write(place.folder.file("bad.wat"), "(module)").unwrap();
    for (lines, cause) in [
        (
            "module = 'b.wat'\nbody-max = '1KiB'\nqueue = 0\n",
            "host.toml:5: queue: found `0`; expected a whole number",
        ),
        ("module = 'b.wat'\nbody-max = '1KiB'\nlisten = 'x'\n", "duplicate key"),
        (
            "module = 'b.wat'\nbody-max = '1KiB'\nprobe-file = 'gone.http'\n",
            "host.toml:5: probe-file: cannot read ",
        ),
        ("module = 'gone.wat'\nbody-max = '1KiB'\n", "host.toml:3: module: cannot read "),
        ("module = 'bad.wat'\nbody-max = '1KiB'\n", "was rejected in stage check: it has no export `memory`"),
        (
            "module = 'b.wat'\nbody-max = '1KiB'\nprobe = 'GET / 404'\n",
            "was rejected in stage probe: GET / was answered 200",
        ),
        (
            "module = 'a.wat'\nbody-max = '1KiB'\nprobe = 'GET / 404'\n",
            "version 1, which serves, fails the probes: GET / was",
        ),
    ] {
        let (code, said) = place.reload(lines);
        assert!(code == 1 && said.contains(cause), "{lines}: {said}");
        assert_eq!(status_of_body(&place), 200, "{lines}");
        place.server.says("a", 1);
    }
    place.server.log_line(&["configuration not reloaded: nothing has changed", "duplicate key"]);
    // The old probes are still in force: a candidate that fails only the refused ones serves.
    fs::write(place.folder.file("a.wat"), saying("again")).unwrap();
    wait_until("the file is swapped in", || place.server.connect().ask("GET", "/").text() == "again");
}

#[test]
fn a_reload_watches_another_file() {
    let mut place = start("module = 'a.wat'\n");
    assert_eq!(place.reload("module = 'b.wat'\n").0, 0);
    place.server.says("b", 2);
    fs::write(place.folder.file("a.wat"), saying("not watched")).unwrap();
    fs::write(place.folder.file("b.wat"), saying("new")).unwrap();
    place.server.log_line(&["serving version 3", "by=file"]);
    place.server.says("new", 3);
    // Without a module, the embedded one serves.
    assert_eq!(place.reload("").0, 0);
    place.server.says("<h1> hello index</h1>", 4);
    assert_eq!(place.reload("module = 'b.wat'\nno-watch = true\n").0, 0);
    place.server.says("new", 5);
}

#[test]
fn a_hangup_reloads_the_configuration() {
    let mut place = start("module = 'a.wat'\n");
    place.write("module = 'b.wat'\nno-version-field = true\n");
    place.server.signal("HUP");
    place.server.log_line(&["configuration reloaded", "applied=\"module no-version-field\"", "by=SIGHUP"]);
    let reply = place.server.connect().ask("GET", "/");
    assert_eq!((reply.text(), reply.field("x-handler-version")), ("b", None));
    place.write("modul = 'b.wat'\n");
    place.server.signal("HUP");
    place.server.log_line(&["configuration not reloaded", "did you mean `module`?", "by=SIGHUP"]);
    place.server.stop();
}

#[test]
fn a_file_that_appears_later_is_reloaded_too() {
    let folder = Folder::new();
    let mut command = host();
    command.args(["--listen", "127.0.0.1:0", "--no-control"]).current_dir(folder.file(""));
    let mut server = Server::begin_as_it_is(command).until_ready();
    server.says("<h1> hello index</h1>", 1);
    fs::write(folder.file("a.wat"), saying("a")).unwrap();
    fs::write(folder.file("host.toml"), "module = 'a.wat'\nlisten = 'localhost:1'\n").unwrap();
    server.signal("HUP");
    // The command line still counts before the file.
    server.log_line(&["configuration reloaded", "applied=\"module\"", "needs_restart=\"\""]);
    server.says("a", 2);
}

#[test]
fn a_reload_drops_nothing() {
    let place = start("module = 'a.wat'\n");
    let (address, done) = (place.server.addresses[0], AtomicBool::new(false));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let done = &done;
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    let mut count = 0;
                    while !done.load(Relaxed) {
                        if number % 2 == 0 {
                            client = Client::connect(address);
                        }
                        let reply = client.ask("GET", "/");
                        assert!(
                            reply.status == 200 && ["a", "b"].contains(&reply.text()),
                            "{}",
                            reply.status
                        );
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..20 {
            let module = ["a", "b"][round % 2];
            let (code, said) =
                place.reload(&format!("module = '{module}.wat'\nhead-max = '{}KiB'\n", 8 + round));
            assert_eq!(code, 0, "{said}");
        }
        done.store(true, Relaxed);
        assert!(clients.into_iter().map(|client| client.join().unwrap()).all(|count| count > 20));
    });
}

#[test]
fn a_file_that_is_gone_is_no_configuration() {
    let place = start("module = 'a.wat'\n");
    fs::remove_file(place.folder.file("host.toml")).unwrap();
    let mut command = host();
    let (code, said) = output_of(command.arg("reload").env("HOST_CONTROL", place.folder.file("control")));
    assert!(code == 1 && said.contains("the configuration file host.toml is gone"), "{said}");
    place.server.says("a", 1);
}

#[test]
fn a_file_that_would_block_is_refused() {
    let place = start("module = 'a.wat'\nthreads = 1\n");
    make_pipe(place.folder.file("pipe"));
    for line in ["probe-file = 'pipe'", "probe-file = '/dev/zero'", "module = 'pipe'"] {
        let (code, said) = place.reload(&format!("threads = 1\n{line}\n"));
        assert!(code == 1 && said.contains("host.toml:4: "), "{said}");
        place.server.says("a", 1);
    }
}

#[test]
fn a_reload_that_fails_leaves_a_sent_version_and_a_swap_in_progress() {
    let state = "module = 'a.wat'\nstate-dir = 'state'\nno-watch = true\ncompile-timeout = '10min'\n";
    let place = start(state);
    fs::write(place.folder.file("bad.wat"), "(module)").unwrap();
    let swap = |module: Vec<u8>| {
        fs::write(place.folder.file("sent.wasm"), module).unwrap();
        let mut command = host();
        command
            .args(["swap", &place.folder.path("sent.wasm")])
            .env("HOST_CONTROL", place.folder.file("control"));
        command
    };
    let mut sent = swap(bombs::much_code(1000)).stdout(Stdio::piped()).spawn().unwrap();
    let is_candidate = || {
        let mut versions = host();
        output_of(versions.arg("versions").env("HOST_CONTROL", place.folder.file("control")))
            .1
            .contains("candidate")
    };
    wait_until("the swap has begun", is_candidate);
    let (code, said) = place.reload(&state.replace("a.wat", "bad.wat"));
    assert!(code == 1 && said.contains("was rejected"), "{said}");
    assert!(sent.wait().unwrap().success(), "the swap goes on");
    assert_eq!(output_of(&mut swap(saying("sent").into())).0, 0);
    // A restart serves what was sent: the module of the failed reload was not considered.
    place.write(state);
    let Configured { folder, server } = place;
    server.stop();
    let mut command = host();
    command.current_dir(folder.file(""));
    let server = Server::begin_as_it_is(command).until_ready();
    assert_eq!(server.connect().ask("GET", "/").text(), "sent");
    server.stop();
}

#[test]
fn what_was_ordered_after_the_file_was_read_outlives_a_reload() {
    let lines = "module = 'a.wat'\nstate-dir = 'state'\nno-watch = true\n";
    let mut place = start(lines);
    fs::write(place.folder.file("sent.wat"), saying("sent")).unwrap();
    assert_eq!(place.run(&["swap", &place.folder.path("sent.wat")]).0, 0);
    let stays = |place: &mut Configured, word: &str, version: u64| {
        let (code, said) = place.reload(&format!("{lines}body-max = '{version}KiB'\n"));
        assert!(code == 0 && said.starts_with("reloaded; ") && said.lines().count() == 1, "{said}");
        place.server.log_line(&[&format!("version {version} stays: it was ordered")]);
        place.server.says(word, version);
    };
    stays(&mut place, "sent", 2);
    place = place.restart();
    place.server.says("sent", 2);
    stays(&mut place, "sent", 2);
    // A rollback is an order, too.
    fs::write(place.folder.file("a.wat"), saying("a2")).unwrap();
    let (_, said) = place.reload(lines);
    assert!(said.contains("\nserving version 3 "), "{said}");
    assert_eq!(place.run(&["rollback"]).0, 0);
    stays(&mut place, "sent", 2);
    // Another file, a changed one, and one that was rejected are taken up.
    let (_, said) = place.reload(&lines.replace("a.wat", "b.wat"));
    assert!(said.contains("\nserving version 4 "), "{said}");
    assert_eq!(place.run(&["swap", &place.folder.path("sent.wat")]).0, 0);
    fs::write(place.folder.file("b.wat"), "(module)").unwrap();
    for number in [6, 7] {
        let (code, said) = place.reload(&lines.replace("a.wat", "b.wat"));
        assert!(code == 1 && said.contains(&format!("version {number} was rejected")), "{said}");
    }
    place.server.says("sent", 5);
}

#[test]
fn a_swap_in_progress_does_not_escape_new_probes() {
    let place = start("no-probe = true\ncompile-timeout = '10min'\n");
    fs::write(place.folder.file("sent.wasm"), bombs::much_code(2500)).unwrap();
    let mut swap = host();
    swap.args(["swap", &place.folder.path("sent.wasm")]).env("HOST_CONTROL", place.folder.file("control"));
    let swap = swap.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let control = place.folder.file("control");
    wait_until("the swap has begun", || {
        output_of(host().arg("versions").env("HOST_CONTROL", &control)).1.contains("candidate")
    });
    let (code, said) = place.reload("probe = 'GET /route 200'\ncompile-timeout = '10min'\n");
    assert_eq!(code, 0, "{said}");
    let swapped = swap.wait_with_output().unwrap();
    let said = String::from_utf8(swapped.stdout).unwrap();
    assert!(said.contains("a newer swap, rollback or reload was ordered"), "{said}");
    place.server.says("<h1> hello index</h1>", 1);
}

#[test]
fn what_a_reload_changes_are_flags_of_the_server() {
    let command = serve::definition();
    let ids: Vec<_> = setting::flags(&command).map(|flag| flag.get_id().as_str()).collect();
    assert!(LIVE.iter().all(|live| ids.contains(live)), "{ids:?}");
}
