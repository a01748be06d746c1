use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::modules::saying;
use crate::harness::{Folder, Server, fails_to_start, fixture, host, rename_over, run_to_end};

/// A folder with a module's file, a folder for the state, and a control socket.
struct Place {
    folder: Folder,
    state: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = Folder::new();
        let state = folder.file("state");
        Place { folder, state }
    }

    fn socket(&self) -> PathBuf {
        self.folder.file("control")
    }

    /// Starts a server that has the folder for the state.
    fn start(&self) -> Server {
        self.spawn(host())
    }

    fn spawn(&self, command: Command) -> Server {
        let (state, control) = (&self.state, self.socket());
        let args: [&OsStr; 4] =
            ["--state-dir".as_ref(), state.as_os_str(), "--control".as_ref(), control.as_os_str()];
        Server::spawn(command, &args)
    }

    fn tell(&self, arguments: &[&str]) -> String {
        let output = run_to_end(host().args(arguments).arg("--control").arg(self.socket()));
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Swaps to a module that says this word. When that is done, it is saved.
    fn swap(&self, word: &str) -> String {
        self.swap_to(&saying(word))
    }

    fn swap_to(&self, wat: &str) -> String {
        let file = self.folder.file("upload.wat");
        fs::write(&file, wat).unwrap();
        self.tell(&["swap", file.to_str().unwrap()])
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.state).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Waits until nothing is in the folder that no version needs.
    fn settles_with_modules(&self, modules: usize) {
        let is_module = |name: &&String| name.ends_with(".module");
        loop {
            let names = self.names();
            let litter = names.iter().any(|name| name.ends_with(".tmp") || name.ends_with(".new"));
            if !litter && names.iter().filter(is_module).count() == modules {
                return;
            }
        }
    }
}

fn says(server: &Server, word: &str, version: &str) {
    let reply = server.connect().ask("GET", "/");
    assert_eq!((reply.text(), reply.field("x-handler-version")), (word, Some(version)));
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut modes: Vec<_> = entries.map(|path| (path.display().to_string(), mode(&path))).collect();
    modes.push((folder.display().to_string(), mode(folder)));
    modes
}

#[test]
fn with_umask_000_everything_is_its_owners_alone() {
    let place = Place::new();
    let (runtime, records) = (place.folder.file("runtime"), place.folder.file("records"));
    let script = "umask 000; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_host")]).arg(fixture("traps.wat")).stdin(Stdio::null());
    command.env("XDG_RUNTIME_DIR", &runtime).arg("--record").arg(&records);
    command.args(["--no-probe", "--listen", "127.0.0.1:0", "--state-dir"]).arg(&place.state);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut ready = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut ready).unwrap();
    let address = crate::harness::addresses(&ready)[0];
    assert_eq!(crate::harness::Client::connect(address).ask("GET", "/boom").status, 500);
    // The state is saved once it serves.
    while !place.state.join("state.json").exists() {}
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
    let all = [&runtime, &records, &place.state].map(|folder| modes(folder)).concat();
    assert!(all.len() >= 3 + 1 + 1 + 4, "{all:?}");
    for (path, mode) in all {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[test]
fn a_planted_link_in_the_folder_for_the_state_is_not_followed() {
    let place = Place::new();
    let server = place.start();
    assert!(place.swap("one").starts_with("serving version 2"));
    drop(server);
    let secret = place.folder.file("secret");
    fs::write(&secret, "secret").unwrap();
    let hash = host::site::version::hash(saying("two").as_bytes());
    for name in
        [format!("{hash}.new"), format!(".{hash}.module.tmp"), format!("{hash}.module"), "state.new".into()]
    {
        symlink(&secret, place.state.join(name)).unwrap();
    }
    for name in ["state.json", ".state.json.spare"] {
        fs::remove_file(place.state.join(name)).unwrap();
        symlink(&secret, place.state.join(name)).unwrap();
    }
    let complaint = start_without(&place);
    assert!(complaint.contains("state.json: it is a symbolic link; expected a regular file"), "{complaint}");
    fs::remove_file(place.state.join("state.json")).unwrap();
    let server = place.start();
    assert!(place.swap("two").starts_with("serving version 2"));
    says(&server, "two", "2");
    drop(server);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    says(&place.start(), "two", "2");
}

#[test]
fn a_pipe_or_an_endless_device_in_the_folder_neither_blocks_nor_fills_the_start() {
    for plant in [
        |path: &Path| pipe(path),
        |path: &Path| symlink("/dev/zero", path).unwrap(),
        |path: &Path| {
            // A device itself is for root to make.
            let made = is_root()
                && Command::new("mknod").arg(path).args(["c", "1", "5"]).status().unwrap().success();
            if !made {
                fs::create_dir(path).unwrap();
            }
        },
    ] {
        let place = Place::new();
        let server = place.start();
        assert!(place.swap("two").starts_with("serving version 2"));
        drop(server);
        let hash = host::site::version::hash(saying("two").as_bytes());
        let module = place.state.join(format!("{hash}.module"));
        fs::remove_file(&module).unwrap();
        plant(&module);
        let mut server = place.start();
        server.log_line(&["version 2", "cannot be restored", "expected a regular file"]);
        assert!(server.connect().ask("GET", "/").text().contains("hello index"));
        drop(server);
        fs::remove_file(place.state.join("state.json")).unwrap();
        plant(&place.state.join("state.json"));
        let complaint = start_without(&place);
        assert!(
            complaint.contains("state.json: it is ") && complaint.contains("expected a regular file"),
            "{complaint}"
        );
        fs::remove_file(place.state.join("lock")).unwrap();
        plant(&place.state.join("lock"));
        let complaint = start_without(&place);
        assert!(complaint.contains("the lock file lock"), "{complaint}");
    }
}

/// The complaint of a server that cannot use its folder, whether it starts all
/// the same or not.
fn start_without(place: &Place) -> String {
    let mut command = host();
    command.args(["--listen", "127.0.0.1:0", "--no-control", "--state-dir"]).arg(&place.state);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut lines = std::io::BufRead::lines(stderr).map(Result::unwrap);
    let found = lines.find(|line| line.contains(place.state.to_str().unwrap())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    found
}

#[test]
fn a_folder_of_somebody_else_or_open_to_others_is_not_used() {
    let place = Place::new();
    fs::create_dir(&place.state).unwrap();
    fs::set_permissions(&place.state, fs::Permissions::from_mode(0o777)).unwrap();
    let complaint = "others can write to it (its mode is 0777; chmod it to 0700, or choose another)";
    assert!(start_without(&place).contains(complaint));
    let record = ["--record", place.state.to_str().unwrap(), "--no-control", "--listen", "127.0.0.1:0"];
    assert!(fails_to_start(&record).ends_with(complaint));
    if is_root() {
        fs::set_permissions(&place.state, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&place.state, Some(12345), None).unwrap();
        let complaint = "it belongs to the user id 12345; expected 0";
        assert!(start_without(&place).contains(complaint));
        assert!(fails_to_start(&record).contains(complaint));
    }
    assert!(place.names().is_empty());
}

#[test]
fn a_planted_state_does_not_make_another_module_the_embedded_handler() {
    let place = Place::new();
    let server = place.start();
    assert!(place.swap("planted").starts_with("serving version 2"));
    drop(server);
    let file = place.state.join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let version = &mut state["versions"][1];
    version["label"]["origin"] = "embedded".into();
    // A time in the year 36,812.
    version["time"]["secs_since_epoch"] = (1_u64 << 40).into();
    fs::write(&file, state.to_string()).unwrap();
    let mut server = place.start();
    server.log_line(&["WARN", "version 2 is listed as the embedded handler"]);
    server.log_line(&["serves version 2: embedded in another program (sent)"]);
    let versions = place.tell(&["versions"]);
    assert!(versions.contains("2  current    9999-12-31T23:59:59Z"), "{versions}");
}

#[test]
fn a_path_that_is_no_text_does_not_keep_versions_from_surviving() {
    let place = Place::new();
    let file = place.folder.file("").join(OsStr::from_bytes(b"handler-\xff.wat"));
    let state = place.folder.file("").join(OsStr::from_bytes(b"state-\xff"));
    fs::write(&file, saying("one")).unwrap();
    let control = place.socket();
    let args = [
        file.as_os_str(),
        "--state-dir".as_ref(),
        state.as_os_str(),
        "--control".as_ref(),
        control.as_os_str(),
    ];
    let mut server = Server::with(&args);
    rename_over(&file, saying("two"));
    server.log_line(&["serving version 2"]);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    drop(server);
    says(&Server::with(&args), "one", "1");
}

#[test]
fn a_moved_folder_is_not_written_to_and_that_is_said() {
    let place = Place::new();
    let mut server = place.start();
    assert!(place.swap("two").starts_with("serving version 2"));
    let moved = place.folder.file("moved");
    fs::rename(&place.state, &moved).unwrap();
    fs::create_dir(&place.state).unwrap();
    place.swap("three");
    server.log_line(&[
        "not all of them would survive",
        "the folder was moved or replaced since the server started",
    ]);
    says(&server, "three", "3");
    assert!(place.names().is_empty());
    drop(server);
    fs::remove_dir(&place.state).unwrap();
    fs::rename(&moved, &place.state).unwrap();
    says(&place.start(), "two", "2");
}

#[test]
fn litter_of_a_process_that_was_killed_goes_at_the_next_start() {
    let place = Place::new();
    drop(place.start());
    let hash = "0".repeat(64);
    for name in
        ["state.new".into(), format!("{hash}.new"), format!(".{hash}.module.tmp"), format!("{hash}.module")]
    {
        fs::write(place.state.join(name), "x").unwrap();
    }
    fs::write(place.state.join("mine.module"), "x").unwrap();
    let _server = place.start();
    place.settles_with_modules(2);
    assert!(place.state.join("mine.module").exists(), "it is not the server's");
}

/// A server that may write no file longer than 48 KiB: the system says so as it
/// does when a disk is full.
fn with_short_files(place: &Place) -> Server {
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 48; exec \"$0\" \"$@\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_host")]).stdin(Stdio::null());
    place.spawn(command)
}

#[test]
fn a_module_that_cannot_be_written_leaves_nothing_and_the_record_goes_on() {
    let place = Place::new();
    let mut server = with_short_files(&place);
    assert!(place.swap("two").starts_with("serving version 2"));
    let long = format!("{};; {}", saying("three"), "x".repeat(60_000));
    assert!(place.swap_to(&long).starts_with("serving version 3"));
    server.log_line(&["not all of them would survive", "File too large"]);
    place.settles_with_modules(2);
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    drop(server);
    let server = place.start();
    assert!(server.connect().ask("GET", "/").text().contains("hello index"));
    place.settles_with_modules(2);
}

/// A file system of its own, of 192 KiB, which goes when this is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Nothing where mounting is not permitted.
    fn mount(path: &Path) -> Option<Disk> {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=192k,mode=0700", "tmpfs"]).arg(path);
        let output = mount.output().ok()?;
        if !output.status.success() {
            eprintln!("no disk is filled: {}", String::from_utf8_lossy(&output.stderr).trim());
            return None;
        }
        Some(Disk(path.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn after_a_disk_was_full_the_record_of_versions_is_right_and_no_litter_stays() {
    let place = Place::new();
    let Some(_disk) = Disk::mount(&place.state) else {
        return;
    };
    let mut server = place.start();
    assert!(place.swap("two").starts_with("serving version 2"));
    // Somebody else fills the disk to its last byte.
    let filler = place.state.join("filler");
    let fill = || {
        let mut zero = Command::new("dd");
        zero.arg("if=/dev/zero").arg(format!("of={}", filler.display())).args(["bs=4k", "status=none"]);
        zero.stderr(Stdio::null()).status().unwrap();
    };
    fill();
    place.swap("three");
    server.log_line(&["not all of them would survive", "No space left on device"]);
    // What is already there can still be recorded.
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    let names = place.names();
    assert!(!names.iter().any(|name| name.ends_with(".tmp") || name.ends_with(".new")), "{names:?}");
    drop(server);
    let server = place.start();
    assert!(server.connect().ask("GET", "/").text().contains("hello index"), "the last order counts");
    fs::remove_file(&filler).unwrap();
    assert!(place.swap("five").starts_with("serving version"));
    drop(server);
    assert_eq!(place.start().connect().ask("GET", "/").text(), "five");
    place.settles_with_modules(3);
}

#[test]
fn recordings_of_others_are_left_alone() {
    let folder = Folder::new();
    let records = folder.file("records");
    let traps = fixture("traps.wat");
    let start = || {
        Server::with(&[
            "--record".as_ref(),
            records.as_os_str(),
            "--record-max".as_ref(),
            "1".as_ref(),
            traps.as_os_str(),
        ])
    };
    drop(start());
    let planted = records.join("0000000000001-a.fault.http");
    pipe(&planted);
    symlink("/dev/zero", records.join("0000000000002-a.fault.http")).unwrap();
    let mut server = start();
    server.log_line(&["0000000000001-a.fault.http is not a file of this user alone and is left alone"]);
    for _ in 0..2 {
        assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    }
    server.signal("TERM");
    assert!(server.wait().0.success());
    assert_eq!(fs::read_dir(&records).unwrap().count(), 3, "two that were planted, and one");
    assert!(fs::symlink_metadata(&planted).unwrap().file_type().is_fifo());

    let replayed = |path: &Path| {
        let output = run_to_end(host().arg("replay").arg(path).arg("--module").arg(&traps));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(replayed(&planted).ends_with("it is a pipe; expected a regular file\n"));
    assert!(replayed(Path::new("/dev/zero")).ends_with("it is a device; expected a regular file\n"));
}

#[test]
fn a_planted_lock_beside_a_control_socket_is_not_followed() {
    let folder = Folder::new();
    let (socket, secret) = (folder.file("control"), folder.file("secret"));
    fs::write(&secret, "secret").unwrap();
    let lock = folder.file("control.lock");
    let refused = |complaint: &str| {
        let text = fails_to_start(&["--listen", "127.0.0.1:0", "--control", socket.to_str().unwrap()]);
        assert!(text.contains("cannot bind the control socket") && text.ends_with(complaint), "{text}");
    };
    symlink(&secret, &lock).unwrap();
    refused("is a symbolic link; expected a regular file");
    fs::remove_file(&lock).unwrap();
    pipe(&lock);
    refused("it is a pipe; expected a regular file");
    if is_root() {
        fs::remove_file(&lock).unwrap();
        fs::write(&lock, "").unwrap();
        std::os::unix::fs::chown(&lock, Some(12345), None).unwrap();
        refused("it belongs to the user id 12345; expected 0");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
}
