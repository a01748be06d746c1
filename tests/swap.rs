//! The handler is replaced while the server runs. No request is lost, and a bad module
//! never replaces a good one.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::harness::modules::{answering, saying};
use crate::harness::{Client, Server, TextFile, fixture_text, rename_over};

/// Waits until version `number` serves, and checks that it answers with `word`.
#[track_caller]
pub fn swapped(server: &mut Server, word: &str, number: u64) {
    server.log_line(&[&format!("serving version {number}: ")]);
    server.says(word, number);
}

/// Writes a module to a temporary file, and starts a server with this file.
pub fn of_file(module: impl AsRef<[u8]>, flags: &[&str]) -> (TextFile, Server) {
    let file = TextFile::new(module);
    let server = Server::with(&[&[file.path()], flags].concat());
    (file, server)
}

#[test]
fn what_serves_is_compiled_again_and_stays_the_version_it_was() {
    let (file, mut server) = of_file(saying("one"), &["--log-level", "debug"]);
    for (word, number) in [("one", 1), ("two", 2), ("three", 3)] {
        if number > 1 {
            rename_over(file.path(), saying(word));
        }
        server.log_line(&[": optimised ", &format!("version={number} ")]);
        server.says(word, number);
    }
}

#[test]
fn what_is_kept_compiled_is_not_compiled_again() {
    let (file, mut server) = of_file(saying("one"), &["--keep", "2", "--log-level", "debug"]);
    let optimised = |number: u64| format!(": optimised version={number} ");
    server.log_line(&[&optimised(1)]);
    // With `--keep 2`, only the two newest versions are kept. So `two` is compiled again
    // for version 6, but `one` is not for versions 3 and 5.
    for (word, number, compiled) in
        [("two", 2, true), ("one", 3, false), ("three", 4, true), ("one", 5, false), ("two", 6, true)]
    {
        rename_over(file.path(), saying(word));
        let line = server.log_line(&[&format!("serving version {number}: ")]);
        assert_eq!(line.contains("compile "), compiled, "{line}");
        if compiled {
            server.log_line(&[&optimised(number)]);
        }
        server.says(word, number);
    }
    let lines = server.stop();
    for number in [3, 5] {
        assert!(!lines.iter().any(|line| line.contains(&optimised(number))), "{number} was optimised again");
    }
}

#[test]
fn a_bad_module_never_replaces_a_good_one() {
    let flags = ["--no-watch", "--probe", "GET /", "--probe", "HEAD /a 200"];
    let (file, mut server) = of_file(saying("good"), &flags);
    let mut client = server.connect();
    let whole = wat::parse_str(saying("other")).unwrap();
    let handler = |more: &str| saying("other").replace("(module", &format!("(module {more}"));

    #[rustfmt::skip]
    let mut bad: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"hello\n".into(), "compile", "it is a text file that is not WebAssembly text"),
        (Vec::new(), "compile", "it is empty"),
        (saying("other").replace("handle", "handel").into(), "check", "it has no export `handle`"),
        (saying("other").replace("(result i64)", "(result i64 i64)").into(), "compile", "type mismatch"),
        (handler("(import \"env\" \"x\" (func))").into(), "check", "it imports `x` from `env`"),
        (saying("other").replace("\"memory\") 1", "\"memory\") 2000").into(), "check", "--memory-max"),
        (handler("(start $f) (func $f unreachable)").into(), "start", "`unreachable` instruction executed; in f"),
        (handler("(start $f) (func $f (loop (br 0)))").into(), "start", "longer than its deadline of "),
        (handler("(func (export \"_initialize\") unreachable)").into(), "start", "the module does not start"),
        (handler("(func (export \"_initialize\") (loop (br 0)))").into(), "start", "longer than its deadline of "),
        (fixture_text("loops.wat").into(), "probe", "GET / was not answered"),
        (fixture_text("panics.wat").into(), "probe", r#"out of \"cheese\""#),
        (answering(b"HTTP/1.1 500 Oh\n\n").into(), "probe",
            "GET / was answered 500 Internal Server Error; expected a status below 500"),
        (answering(b"HTTP/1.1 404 No\n\n").into(), "probe", "HEAD /a was answered 404 Not Found; expected 200"),
        (answering(b"nonsense").into(), "probe", "it does not begin with HTTP/1.1"),
    ];
    bad.extend((1..whole.len()).step_by(7).map(|length| (whole[..length].to_vec(), "", "")));
    for (index, (module, stage, cause)) in bad.into_iter().enumerate() {
        fs::write(file.path(), &module).unwrap();
        server.signal("HUP");
        let number = format!("rejected version {}: ", index + 2);
        let line = server.log_line(&[&number]);
        assert!(line.contains("WARN") && line.contains("serving=1"), "{line}");
        assert!(line.contains(&format!("stage={stage}")) && line.contains(cause), "{cause}: {line}");
        assert_eq!(client.ask("GET", "/").text(), "good");
    }
    fs::write(file.path(), &whole).unwrap();
    server.signal("HUP");
    server.log_line(&["serving version", "replaced=1", "stages=\"read "]);
    assert_eq!(client.ask("GET", "/").text(), "other");
}

#[test]
fn a_request_inside_the_old_module_finishes_on_it() {
    let flags = ["--deadline", "10min", "--probe", "GET /quick"];
    let (file, mut server) = of_file(fixture_text("is_slow.wat"), &flags);
    let mut client = server.asking("/slow");
    server.log_line(&["INFO handler: entered"]);
    rename_over(file.path(), saying("new"));
    swapped(&mut server, "new", 2);
    let reply = client.reply_to("GET");
    assert_eq!((reply.text(), reply.field("x-handler-version")), ("old", Some("1")));
    let reply = client.ask("GET", "/slow");
    assert_eq!((reply.text(), reply.field("x-handler-version")), ("new", Some("2")));
}

#[test]
fn a_swap_drops_nothing() {
    // With a short journal, because these clients leave the gate little time.
    let flags = ["--no-watch", "--log-level", "info,request=off", "--journal", "100"];
    let (file, server) = of_file(saying("odd"), &flags);
    let address = server.addresses[0];
    let done = AtomicBool::new(false);
    let is_done = || done.load(Relaxed);
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
            rename_over(file.path(), saying(if number % 2 == 1 { "odd" } else { "even" }));
            server.signal("HUP");
            let expected = number.to_string();
            while watcher.ask("GET", "/").field("x-handler-version") != Some(&expected) {}
        }
        done.store(true, Relaxed);
    });
}
