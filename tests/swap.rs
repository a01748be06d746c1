//! Swapping is tested with two handlers that differ in their answer alone.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::modules::{answering, saying};
use crate::harness::{Client, Folder, Server, rename_over};

/// Waits until the server says that it serves another version.
fn swapped(server: &mut Server, number: u64) {
    server.log_line(&[&format!("serving version {number}: ")]);
}

fn says(server: &Server, word: &str, version: &str) {
    let reply = server.connect().ask("GET", "/");
    assert_eq!((reply.text(), reply.field("x-handler-version")), (word, Some(version)));
}

#[test]
fn every_way_in_which_a_file_changes_swaps_the_handler() {
    for mode in ["events", "poll"] {
        let folder = Folder::new();
        let file = folder.file("handler.wasm");
        fs::write(&file, saying("one")).unwrap();
        let mut server = Server::with(&[file.to_str().unwrap(), "--watch", mode]);
        let mut kept = server.connect();
        says(&server, "one", "1");

        rename_over(&file, saying("renamed"));
        swapped(&mut server, 2);
        says(&server, "renamed", "2");

        fs::write(&file, saying("rewritten")).unwrap();
        swapped(&mut server, 3);
        says(&server, "rewritten", "3");

        fs::remove_file(&file).unwrap();
        says(&server, "rewritten", "3");
        fs::write(&file, saying("made again")).unwrap();
        swapped(&mut server, 4);
        says(&server, "made again", "4");

        // As a build does it: the old file goes, and another is linked there.
        let built = folder.file("built.wasm");
        fs::write(&built, saying("built")).unwrap();
        fs::remove_file(&file).unwrap();
        fs::hard_link(&built, &file).unwrap();
        swapped(&mut server, 5);
        says(&server, "built", "5");

        // The connection has lived through all of it.
        assert_eq!(kept.ask("GET", "/").text(), "built");
    }
}

#[test]
fn a_symlink_anywhere_on_the_path_may_be_pointed_elsewhere() {
    // As an orchestrator mounts a volume: the file is a symlink into a folder
    // that is a symlink, and an update replaces the latter.
    let folder = Folder::new();
    for version in ["v1", "v2", "v3"] {
        fs::create_dir(folder.file(version)).unwrap();
        fs::write(folder.file(version).join("handler.wasm"), saying(version)).unwrap();
    }
    symlink("v1", folder.file("data")).unwrap();
    symlink("data/handler.wasm", folder.file("handler.wasm")).unwrap();
    let mut server = Server::with(&[folder.file("handler.wasm")]);
    says(&server, "v1", "1");
    for (version, number) in [("v2", 2), ("v3", 3), ("v1", 4)] {
        symlink(version, folder.file("new")).unwrap();
        fs::rename(folder.file("new"), folder.file("data")).unwrap();
        swapped(&mut server, number);
        says(&server, version, &number.to_string());
    }
    // What happens where the path leads now is seen too.
    fs::write(folder.file("v1").join("handler.wasm"), saying("v1, rewritten")).unwrap();
    swapped(&mut server, 5);
    symlink("v2/handler.wasm", folder.file("new")).unwrap();
    fs::rename(folder.file("new"), folder.file("handler.wasm")).unwrap();
    swapped(&mut server, 6);
    says(&server, "v2", "6");
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
    says(&server, "one", "1");
    fs::create_dir_all(&inner).unwrap();
    fs::write(&file, saying("two")).unwrap();
    swapped(&mut server, 2);
    says(&server, "two", "2");
    fs::rename(folder.file("a"), folder.file("away")).unwrap();
    fs::create_dir_all(&inner).unwrap();
    rename_over(&file, saying("three"));
    swapped(&mut server, 3);
    says(&server, "three", "3");
}

#[test]
fn the_same_bytes_do_nothing_and_a_burst_ends_with_the_last() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("0")).unwrap();
    let server = Server::with(std::slice::from_ref(&file));
    for _ in 0..5 {
        rename_over(&file, saying("0"));
    }
    for count in 1..=100 {
        fs::write(&file, saying(&count.to_string())).unwrap();
    }
    // Which of the contents in between were seen depends on the moment; the
    // last one is, and there are far fewer versions than writes.
    let mut client = server.connect();
    while client.ask("GET", "/").text() != "100" {
        std::thread::yield_now();
    }
    let of_the_first = format!("sha256 {}", host::swap::hash(saying("0").as_bytes()));
    let number: u64 = client.ask("GET", "/").field("x-handler-version").unwrap().parse().unwrap();
    assert!(number <= 20, "{number} versions");
    server.signal("TERM");
    let (_, lines) = server.wait();
    let again =
        lines.iter().filter(|line| line.contains(": serving version") && line.contains(&of_the_first));
    assert_eq!(again.count(), 0, "the same bytes made a version");
}

#[test]
fn what_serves_is_compiled_again_and_stays_the_version_it_was() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(&[file.to_str().unwrap(), "--log-level", "debug"]);
    for (word, number) in [("one", 1), ("two", 2), ("three", 3)] {
        if number > 1 {
            rename_over(&file, saying(word));
        }
        server.log_line(&[": optimised ", &format!("version={number} ")]);
        says(&server, word, &number.to_string());
    }
}

#[test]
fn what_is_kept_compiled_is_not_compiled_again() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(&[file.to_str().unwrap(), "--keep", "2", "--log-level", "debug"]);
    let optimised = |number: u64| format!(": optimised version={number} ");
    server.log_line(&[&optimised(1)]);
    // With the fourth only the third and itself are kept.
    for (word, number, compiled) in
        [("two", 2, true), ("one", 3, false), ("three", 4, true), ("one", 5, false), ("two", 6, true)]
    {
        rename_over(&file, saying(word));
        let line = server.log_line(&[&format!("serving version {number}: ")]);
        assert_eq!(line.contains("compile "), compiled, "{line}");
        if compiled {
            server.log_line(&[&optimised(number)]);
        }
        says(&server, word, &number.to_string());
    }
    server.signal("TERM");
    let (_, lines) = server.wait();
    for number in [3, 5] {
        assert!(!lines.iter().any(|line| line.contains(&optimised(number))), "{number} was optimised again");
    }
}

#[test]
fn what_else_happens_in_the_folder_delays_nothing() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(std::slice::from_ref(&file));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(folder.file("other"), "busy").unwrap();
            }
        });
        for (word, number) in [("two", 2), ("three", 3), ("four", 4)] {
            rename_over(&file, saying(word));
            swapped(&mut server, number);
            says(&server, word, &number.to_string());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_pipe_in_place_of_the_file_is_not_waited_for() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(std::slice::from_ref(&file));
    assert!(std::process::Command::new("mkfifo").arg(folder.file("pipe")).status().unwrap().success());
    fs::rename(folder.file("pipe"), &file).unwrap();
    server.signal("HUP");
    server.log_line(&["not swapped", "it is a pipe or a socket"]);
    let complaint = crate::harness::fails_to_start(std::slice::from_ref(&file));
    assert!(complaint.ends_with("it is a pipe or a socket; expected a .wasm or .wat file"), "{complaint}");
    rename_over(&file, saying("two"));
    swapped(&mut server, 2);
}

#[test]
fn a_file_is_not_read_while_somebody_writes_it() {
    use std::io::Write;
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(std::slice::from_ref(&file));
    let module = wat::parse_str(saying("two")).unwrap();
    let mut client = server.connect();
    // In pieces, with requests in between, in one go from open to close.
    let mut writer = fs::File::create(&file).unwrap();
    for piece in module.chunks(16) {
        writer.write_all(piece).unwrap();
        assert_eq!(client.ask("GET", "/").text(), "one");
    }
    drop(writer);
    swapped(&mut server, 2);
    server.signal("TERM");
    let (_, lines) = server.wait();
    assert!(lines.iter().all(|line| !line.contains("rejected")), "{lines:?}");
}

#[test]
fn hangup_reads_the_file_again() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("one")).unwrap();
    let mut server = Server::with(&[file.to_str().unwrap(), "--no-watch"]);
    fs::write(&file, saying("two")).unwrap();
    server.signal("HUP");
    swapped(&mut server, 2);
    says(&server, "two", "2");
    fs::remove_file(&file).unwrap();
    server.signal("HUP");
    server.log_line(&["not swapped", "No such file or directory"]);
    says(&server, "two", "2");
}

#[test]
fn a_bad_module_never_replaces_a_good_one() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("good")).unwrap();
    let flags = ["--no-watch", "--probe", "GET /", "--probe", "HEAD /a 200"];
    let mut server = Server::with(&[&[file.to_str().unwrap()], &flags[..]].concat());
    let mut client = server.connect();
    let whole = wat::parse_str(saying("other")).unwrap();
    let handler = |more: &str| saying("other").replace("(module", &format!("(module {more}"));

    let mut bad: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"hello\n".into(), "compile", "it is a text file that is not WebAssembly text"),
        (Vec::new(), "compile", "it is empty"),
        (saying("other").replace("handle", "handel").into(), "check", "it has no export `handle`"),
        (saying("other").replace("(result i64)", "(result i64 i64)").into(), "compile", "type mismatch"),
        (handler("(import \"env\" \"x\" (func))").into(), "check", "it imports `x` from `env`"),
        (saying("other").replace("\"memory\") 1", "\"memory\") 2000").into(), "check", "--memory-max"),
        (
            handler("(start $f) (func $f unreachable)").into(),
            "start",
            "`unreachable` instruction executed; in f",
        ),
        (handler("(start $f) (func $f (loop (br 0)))").into(), "start", "longer than its deadline"),
        (handler("(func (export \"_initialize\") unreachable)").into(), "start", "it does not start"),
        (
            handler("(func (export \"_initialize\") (loop (br 0)))").into(),
            "start",
            "longer than its deadline",
        ),
        (fs::read(crate::harness::fixture("loops.wat")).unwrap(), "probe", "GET / was not answered"),
        (fs::read(crate::harness::fixture("panics.wat")).unwrap(), "probe", "out of \"cheese\""),
        (
            answering(b"HTTP/1.1 500 Oh\n\n").into(),
            "probe",
            "GET / was answered 500 Internal Server Error; expected a status below 500",
        ),
        (
            answering(b"HTTP/1.1 404 No\n\n").into(),
            "probe",
            "HEAD /a was answered 404 Not Found; expected 200",
        ),
        (answering(b"nonsense").into(), "probe", "it does not begin with HTTP/1.1"),
    ];
    for length in (1..whole.len()).step_by(7) {
        bad.push((whole[..length].to_vec(), "", ""));
    }
    for (index, (module, stage, cause)) in bad.into_iter().enumerate() {
        fs::write(&file, &module).unwrap();
        server.signal("HUP");
        let number = format!("rejected version {}: ", index + 2);
        let line = server.log_line(&[&number]);
        assert!(line.contains("WARN") && line.contains("serving=1"), "{line}");
        assert!(line.contains(&format!("stage={stage}")) && line.contains(cause), "{cause}: {line}");
        assert_eq!(client.ask("GET", "/").text(), "good");
    }
    fs::write(&file, &whole).unwrap();
    server.signal("HUP");
    server.log_line(&["serving version", "replaced=1", "stages=read "]);
    assert_eq!(client.ask("GET", "/").text(), "other");
}

#[test]
fn a_request_inside_the_old_module_finishes_on_it() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::copy(crate::harness::fixture("is_slow.wat"), &file).unwrap();
    let mut server = Server::with(&[file.to_str().unwrap(), "--deadline", "10min", "--probe", "GET /quick"]);
    let mut client = server.connect();
    client.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    server.log_line(&["INFO handler: entered"]);
    rename_over(&file, saying("new"));
    swapped(&mut server, 2);
    says(&server, "new", "2");
    let reply = client.reply_to("GET");
    assert_eq!((reply.text(), reply.field("x-handler-version")), ("old", Some("1")));
    let reply = client.ask("GET", "/slow");
    assert_eq!((reply.text(), reply.field("x-handler-version")), ("new", Some("2")));
}

#[test]
fn a_swap_drops_nothing() {
    let folder = Folder::new();
    let file = folder.file("handler.wasm");
    fs::write(&file, saying("odd")).unwrap();
    let server = Server::with(&[file.to_str().unwrap(), "--no-watch", "--log-level", "info,request=off"]);
    let address = server.addresses[0];
    let done = std::sync::atomic::AtomicBool::new(false);
    let is_done = || done.load(std::sync::atomic::Ordering::Relaxed);
    let right = |client: &mut Client, newest: &mut u64| {
        let reply = client.reply_to("GET");
        let version = reply.field("x-handler-version").unwrap().parse().unwrap();
        assert!(version >= *newest, "version {version} after {newest} on one connection");
        *newest = version;
        assert_eq!((reply.status, reply.text()), (200, if version % 2 == 1 { "odd" } else { "even" }));
    };
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    std::thread::scope(|scope| {
        for pipelined in [1, 1, 8] {
            scope.spawn(move || {
                let (mut client, mut newest) = (Client::connect(address), 0);
                while !is_done() {
                    client.send(request.repeat(pipelined));
                    (0..pipelined).for_each(|_| right(&mut client, &mut newest));
                }
            });
        }
        scope.spawn(|| {
            while !is_done() {
                let mut client = Client::connect(address);
                client.send(request);
                right(&mut client, &mut 0);
            }
        });
        let mut watcher = Client::connect(address);
        for number in 2..=201 {
            rename_over(&file, saying(if number % 2 == 1 { "odd" } else { "even" }));
            server.signal("HUP");
            let expected = number.to_string();
            while watcher.ask("GET", "/").field("x-handler-version") != Some(&expected) {}
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
