//! The server notices every way to change the module file, and reads no incomplete file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::modules::saying;
use crate::harness::{Folder, Server, rename_over};
use crate::swap::{of_file, swapped};

#[test]
fn every_way_in_which_a_file_changes_swaps_the_handler() {
    for mode in ["events", "poll"] {
        let (file, mut server) = of_file(saying("one"), &["--watch", mode]);
        let file = Path::new(file.path());
        let mut kept = server.connect();
        server.says("one", 1);

        rename_over(file, saying("renamed"));
        swapped(&mut server, "renamed", 2);
        fs::write(file, saying("rewritten")).unwrap();
        swapped(&mut server, "rewritten", 3);

        fs::remove_file(file).unwrap();
        server.says("rewritten", 3);
        fs::write(file, saying("made again")).unwrap();
        swapped(&mut server, "made again", 4);

        // Cargo replaces a file like this: it removes the old file, and makes a hard link
        // to the new one in its place.
        let built = file.with_file_name("built.wasm");
        fs::write(&built, saying("built")).unwrap();
        fs::remove_file(file).unwrap();
        fs::hard_link(&built, file).unwrap();
        swapped(&mut server, "built", 5);

        // The connection was not closed by any of the swaps.
        assert_eq!(kept.ask("GET", "/").text(), "built");
    }
}

#[test]
fn a_symlink_anywhere_on_the_path_may_be_pointed_elsewhere() {
    // Kubernetes mounts a volume like this: the file is a symlink into a folder that is
    // itself a symlink, and an update replaces the symlink of the folder.
    let folder = Folder::new();
    for version in ["v1", "v2", "v3"] {
        fs::create_dir(folder.file(version)).unwrap();
        fs::write(folder.file(version).join("handler.wasm"), saying(version)).unwrap();
    }
    symlink("v1", folder.file("data")).unwrap();
    symlink("data/handler.wasm", folder.file("handler.wasm")).unwrap();
    let mut server = Server::with(&[folder.file("handler.wasm")]);
    server.says("v1", 1);
    for (version, number) in [("v2", 2), ("v3", 3), ("v1", 4)] {
        symlink(version, folder.file("new")).unwrap();
        fs::rename(folder.file("new"), folder.file("data")).unwrap();
        swapped(&mut server, version, number);
    }
    // The server also notices a change of the file to which the path leads now.
    fs::write(folder.file("v1").join("handler.wasm"), saying("v1, rewritten")).unwrap();
    swapped(&mut server, "v1, rewritten", 5);
    symlink("v2/handler.wasm", folder.file("new")).unwrap();
    fs::rename(folder.file("new"), folder.file("handler.wasm")).unwrap();
    swapped(&mut server, "v2", 6);
}

#[test]
fn a_folder_may_go_and_come_again() {
    let folder = Folder::new();
    let inner = folder.file("a/b");
    let file = inner.join("handler.wasm");
    fs::create_dir_all(&inner).unwrap();
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(std::slice::from_ref(&file));
    fs::remove_dir_all(folder.file("a")).unwrap();
    server.says("one", 1);
    fs::create_dir_all(&inner).unwrap();
    fs::write(&file, saying("two")).unwrap();
    swapped(&mut server, "two", 2);
    fs::rename(folder.file("a"), folder.file("away")).unwrap();
    fs::create_dir_all(&inner).unwrap();
    rename_over(&file, saying("three"));
    swapped(&mut server, "three", 3);
}

#[test]
fn the_same_bytes_do_nothing_and_a_burst_ends_with_the_last() {
    let (file, server) = of_file(saying("0"), &[]);
    let file = file.path();
    for _ in 0..5 {
        rename_over(file, saying("0"));
    }
    for count in 1..=100 {
        fs::write(file, saying(&count.to_string())).unwrap();
    }
    // Timing decides which contents in between become versions. The last one always does,
    // and there are far fewer versions than writes.
    let mut client = server.connect();
    while client.ask("GET", "/").text() != "100" {
        std::thread::yield_now();
    }
    let of_the_first = format!("sha256 {}", host::site::version::hash(saying("0").as_bytes()));
    let number: u64 = client.ask("GET", "/").field("x-handler-version").unwrap().parse().unwrap();
    assert!(number <= 20, "{number} versions");
    let lines = server.stop();
    let again = |line: &String| line.contains(": serving version") && line.contains(&of_the_first);
    assert!(!lines.iter().any(again), "the same bytes made a version");
}

#[test]
fn a_file_is_not_read_while_somebody_writes_it() {
    use std::io::Write;
    let (file, mut server) = of_file(saying("one"), &[]);
    let file = file.path();
    let module = wat::parse_str(saying("two")).unwrap();
    let mut client = server.connect();
    // Keeps the file open, and writes it in pieces with requests in between.
    let mut writer = fs::File::create(file).unwrap();
    for piece in module.chunks(16) {
        writer.write_all(piece).unwrap();
        assert_eq!(client.ask("GET", "/").text(), "one");
    }
    drop(writer);
    swapped(&mut server, "two", 2);
    let lines = server.stop();
    assert!(lines.iter().all(|line| !line.contains("rejected")), "{lines:?}");
}

#[test]
fn hangup_reads_the_file_again() {
    let (file, mut server) = of_file(saying("one"), &["--no-watch"]);
    let file = file.path();
    fs::write(file, saying("two")).unwrap();
    server.signal("HUP");
    swapped(&mut server, "two", 2);
    fs::remove_file(file).unwrap();
    server.signal("HUP");
    server.log_line(&["not reloaded", "there is no such file"]);
    server.says("two", 2);
}

#[test]
fn a_file_that_stays_away_is_told_once_and_so_is_its_return() {
    for mode in ["events", "poll"] {
        let (file, mut server) = of_file(saying("one"), &["--watch", mode]);
        let file = Path::new(file.path());
        // Editors and compilers take the file away for a moment only.
        for (word, number) in [("two", 2), ("three", 3)] {
            fs::remove_file(file).unwrap();
            sleep(Duration::from_millis(300));
            fs::write(file, saying(word)).unwrap();
            swapped(&mut server, word, number);
        }
        assert_eq!(server.log_line_now(&["cannot read the module file"]), None);

        fs::remove_file(file).unwrap();
        let line = server.log_line(&[" WARN ", "cannot read the module file", "version 3 goes on serving"]);
        assert!(line.contains("there is no such file; expected a .wasm or .wat file"), "{line}");
        fs::create_dir(file).unwrap();
        sleep(Duration::from_millis(1500));
        fs::remove_dir(file).unwrap();
        fs::write(file, saying("three")).unwrap();
        server.log_line(&[" INFO ", "the module file ", "can be read again"]);
        let lines = server.stop();
        assert_eq!(lines.iter().filter(|line| line.contains("goes on serving")).count(), 1, "{lines:?}");
    }
}

#[test]
fn a_file_that_may_not_be_read_is_told_once_and_so_is_its_return() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (file, mut server) = of_file(saying("one"), &[]);
    let file = Path::new(file.path());
    fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    server.log_line(&[" WARN ", "cannot read the module file", "this user may not read it; change"]);
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    server.log_line(&[" INFO ", "can be read again"]);
}
