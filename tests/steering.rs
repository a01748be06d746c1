//! Commands to a server: rollback, the place of the control socket, a missing reply, modules
//! from standard input and pipes, and other users.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use crate::harness::modules::saying;
use crate::harness::{Deployment, Folder, Server, TextFile, host, make_pipe, output_of, run_to_end};

/// Id of the user `nobody`.
const NOBODY: u32 = 65_534;

/// Id of a group that gets access by `--control-group`.
const OTHERS: u32 = 54_321;

#[test]
fn rollback_goes_back_one_swap_at_a_time_and_a_swap_continues_from_there() {
    let place = Deployment::new();
    let server = Server::with(&["--control", &place.path("control"), "--keep", "3"]);
    place.serves(saying("two"), 2);
    place.serves(saying("three"), 3);
    let first = "version 1 replaced no other, so there is no version to go back to; kept versions, to which a rollback can go:";
    for (arguments, code, said) in [
        (&["rollback"][..], 0, "rolled back from version 3"),
        (&["rollback"], 0, "rolled back from version 2"),
        (&["rollback"], 1, first),
        (&["rollback", "3"], 0, "rolled back from version 1"),
        (&["rollback", "1"], 0, "rolled back from version 3"),
        (
            &["rollback", "9"],
            1,
            "there is no version 9 yet; kept versions, to which a rollback can go: 1, 2, 3",
        ),
    ] {
        let (found, printed) = output_of(&mut place.command(arguments));
        assert!(found == code && printed.contains(said), "{arguments:?}: {printed}");
        assert!(!printed.contains("--keep"), "{printed}");
    }
    place.serves(saying("four"), 4);
    let (_, printed) = output_of(&mut place.command(&["rollback"]));
    // `--keep 3` dropped version 2, and not version 1, which version 4 replaced.
    assert!(
        printed.contains("serving version 1") && printed.contains("rolled back from version 4"),
        "{printed}"
    );
    server.says("<h1> hello index</h1>", 1);
    assert!(place.swap("(module)").contains("rejected version 5"));
    let (_, printed) = output_of(&mut place.command(&["rollback", "5"]));
    assert!(
        printed.contains("version 5 was rejected and has never served (check: it has no export"),
        "{printed}"
    );
    let (_, printed) = output_of(&mut place.command(&["rollback", "2"]));
    assert!(printed.contains("version 2 is not kept (--keep, --keep-bytes); kept versions"), "{printed}");
}

#[test]
fn versions_names_what_each_version_replaced_which_is_where_rollback_goes() {
    let place = Deployment::new();
    let _server = Server::with(&["--control", &place.path("control")]);
    place.serves(saying("two"), 2);
    assert_eq!(output_of(&mut place.command(&["rollback"])).0, 0);
    place.serves(saying("three"), 3);
    let (_, table) = output_of(&mut place.command(&["versions"]));
    let column = |index: usize| -> Vec<&str> {
        table.lines().map(|line| line.split_whitespace().nth(index).unwrap()).collect()
    };
    assert_eq!(column(2), ["replaced", "-", "1", "1"], "{table}");
    assert_eq!(column(3)[0], "made", "{table}");
    let (_, json) = output_of(&mut place.command(&["versions", "--json"]));
    let entries: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&entries[0]["replaced"], &entries[2]["replaced"]), (&serde_json::Value::Null, &1.into()));
    assert!(entries[2]["time"].is_string(), "{json}");
}

#[test]
fn the_log_says_who_ordered_a_change() {
    let place = Deployment::new();
    let module = TextFile::new(saying("one"));
    let mut server = Server::with(&[module.path(), "--control", &place.path("control")]);
    let client = format!("by=\"uid {}, pid ", rustix::process::geteuid().as_raw());
    fs::write(module.path(), saying("two")).unwrap();
    server.log_line(&["serving version 2", "by=file"]);
    place.serves(saying("three"), 3);
    server.log_line(&["serving version 3", &client]);
    output_of(&mut place.command(&["rollback", "1"]));
    server.log_line(&["rolled back: serving version 1", &client]);
    place.swap("(module)");
    server.log_line(&["rejected version 4", &client]);
    server.signal("HUP");
    server.log_line(&["version 1 stays", "by=SIGHUP"]);
}

#[test]
fn the_control_socket_is_named_and_found_with_another_environment() {
    let folder = Folder::new();
    let with = |runtime: Option<&str>| {
        let mut command = host();
        command.env("TMPDIR", folder.path("")).env_remove("XDG_RUNTIME_DIR");
        if let Some(runtime) = runtime {
            command.env("XDG_RUNTIME_DIR", folder.file(runtime));
        }
        command
    };
    let mut command = with(None);
    command.args(["--listen", &format!("unix:{},mode=0640", folder.path("http.sock")), "--no-probe"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let user = rustix::process::geteuid().as_raw();
    let socket = folder.file(&format!("host-{user}/host-0.sock"));
    crate::harness::wait_until("the socket is there", || socket.exists());
    crate::harness::wait_until("the server takes commands", || {
        run_to_end(with(Some("elsewhere")).args(["status", "--port", "0"])).status.success()
    });
    let (_, printed) = output_of(with(Some("elsewhere")).args(["status", "--port", "0"]));
    assert!(printed.contains(&format!("takes commands at {}\n", socket.display())), "{printed}");
    assert_eq!(fs::metadata(folder.file("http.sock")).unwrap().permissions().mode() & 0o777, 0o640);
    let (code, printed) = output_of(with(None).args(["status", "--port", "9"]));
    assert!(
        code == 1 && printed.contains("looking for ") && printed.contains("there are sockets for --port 0"),
        "{printed}"
    );

    crate::harness::kill("TERM", child.id());
    assert!(child.wait().unwrap().success());
    let mut banner = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut banner).unwrap();
    assert!(banner.contains(&format!("Control socket: {}\n", socket.display())), "{banner}");
    let left: Vec<_> = fs::read_dir(socket.parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "the socket or its lock is left: {left:?}");
}

#[test]
fn a_command_ends_when_there_is_no_reply() {
    let folder = Folder::new();
    let silent = UnixListener::bind(folder.file("control")).unwrap();
    let control = folder.path("control");
    for command in ["status", "versions", "rollback"] {
        let (code, printed) = output_of(host().args([command, "--control", &control, "--timeout", "50ms"]));
        let expected = format!("error: the server at {control} has not replied within 50ms (--timeout)");
        assert!(code == 1 && printed.starts_with(&expected), "{command}: {printed}");
    }
    drop(silent);
    let (code, printed) = output_of(host().args(["status", "--control", &control]));
    assert!(
        code == 1 && printed.starts_with(&format!("error: no server answers at {control}: ")),
        "{printed}"
    );
}

#[test]
fn a_module_is_sent_from_standard_input_or_a_pipe_up_to_the_servers_limit() {
    let place = Deployment::new();
    let server = Server::with(&["--control", &place.path("control"), "--module-max", "64KiB"]);
    let module = TextFile::new(saying("two"));
    let mut swap = place.command(&["swap", "-"]);
    let (code, printed) = output_of(swap.stdin(File::open(module.path()).unwrap()));
    assert_eq!((code, printed.contains("serving version 2")), (0, true), "{printed}");
    server.says("two", 2);

    let pipe = place.path("pipe");
    make_pipe(&pipe);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || File::create(pipe).unwrap().write_all(saying("three").as_bytes()).unwrap()
    });
    let (code, printed) = output_of(&mut place.command(&["swap", &pipe]));
    writer.join().unwrap();
    assert_eq!((code, printed.contains("serving version 3")), (0, true), "{printed}");

    let large = TextFile::new(vec![b'x'; 100_000]);
    let more = "than the 64.0 KiB that the server takes";
    for (file, size) in [("/dev/zero", "more"), (large.path(), "97.7 KiB, more")] {
        let (code, printed) = output_of(&mut place.command(&["swap", file]));
        assert!(code == 1 && printed.contains(&format!("{file} holds {size} {more}")), "{printed}");
    }
}

#[test]
fn a_group_that_may_not_enter_the_folder_of_the_socket_is_told_at_the_start() {
    let folder = Folder::new();
    // The own group, which every user may give.
    let group = rustix::process::getegid().as_raw();
    // The checkout may lie below a folder that is closed.
    let above = fs::canonicalize(folder.file("")).unwrap();
    let mut above = above.ancestors().map(|folder| fs::metadata(folder).unwrap());
    let is_closed = above.any(|found| {
        let by_group = found.gid() == group && found.mode() & 0o010 != 0;
        !by_group && found.mode() & 0o001 == 0
    });
    let group = group.to_string();
    for (mode, is_open) in [(0o700, false), (0o750, true), (0o755, true)] {
        let place = folder.file(&format!("{mode:o}"));
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        let control = place.join("control");
        let mut server = Server::with(&["--control", control.to_str().unwrap(), "--control-group", &group]);
        server.log_line(&["memory that the limits allow"]);
        let told = server.log_line_now(&[" WARN ", "may not enter the folder", "(mode 0", "--control PATH"]);
        assert_eq!(told.is_none(), is_open && !is_closed, "{mode:o}: {told:?}");
    }
}

#[test]
fn with_json_a_command_without_a_reply_prints_an_object_too() {
    let folder = Folder::new();
    let control = folder.path("control");
    for arguments in [&["status"][..], &["versions"], &["rollback"], &["swap", "/no/such/file"]] {
        let output = run_to_end(host().args(arguments).args(["--control", &control, "--json"]));
        assert_eq!(output.status.code(), Some(1));
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed["outcome"], "failed");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("error: {}\n", printed["cause"].as_str().unwrap()));
    }
}

/// Puts the program at another path. A copy may be busy: another test that starts a process at that
/// moment has the file open for writing.
pub fn link_or_copy(program: &Path, to: &Path) {
    if fs::hard_link(program, to).is_err() {
        fs::copy(program, to).unwrap();
    }
}

/// Runs a server as another user, which only root can do.
#[test]
fn root_and_a_group_control_the_server_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("host-control-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let program = folder.join("host");
    link_or_copy(host().get_program().as_ref(), &program);
    let place = folder.join("place");
    fs::create_dir(&place).unwrap();
    chown(&place, Some(NOBODY), Some(OTHERS)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |user: u32, group: u32| {
        let mut command = std::process::Command::new(&program);
        command.current_dir(&folder).stdin(Stdio::null());
        command.uid(user).gid(group);
        command
    };
    for (has_group, member) in [(false, 1), (true, 0)] {
        let control = place.join(if has_group { "open" } else { "closed" });
        let control = control.to_str().unwrap();
        let group = OTHERS.to_string();
        let flags: &[&str] = if has_group { &["--control-group", &group] } else { &[] };
        let server = Server::spawn(as_user(NOBODY, OTHERS), &[&["--control", control], flags].concat());
        let found = fs::metadata(control).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o777), (NOBODY, if has_group { 0o660 } else { 0o600 }));
        for (what, user, group, code) in
            [("root", 0, 0, 0), ("a member", 1234, OTHERS, member), ("a stranger", 1234, 1234, 1)]
        {
            let (found, printed) = output_of(as_user(user, group).args(["status", "--control", control]));
            assert_eq!(found, code, "{what}, with a group: {has_group}: {printed}");
            if code == 1 {
                let is_told = printed.contains("permission denied for ")
                    && (has_group || printed.contains("--control-group"));
                assert!(is_told && !printed.contains("running?"), "{printed}");
                let joins = printed.contains(&format!("or join its group {OTHERS}"));
                assert_eq!(joins, has_group, "{printed}");
            }
        }
        // Where the folder is closed, the group of the socket is of no use, and no flag of the server is.
        for (mode, remedy) in [
            (0o750, format!("(mode 0750, group {OTHERS}); join the group {OTHERS}, or open the folder")),
            (
                0o700,
                format!("(mode 0700, user id {NOBODY}); run the command as that user or as root, or open"),
            ),
        ] {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            let (code, printed) = output_of(as_user(1234, 1234).args(["status", "--control", control]));
            let told = format!("this user may not enter the folder {} {remedy}", place.display());
            assert!(code == 1 && printed.contains(&told), "{printed}");
            assert!(!printed.contains("--control-group"), "{printed}");
        }
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        let mut second = as_user(1234, 1234);
        let (_, printed) = output_of(second.args(["--listen", "127.0.0.1:0", "--control", control]));
        let told = format!(
            "cannot open the lock file {control}.lock: this user may not write to it, or not to its folder; change"
        );
        assert!(printed.contains(&told), "{printed}");
        server.stop();
    }
    fs::remove_dir_all(&folder).unwrap();
}
