//! Bugs of compiling, swapping and watching.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::harness::modules::saying;
use crate::harness::{Deployment, bombs, fails_to_start, host, make_pipe, rename_over, wait_until};
use crate::swap::{of_file, swapped};

/// Ctrl-C and a hangup of the terminal signal all processes of the group, including
/// compilers.
#[test]
fn a_signal_to_the_process_group_ended_the_compilers() {
    let place = Deployment::of(saying("one"));
    let mut command = host();
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut server = place.spawn(command, &["--no-watch"]);
    for number in 2..8 {
        std::fs::write(place.file(), saying(&number.to_string())).unwrap();
        let group = format!("-{}", server.pid());
        Command::new("kill").args(["-s", "HUP", "--", &group]).status().unwrap();
        wait_until("it is read again", || server.connect().ask("GET", "/").text() == number.to_string());
    }
    assert_eq!(server.log_line_now(&["the compiler"]), None);
}

/// With `--keep 2`, a swap dropped the version that it replaced, and kept a version that an
/// earlier rollback had replaced. So the swap could not be rolled back.
#[test]
fn the_version_that_was_just_replaced_was_the_first_to_be_forgotten() {
    let place = Deployment::new();
    let _server = place.start(&["--keep", "2"]);
    place.serves(saying("two"), 2);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    place.serves(saying("three"), 3);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
}

/// After a restart with a lower `--keep`, all versions in the state folder were restored.
#[test]
fn restored_versions_were_not_counted_against_keep() {
    let place = Deployment::new();
    let server = place.start(&[]);
    (2..6).for_each(|number| place.serves(saying(&number.to_string()), number));
    drop(server);
    let server = place.start(&["--keep", "2"]);
    // Waits until versions are restored: the server saves the state after that.
    let state = place.state().join("state.json");
    wait_until("version 4 is back", || std::fs::read_to_string(&state).unwrap().contains("\"number\": 4"));
    let rollback = place.tell(&["rollback", "2"]);
    assert!(rollback.contains("version 2 is not kept") || rollback.contains("not yet"), "{rollback}");
    assert_eq!(server.connect().ask("GET", "/").text(), "5");
}

/// `RUST_MIN_STACK` sets the default stack size of threads, and a compile process inherited
/// it.
#[test]
fn the_stack_size_in_the_environment_reached_the_compilers() {
    let place = Deployment::new();
    let mut command = host();
    command.env("RUST_MIN_STACK", "131072");
    let server = place.spawn(command, &[]);
    place.serves(bombs::much_code(50), 2);
    place.serves(saying("three"), 3);
    assert_eq!(server.connect().ask("GET", "/").text(), "three");
}

/// Opening a pipe for reading blocks until another process opens it for writing.
#[test]
fn a_pipe_at_the_path_of_the_module_blocked_the_watcher() {
    let (file, mut server) = of_file(saying("one"), &[]);
    let file = Path::new(file.path());
    let pipe = file.with_file_name("pipe");
    make_pipe(&pipe);
    fs::rename(pipe, file).unwrap();
    server.signal("HUP");
    server.log_line(&["not reloaded", "it is a pipe or a socket"]);
    let complaint = fails_to_start(&[file]);
    assert!(complaint.ends_with("it is a pipe or a socket; expected a .wasm or .wat file"), "{complaint}");
    rename_over(file, saying("two"));
    swapped(&mut server, "two", 2);
}

/// Each event in the folder, even of another file, restarted the debounce time.
#[test]
fn changes_of_other_files_delayed_a_swap_for_ever() {
    let (file, mut server) = of_file(saying("one"), &[]);
    let file = Path::new(file.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                fs::write(file.with_file_name("other"), "busy").unwrap();
            }
        });
        for (word, number) in [("two", 2), ("three", 3), ("four", 4)] {
            rename_over(file, saying(word));
            swapped(&mut server, word, number);
        }
        done.store(true, Relaxed);
    });
}
