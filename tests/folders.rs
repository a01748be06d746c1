//! The server uses only folders and files that nobody else can change. A full disk or a
//! killed process leaves no unfinished files.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::modules::saying;
use crate::harness::{
    Deployment, Folder, Server, fails_to_start, fixture, host, host_after, make_pipe, rename_over,
    run_to_end, wait_until,
};

/// Waits until the state folder holds this number of modules and no unfinished files.
fn settles_with_modules(place: &Deployment, modules: usize) {
    wait_until("the state folder is tidy", || {
        let modules_now = place.state_names().iter().filter(|name| name.ends_with(".module")).count();
        place.litter().is_empty() && modules_now == modules
    });
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
    let place = Deployment::new();
    let [runtime, records] = ["runtime", "records"].map(|name| place.folder.file(name));
    let mut command = host_after("umask 000");
    command.env("XDG_RUNTIME_DIR", &runtime);
    let flags = ["--record", &place.path("records"), "--state-dir", &place.path("state")];
    let server = Server::spawn(command, &[&[&*fixture("traps.wat")], &flags[..]].concat());
    assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    // The server may be ready before it has saved its state.
    wait_until("the state is saved", || place.state().join("state.json").exists());
    server.stop();
    let all = [&runtime, &records, &place.state()].map(|folder| modes(folder)).concat();
    // The folders, a recorded request, and the files of the state.
    assert!(all.len() >= 3 + 1 + 4, "{all:?}");
    for (path, mode) in all {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[test]
fn a_planted_link_in_the_folder_for_the_state_is_not_followed() {
    let place = Deployment::new();
    let server = place.start(&[]);
    place.serves(saying("one"), 2);
    drop(server);
    let secret = place.folder.file("secret");
    fs::write(&secret, "secret").unwrap();
    for name in unfinished(&host::site::version::hash(saying("two").as_bytes())) {
        symlink(&secret, place.state().join(name)).unwrap();
    }
    for name in ["state.json", ".state.json.spare"] {
        fs::remove_file(place.state().join(name)).unwrap();
        symlink(&secret, place.state().join(name)).unwrap();
    }
    let complaint = start_without(&place);
    assert!(complaint.contains("state.json: it is a symbolic link; expected a regular file"), "{complaint}");
    fs::remove_file(place.state().join("state.json")).unwrap();
    let server = place.start(&[]);
    place.serves(saying("two"), 2);
    server.says("two", 2);
    drop(server);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    place.start(&[]).says("two", 2);
}

#[test]
fn a_pipe_or_an_endless_device_in_the_folder_neither_blocks_nor_fills_the_start() {
    for plant in [
        |path: &Path| make_pipe(path),
        |path: &Path| symlink("/dev/zero", path).unwrap(),
        |path: &Path| {
            // Plants a device (/dev/zero), which only root can make, or else a folder.
            let made = is_root()
                && Command::new("mknod").arg(path).args(["c", "1", "5"]).status().unwrap().success();
            if !made {
                fs::create_dir(path).unwrap();
            }
        },
    ] {
        let place = Deployment::new();
        let server = place.start(&[]);
        place.serves(saying("two"), 2);
        drop(server);
        let module = place.saved(saying("two"));
        fs::remove_file(&module).unwrap();
        plant(&module);
        let mut server = place.start(&[]);
        server.log_line(&["version 2", "cannot be restored", "expected a regular file"]);
        assert!(server.connect().ask("GET", "/").text().contains("hello index"));
        drop(server);
        fs::remove_file(place.state().join("state.json")).unwrap();
        plant(&place.state().join("state.json"));
        let complaint = start_without(&place);
        assert!(complaint.contains("state.json: it is "), "{complaint}");
        assert!(complaint.contains("expected a regular file"), "{complaint}");
        fs::remove_file(place.state().join("lock")).unwrap();
        plant(&place.state().join("lock"));
        let complaint = start_without(&place);
        assert!(
            complaint.contains(&format!("the lock file {}", place.state().join("lock").display())),
            "{complaint}"
        );
    }
}

/// Starts a server that cannot use its state folder, and returns the message about the
/// folder.
fn start_without(place: &Deployment) -> String {
    let state = place.path("state");
    Server::begin(host(), &["--state-dir", &state]).log_line(&[&state])
}

/// Returns names of files that this and earlier releases can leave, if the write of a module
/// or of the state file is interrupted.
fn unfinished(hash: &str) -> [String; 4] {
    let [new, temporary] = [format!("{hash}.new"), format!(".{hash}.module.tmp")];
    [new, temporary, format!("{hash}.module"), "state.new".into()]
}

#[test]
fn a_folder_of_somebody_else_or_open_to_others_is_not_used() {
    let place = Deployment::new();
    fs::create_dir(place.state()).unwrap();
    let record = ["--record", &place.path("state"), "--no-control", "--listen", "127.0.0.1:0"];
    for mode in [0o770, 0o707, 0o1777] {
        fs::set_permissions(place.state(), fs::Permissions::from_mode(mode)).unwrap();
        let complaint =
            format!("others can write to it (its mode is {mode:04o}; chmod it to 0700, or choose another)");
        assert!(start_without(&place).contains(&complaint));
        assert!(fails_to_start(&record).ends_with(&complaint));
    }
    if is_root() {
        fs::set_permissions(place.state(), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(place.state(), Some(12345), None).unwrap();
        let complaint = "it belongs to the user id 12345; expected 0";
        assert!(start_without(&place).contains(complaint));
        assert!(fails_to_start(&record).contains(complaint));
    }
    assert!(place.state_names().is_empty());
}

#[test]
fn a_planted_state_does_not_make_another_module_the_embedded_handler() {
    let place = Deployment::new();
    let server = place.start(&[]);
    place.serves(saying("planted"), 2);
    drop(server);
    let file = place.state().join("state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let version = &mut state["versions"][1];
    version["label"]["origin"] = "embedded".into();
    // A time in the year 36,812.
    version["time"]["secs_since_epoch"] = (1_u64 << 40).into();
    fs::write(&file, state.to_string()).unwrap();
    let mut server = place.start(&[]);
    server.log_line(&["WARN", "version 2 is listed as the embedded handler"]);
    server.log_line(&["serves version 2: embedded in another program (sent)"]);
    let versions = place.tell(&["versions"]);
    assert!(versions.contains("2  current           1  9999-12-31T23:59:59Z"), "{versions}");
    let is_embedded = |line: &str| line.contains("1  retired") && line.ends_with("the embedded handler");
    wait_until("version 1 comes back", || place.tell(&["versions"]).lines().any(is_embedded));
}

#[test]
fn a_path_that_is_no_text_does_not_keep_versions_from_surviving() {
    let place = Deployment::new();
    let file = place.folder.file("").join(OsStr::from_bytes(b"handler-\xff.wat"));
    let state = place.folder.file("").join(OsStr::from_bytes(b"state-\xff"));
    fs::write(&file, saying("one")).unwrap();
    let control = place.socket();
    let args: [&OsStr; 5] =
        [file.as_ref(), "--state-dir".as_ref(), state.as_ref(), "--control".as_ref(), control.as_ref()];
    let mut server = Server::with(&args);
    rename_over(&file, saying("two"));
    server.log_line(&["serving version 2"]);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    drop(server);
    Server::with(&args).says("one", 1);
}

#[test]
fn a_moved_folder_is_not_written_to_and_that_is_said() {
    let place = Deployment::new();
    let mut server = place.start(&[]);
    place.serves(saying("two"), 2);
    let moved = place.folder.file("moved");
    fs::rename(place.state(), &moved).unwrap();
    fs::create_dir(place.state()).unwrap();
    place.swap(saying("three"));
    let cause = "the folder was moved or replaced since the server started";
    server.log_line(&["not all of them would survive", cause]);
    server.says("three", 3);
    assert!(place.state_names().is_empty());
    drop(server);
    fs::remove_dir(place.state()).unwrap();
    fs::rename(&moved, place.state()).unwrap();
    place.start(&[]).says("two", 2);
}

#[test]
fn litter_of_a_process_that_was_killed_goes_at_the_next_start() {
    let place = Deployment::new();
    drop(place.start(&[]));
    for name in unfinished(&"0".repeat(64)) {
        fs::write(place.state().join(name), "x").unwrap();
    }
    fs::write(place.state().join("mine.module"), "x").unwrap();
    let _server = place.start(&[]);
    settles_with_modules(&place, 2);
    assert!(place.state().join("mine.module").exists(), "it is not the server's");
}

/// Starts a server that cannot write files longer than 48 KiB: longer writes fail with an
/// error, like writes to a full disk.
fn with_short_files(place: &Deployment) -> Server {
    // Uses bash, whose `ulimit -f` counts blocks of 1,024 bytes; other shells count 512.
    let mut bash = Command::new("bash");
    let posix = host_after("trap '' XFSZ; ulimit -f 48");
    bash.args(posix.get_args()).env_remove("NO_COLOR").stdin(Stdio::null());
    place.spawn(bash, &[])
}

#[test]
fn a_module_that_cannot_be_written_leaves_nothing_and_the_record_goes_on() {
    let place = Deployment::new();
    let mut server = with_short_files(&place);
    place.serves(saying("two"), 2);
    let long = format!("{};; {}", saying("three"), "x".repeat(60_000));
    place.serves(&long, 3);
    server.log_line(&["not all of them would survive", "File too large"]);
    settles_with_modules(&place, 2);
    let status = place.tell(&["status"]);
    let kept = format!(
        "\nafter a restart: version 2, kept in {}; the latest change is not saved: ",
        place.state().display()
    );
    assert!(status.contains(&kept) && status.contains("File too large"), "{status}");
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    drop(server);
    let server = place.start(&[]);
    assert!(server.connect().ask("GET", "/").text().contains("hello index"));
    settles_with_modules(&place, 2);
}

/// Mounted file system of 192 KiB, unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    /// Mounts the file system. Returns `None` if this process may not mount.
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
    let place = Deployment::new();
    let Some(_disk) = Disk::mount(&place.state()) else {
        return;
    };
    let mut server = place.start(&[]);
    place.serves(saying("two"), 2);
    // Another program fills the disk to its last byte.
    let filler = place.state().join("filler");
    let fill = || {
        let mut zero = Command::new("dd");
        zero.arg("if=/dev/zero").arg(format!("of={}", filler.display())).args(["bs=4k", "status=none"]);
        zero.stderr(Stdio::null()).status().unwrap();
    };
    fill();
    place.swap(saying("three"));
    server.log_line(&["not all of them would survive", "No space left on device"]);
    // Versions that are already saved can still be recorded as current.
    assert!(place.tell(&["rollback", "1"]).starts_with("serving version 1"));
    assert_eq!(place.litter(), [""; 0]);
    drop(server);
    let server = place.start(&[]);
    assert!(server.connect().ask("GET", "/").text().contains("hello index"), "the last order counts");
    fs::remove_file(&filler).unwrap();
    assert!(place.swap(saying("five")).starts_with("serving version"));
    drop(server);
    assert_eq!(place.start(&[]).connect().ask("GET", "/").text(), "five");
    settles_with_modules(&place, 3);
}

#[test]
fn recordings_of_others_are_left_alone() {
    let folder = Folder::new();
    let records = folder.file("records");
    let flags = ["--record", &folder.path("records"), "--record-max", "1"];
    let start = || Server::of_with("traps.wat", &flags);
    drop(start());
    let planted = records.join("0000000000001-a.fault.http");
    make_pipe(&planted);
    symlink("/dev/zero", records.join("0000000000002-a.fault.http")).unwrap();
    let mut server = start();
    server.log_line(&["0000000000001-a.fault.http is not a file of this user alone and is left alone"]);
    for _ in 0..2 {
        assert_eq!(server.connect().ask("GET", "/boom").status, 500);
    }
    server.stop();
    assert_eq!(fs::read_dir(&records).unwrap().count(), 3, "two that were planted, and one");
    assert!(fs::symlink_metadata(&planted).unwrap().file_type().is_fifo());

    let replayed = |path: &Path| {
        let output = run_to_end(host().arg("replay").arg(path).arg("--module").arg(fixture("traps.wat")));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(replayed(&planted).ends_with("it is a pipe; expected a regular file\n"));
    assert!(replayed(Path::new("/dev/zero")).ends_with("it is a device; expected a regular file\n"));
}

#[test]
fn a_planted_lock_beside_a_control_socket_is_not_followed() {
    let folder = Folder::new();
    let (socket, secret) = (folder.path("control"), folder.file("secret"));
    fs::write(&secret, "secret").unwrap();
    let lock = folder.file("control.lock");
    let refused = |complaint: &str| {
        let text = fails_to_start(&["--listen", "127.0.0.1:0", "--control", &socket]);
        assert!(text.contains("cannot bind the control socket") && text.ends_with(complaint), "{text}");
    };
    symlink(&secret, &lock).unwrap();
    refused("is a symbolic link; expected a regular file");
    fs::remove_file(&lock).unwrap();
    make_pipe(&lock);
    refused("it is a pipe; expected a regular file");
    if is_root() {
        fs::remove_file(&lock).unwrap();
        fs::write(&lock, "").unwrap();
        std::os::unix::fs::chown(&lock, Some(12345), None).unwrap();
        refused("it belongs to the user id 12345; expected 0");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
}
