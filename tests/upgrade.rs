//! The program is replaced while it runs: no request fails, the versions go on, and a program that
//! cannot serve changes nothing.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;

use clap::Parser;
use command_fds::{CommandFdExt, FdMapping};
use host::builder::{self, Foundation};
use host::cli::args::Args;
use host::files::own_file;
use host::rollout::plan::Plan;
use host::rollout::report::accept::Accept;
use host::site::by::By;
use host::site::directory::Site;
use host::site::handed::Handed;
use host::site::outcome::{HANDED_OVER, Outcome};
use host::site::swap::Way;
use host_wasm::Compilers;

use crate::harness::modules::saying;
use crate::harness::{Client, Deployment, Server, fixture, host_at, output_of, paths, wait_until};

/// Program that a test can replace, in the folder of its server.
struct Program(PathBuf);

impl Program {
    /// Copies the program under test.
    fn new(place: &Deployment) -> Program {
        let program = Program(place.folder.file("host"));
        program.is_good();
        program
    }

    fn command(&self) -> Command {
        host_at(&self.0)
    }

    /// Puts the program under test in place, by a link, because it is large.
    fn is_good(&self) {
        let next = self.0.with_extension("next");
        std::os::unix::fs::symlink(paths::program(), &next).unwrap();
        fs::rename(next, &self.0).unwrap();
    }

    /// Puts another file in place.
    fn is(&self, text: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, text).unwrap();
        fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(next, &self.0).unwrap();
    }
}

/// Starts a server without a state folder.
fn start(place: &Deployment, program: &Program, more: &[&str]) -> Server {
    let own = [place.path("handler.wasm"), "--control".into(), place.path("control")].into_iter();
    let arguments: Vec<String> = own.chain(more.iter().map(|&flag| flag.to_owned())).collect();
    Server::spawn(program.command(), &arguments)
}

/// Checks that version 3 serves, and that the others are kept.
fn goes_on(place: &Deployment, server: &Server) {
    server.says("three", 3);
    // They are prepared in the background.
    wait_until("versions 1 and 2 are loaded", || {
        let versions = place.tell(&["versions"]);
        let states = versions.lines().skip(1).map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        states.collect::<Vec<_>>() == [["1", "retired"], ["2", "retired"], ["3", "current"]]
    });
}

#[test]
fn versions_go_on_with_and_without_a_state_folder() {
    for has_state in [false, true] {
        let place = Deployment::of(saying("one"));
        let program = Program::new(&place);
        let mut server = match has_state {
            true => place.spawn(program.command(), &[]),
            false => start(&place, &program, &[]),
        };
        place.serves(saying("two"), 2);
        place.serves(saying("three"), 3);
        for _ in 0..2 {
            server.upgrade();
            goes_on(&place, &server);
        }
        assert!(server.first_process_ends().success());
        assert!(place.tell(&["rollback", "1"]).contains("version 1"));
        server.says("one", 1);
        place.serves(saying("four"), 4);
        fs::write(place.file(), saying("five")).unwrap();
        server.log_line(&["serving version 5"]);
        server.upgrade();
        server.says("five", 5);
        if has_state {
            server.signal("TERM");
            server.log_line(&["shutting down"]);
            let mut server = place.spawn(program.command(), &[]);
            server.says("five", 5);
            server.upgrade();
            server.says("five", 5);
        }
        drop(server);
    }
}

/// Makes requests until it is told to stop: on one connection until the server closes it, or each
/// on a new one. Any other end is a failure.
fn ask(server: SocketAddr, is_new: bool, done: &AtomicBool, answered: &AtomicUsize) {
    let mut client = Client::connect(server);
    while !done.load(SeqCst) {
        let reply = client.ask("GET", "/");
        assert_eq!((reply.status, reply.text()), (200, "one"));
        answered.fetch_add(1, SeqCst);
        if is_new || reply.field("connection") == Some("close") {
            client = Client::connect(server);
        }
    }
}

/// Programs that cannot serve, with what is said of them.
fn broken(place: &Deployment) -> Vec<(String, &'static str)> {
    let good = paths::program().display().to_string();
    vec![
        ("#!/bin/sh\nexit 3\n".into(), "ended before it served (exit status: 3)"),
        ("this is no program".into(), "cannot start"),
        ("#!/bin/sh\nexec sleep 60\n".into(), "did not get ready within"),
        (
            format!("#!/bin/sh\nexec '{good}' --no-such-flag\n"),
            "cannot take over: host has no flag --no-such-flag",
        ),
        // Fails when it has become the one that writes.
        (
            format!("#!/bin/sh\nexec '{good}' --record '{}' \"$@\"\n", place.path("handler.wasm")),
            "cannot take over: ",
        ),
    ]
}

#[test]
fn no_request_fails_in_fifty_upgrades_of_which_ten_are_to_a_broken_program() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let flags = ["--log-level=info,request=off", "--upgrade-timeout=1s", "--state-dir", &place.path("state")];
    let mut server = start(&place, &program, &flags);
    let address = server.addresses[0];
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    /// Ends the clients, also when the test fails.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    thread::scope(|scope| {
        for client in 0..4 {
            let (done, answered) = (&done, &answered);
            scope.spawn(move || ask(address, client == 0, done, answered));
        }
        let _done = Done(&done);
        let broken = broken(&place);
        for round in 0..50 {
            let before = answered.load(SeqCst);
            if round % 5 == 4 {
                let (text, expected) = &broken[(round / 5) % broken.len()];
                program.is(text);
                let cause = server.fails_to_upgrade();
                assert!(cause.contains(expected), "{text}: {cause}");
                program.is_good();
            } else {
                server.upgrade();
            }
            wait_until("requests are answered", || answered.load(SeqCst) > before + 10);
        }
    });
    server.says("one", 1);
    place.serves(saying("two"), 2);
}

#[test]
fn requests_in_flight_are_answered_by_the_old_process() {
    let place = Deployment::of(fs::read(fixture("echo.wat")).unwrap());
    let program = Program::new(&place);
    let mut server = start(&place, &program, &[]);
    let mut idle = server.connect();
    assert_eq!(idle.post("/", b"one").text(), "one");
    let mut slow = server.connect();
    slow.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc");
    let mut untouched = server.connect();
    // Accepted by the old process, because it answers on this connection later.
    server.log_line(&["status=200"]);
    server.upgrade();
    slow.send("def");
    let reply = slow.reply_to("POST");
    assert_eq!((reply.text(), reply.field("connection")), ("abcdef", Some("close")));
    slow.expect_close();
    let reply = idle.post("/", b"two");
    assert_eq!((reply.text(), reply.field("connection")), ("two", Some("close")));
    idle.expect_close();
    assert_eq!(untouched.post("/", b"three").text(), "three");
    drop((slow, idle, untouched));
    assert!(server.first_process_ends().success());
    assert_eq!(server.connect().post("/", b"four").text(), "four");
}

#[test]
fn a_change_while_the_new_process_gets_ready_is_not_lost() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let mut server = start(&place, &program, &[]);
    place.serves(saying("two"), 2);
    let (good, begun, go) = (paths::program().display(), place.path("begun"), place.path("go"));
    program.is(&format!(
        "#!/bin/sh\n: > '{begun}'\nwhile [ ! -e '{go}' ]; do sleep 0.01; done\nexec '{good}' \"$@\"\n"
    ));
    server.order_upgrade();
    wait_until("the new process has begun", || place.folder.file("begun").exists());
    assert!(place.tell(&["rollback"]).contains("version 1"));
    server.says("one", 1);
    place.serves(saying("three"), 3);
    fs::write(place.folder.file("go"), "").unwrap();
    server.log_line(&["the new process is started again"]);
    server.is_upgraded();
    goes_on(&place, &server);
}

#[test]
fn what_the_new_configuration_says_holds_in_the_new_process() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let socket = place.path("unused");
    let config = |lines: &str| {
        let own = format!(
            "listen = ['127.0.0.1:0', 'unix:{socket}']\ncontrol = '{}'\nno-probe = true\n",
            place.path("control")
        );
        fs::write(place.folder.file("host.toml"), format!("{own}{lines}")).unwrap();
    };
    let site =
        |name: &str| format!("[[site]]\nname = '{name}'\nhosts = ['{name}.test']\nmodule = 'handler.wasm'\n");
    config(&[site("old"), site("both")].concat());
    let mut command = program.command();
    command.current_dir(place.folder.file(""));
    let mut server = Server::begin_as_it_is(command).until_ready();
    assert!(place.tell(&["swap", "--site", "both", &swapped(&place)]).contains("version 2"));

    config("module = 1\n");
    let cause = server.fails_to_upgrade();
    assert!(
        cause.contains("cannot take over: ") && cause.contains("host.toml:4: module: found 1"),
        "{cause}"
    );
    fs::rename(place.folder.file("host.toml"), place.folder.file("moved.toml")).unwrap();
    let cause = server.fails_to_upgrade();
    assert!(cause.contains("host.toml is gone") && cause.contains("(found: none)"), "{cause}");

    config(&[site("both"), site("new")].concat());
    let without = fs::read_to_string(place.folder.file("host.toml"))
        .unwrap()
        .replace(&format!(", 'unix:{socket}'"), "");
    fs::write(place.folder.file("host.toml"), without).unwrap();
    server.upgrade();
    let says = |host: &str| {
        let mut client = server.connect();
        client.send(format!("GET / HTTP/1.1\r\nhost: {host}.test\r\n\r\n"));
        let reply = client.reply_to("GET");
        (reply.status, reply.text().to_owned())
    };
    assert_eq!(says("both"), (200, "two".into()));
    assert_eq!(says("new"), (200, "one".into()));
    assert_eq!(says("old").0, 421);
    assert!(!place.folder.file("unused").exists(), "the socket that is not configured any more");
}

/// Writes a module that says `two`, and returns its path.
fn swapped(place: &Deployment) -> String {
    fs::write(place.folder.file("two.wat"), saying("two")).unwrap();
    place.path("two.wat")
}

#[test]
fn a_client_of_the_api_is_told_what_came_of_an_upgrade() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let mut server = start(&place, &program, &["--upgrade-timeout=200ms"]);
    program.is("#!/bin/sh\nexec sleep 60\n");
    let (code, said) = output_of(&mut place.command(&["upgrade"]));
    assert!(code == 1 && said.contains("did not get ready within 200ms (--upgrade-timeout)"), "{said}");
    // The process that was not ready in time is ended.
    let name = |process: u32| fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    assert!(server.children().into_iter().all(|child| name(child).trim() != "sleep"));
    place.serves(saying("two"), 2);
    program.is_good();
    let old = server.pid();
    let (code, said) = output_of(&mut place.command(&["upgrade"]));
    server.is_upgraded();
    let expected = format!("upgraded: process {} serves in the place of process {old}\n", server.pid());
    assert_eq!((code, said), (0, expected));
    server.says("two", 2);
    // At once, while older versions may still be prepared.
    assert!(place.tell(&["rollback"]).contains("serving version 1"));
    server.says("one", 1);
}

#[test]
fn sockets_of_all_kinds_are_handed_over() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let passed = TcpListener::bind("127.0.0.1:0").unwrap();
    let (http, token) = (place.path("http"), place.path("token"));
    fs::write(&token, "a-token-of-the-administrators").unwrap();
    // The shell sets the number of the process, and becomes the server.
    let mut command = Command::new("sh");
    command.args(["-c", "export LISTEN_PID=$$; exec \"$0\" \"$@\""]).arg(program.command().get_program());
    command.env("LISTEN_FDS", "1").env("XDG_RUNTIME_DIR", place.folder.file(""));
    let parent_fd = passed.as_fd().try_clone_to_owned().unwrap();
    command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).unwrap();
    let arguments = [
        &place.path("handler.wasm"),
        "--listen",
        "localhost:0",
        "--listen",
        &format!("unix:{http},mode=0600"),
    ];
    let more = ["--admin", "127.0.0.1:0", "--admin-token", &token];
    let mut server = Server::spawn(command, &[&arguments[..], &more].concat());
    let admin: SocketAddr = server.log_line(&["API: http://"]).rsplit('/').next().unwrap().parse().unwrap();
    assert!(server.addresses.len() >= 2 && server.addresses[0] == passed.local_addr().unwrap());
    drop(passed);
    let good = paths::program().display();
    for _ in 0..2 {
        // Fails when it has the sockets.
        program.is(&format!("#!/bin/sh\nexec '{good}' --record '{http}' \"$@\"\n"));
        let cause = server.fails_to_upgrade();
        assert!(cause.contains("cannot take over: "), "{cause}");
        assert!(place.folder.file("http").exists(), "the path of the socket that goes on");
        program.is_good();
        server.upgrade();
        for &address in &server.addresses {
            assert_eq!(Client::connect(address).ask("GET", "/").text(), "one");
        }
        let mut unix = UnixStream::connect(&http).unwrap();
        unix.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        unix.read_to_string(&mut reply).unwrap();
        assert!(reply.ends_with("one"), "{reply}");
        assert_eq!(Client::connect(admin).ask("GET", "/livez").status, 200);
        let port = server.addresses[0].port();
        let mut status = crate::harness::host();
        status.args(["status", "--port", &port.to_string()]).env("XDG_RUNTIME_DIR", place.folder.file(""));
        assert!(output_of(&mut status).1.contains(&format!("process {}", server.pid())));
        assert!(server.first_process_ends().success());
    }
    server.signal("TERM");
    server.log_line(&["shutting down"]);
    wait_until("the socket is removed", || !place.folder.file("http").exists());
}

#[test]
fn a_client_of_the_events_is_told_which_process_takes_the_place() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let mut server = start(&place, &program, &[]);
    let mut events = place.command(&["events", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let (send, said) = channel();
    let lines = BufReader::new(events.stdout.take().unwrap()).lines();
    thread::spawn(move || lines.for_each(|line| drop(send.send(line.unwrap()))));
    wait_until("the client listens", || {
        place.tell(&["log-level", "info"]);
        said.try_recv().is_ok()
    });
    server.upgrade();
    assert!(events.wait().unwrap().success());
    let said: Vec<_> = said.iter().filter(|line| !line.contains("log-level")).collect();
    let expected = format!("\"successor\":{}", server.pid());
    assert!(
        said.len() == 1 && said[0].contains("\"event\":\"ending\"") && said[0].contains(&expected),
        "{said:?}"
    );
}

#[test]
fn a_process_that_cannot_serve_leaves_the_state_folder_and_its_lock_as_they_were() {
    let place = Deployment::of(saying("one"));
    let program = Program::new(&place);
    let mut server = place.spawn(program.command(), &[]);
    for (number, word) in [(2, "two"), (3, "three"), (4, "four")] {
        place.serves(saying(word), number);
    }
    let before = (place.state_names(), fs::read(place.state().join("state.json")).unwrap());
    // Keeps one version, and fails when it is the one that may write.
    let good = paths::program().display();
    program
        .is(&format!("#!/bin/sh\nexec '{good}' --keep 1 --record '{}' \"$@\"\n", place.path("handler.wasm")));
    for _ in 0..3 {
        let cause = server.fails_to_upgrade();
        assert!(cause.contains("cannot take over: "), "{cause}");
    }
    let versions =
        |state: &[u8]| serde_json::from_slice::<serde_json::Value>(state).unwrap()["versions"].clone();
    let after = (place.state_names(), fs::read(place.state().join("state.json")).unwrap());
    assert_eq!((&after.0, versions(&after.1)), (&before.0, versions(&before.1)));
    assert_eq!(fs::read_to_string(place.state().join("lock")).unwrap().trim(), server.pid().to_string());
    let moved = place.folder.file("moved");
    program.is_good();
    fs::rename(place.state(), &moved).unwrap();
    let cause = server.fails_to_upgrade();
    assert!(cause.contains("is gone (--state-dir)") && !place.state().exists(), "{cause}");
    fs::rename(&moved, place.state()).unwrap();
    assert!(place.tell(&["rollback", "2"]).contains("serving version 2"));
    server.signal("KILL");
    drop(server);
    place.spawn(program.command(), &[]).says("two", 2);
}

#[test]
fn a_server_that_is_stopped_during_an_upgrade_ends() {
    let place = Deployment::of(fs::read(fixture("echo.wat")).unwrap());
    let program = Program::new(&place);
    let mut server = start(&place, &program, &[]);
    let mut slow = server.connect();
    slow.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc");
    let (good, begun, go) = (paths::program().display(), place.path("begun"), place.path("go"));
    program.is(&format!(
        "#!/bin/sh\n: > '{begun}'\nwhile [ ! -e '{go}' ]; do sleep 0.01; done\nexec '{good}' \"$@\"\n"
    ));
    server.order_upgrade();
    wait_until("the new process has begun", || place.folder.file("begun").exists());
    server.signal("TERM");
    server.log_line(&["shutting down"]);
    fs::write(place.folder.file("go"), "").unwrap();
    server.log_line(&["not upgraded", "the server begins or ends"]);
    slow.send("def");
    assert_eq!(slow.reply_to("POST").text(), "abcdef");
    slow.expect_close();
    // Ends only when no process has its standard error any more.
    assert!(server.wait().0.success());
}

/// Runs a server without connections in this process, and its only site.
async fn site(place: &Deployment, flags: &[&str], handed: Option<Handed>) -> Arc<Site> {
    let flags = [&["--no-watch"], flags].concat();
    let args = Args::parse_from(["host".into()].into_iter().chain(place.arguments(&flags))).serve;
    let foundation = Foundation::new(&args, Compilers::here(&args.limits.for_compilers())).unwrap();
    let loaded = foundation.load(args.plans().remove(0), handed).await.unwrap();
    let (app, _watching) = builder::start(&args, &foundation, vec![loaded]).unwrap();
    Arc::clone(&app.sites.get().all()[0])
}

/// Orders a swap to a module that says a word.
async fn swap(site: &Site, word: &str, way: Way) -> Outcome {
    let (bytes, is_gone) = (saying(word).into_bytes(), Box::new(|| false));
    site.swapper.swap(word.into(), bytes, None, (Accept::default(), way), is_gone, By::Hangup).await
}

#[test]
fn a_process_that_does_not_serve_yet_writes_nothing() {
    let place = Deployment::of(saying("one"));
    let state = || (place.state_names(), fs::read(place.state().join("state.json")).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let old = site(&place, &[], None).await;
        for word in ["two", "three", "four"] {
            assert!(matches!(swap(&old, word, Way::AtOnce).await, Outcome::Serving { .. }));
        }
        let before = state();
        let (mark, handed) = old.swapper.to_hand_over();
        assert!(old.swapper.hand_over(mark));
        // The kernel keeps the lock while one process has it.
        let lock = old.swapper.held_lock().unwrap().try_clone().unwrap();
        own_file::hand(lock);
        let new = site(&place, &["--keep=1"], Some(handed)).await;
        let kept = || new.swapper.to_hand_over().1.state.versions.len();
        while kept() > 2 {
            tokio::task::yield_now().await;
        }
        // Comes after what restores the versions, on the same thread.
        assert!(matches!(swap(&new, "five", Way::AtOnce).await, Outcome::Rejected { .. }));
        assert_eq!(state(), before);
        new.swapper.go_on();
        assert!(matches!(swap(&new, "six", Way::AtOnce).await, Outcome::Serving { .. }));
        assert!(state().0.len() < before.0.len(), "{:?}", state().0);
    });
}

#[test]
fn a_site_that_was_handed_over_makes_no_change_until_it_is_taken_back() {
    let place = Deployment::of(saying("one"));
    let state = || fs::read(place.state().join("state.json")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let site = site(&place, &[], None).await;
        assert!(matches!(swap(&site, "two", Way::AtOnce).await, Outcome::Serving { version: 2, .. }));
        let (outdated, _) = site.swapper.to_hand_over();
        let plan = Plan { steps: "50%".parse().unwrap(), ..site.swapper.plan() };
        assert!(matches!(
            swap(&site, "three", Way::Plan(Box::new(plan))).await,
            Outcome::RollingOut { version: 3, .. }
        ));
        assert!(!site.swapper.hand_over(outdated), "something has changed since");
        let (mark, handed) = site.swapper.to_hand_over();
        assert_eq!((handed.state.current, handed.state.rollout.map(|rollout| rollout.before)), (2, Some(2)));
        assert!(site.swapper.hand_over(mark));

        let before = state();
        let by = By::Hangup;
        assert!(matches!(site.swapper.roll_back(None, None, by).await, Outcome::Refused { .. }));
        assert!(matches!(site.swapper.roll_back(Some(1), None, by).await, Outcome::Refused { .. }));
        assert!(matches!(swap(&site, "four", Way::AtOnce).await, Outcome::Rejected { .. }));
        assert_eq!(site.swapper.pause_rollout(None, by).await.unwrap_err(), HANDED_OVER);
        assert_eq!(site.swapper.promote_rollout(None, by).await.unwrap_err(), HANDED_OVER);
        assert_eq!(site.swapper.abort_rollout(None, by).await.unwrap_err(), HANDED_OVER);
        assert_eq!((state(), site.swapper.current().label.number), (before, 2));

        site.swapper.take_back();
        let ended = site.swapper.roll_back(None, None, by).await;
        assert!(matches!(ended, Outcome::RolloutEnded { version: 3, serving: 2 }), "{ended:?}");
        assert!(!String::from_utf8(state()).unwrap().contains("rollout"));
    });
}
