//! A component takes the place of a module, and the other way round, as one module of another.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::harness::components::{hello, probe};
use crate::harness::modules::saying;
use crate::harness::{Configured, Deployment, Folder, rename_over};

#[test]
fn swaps_between_kinds_under_load_fail_no_request() {
    let place = Deployment::of(saying("module"));
    let server = place.start(&[]);
    let component = fs::read(hello()).unwrap();
    let (stop, address) = (AtomicBool::new(false), server.addresses[0]);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = crate::harness::Client::connect(address);
                    let mut seen = [0; 2];
                    while !stop.load(Relaxed) {
                        let reply = client.ask("GET", "/");
                        assert_eq!(reply.status, 200);
                        match reply.text() {
                            "module" => seen[0] += 1,
                            "component" => seen[1] += 1,
                            other => panic!("{other}"),
                        }
                    }
                    seen
                })
            })
            .collect();
        place.serves(&component, 2);
        assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
        assert!(place.tell(&["rollback", "2"]).starts_with("serving version 2"));
        place.serves(saying("module"), 3);
        place.serves(&component, 4);
        stop.store(true, Relaxed);
        for client in clients {
            let seen = client.join().unwrap();
            assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
        }
    });
}

#[test]
fn a_component_comes_back_after_a_restart() {
    let place = Deployment::of(fs::read(hello()).unwrap());
    let server = place.start(&[]);
    server.says("component", 1);
    place.serves(saying("module"), 2);
    assert!(place.tell(&["rollback"]).starts_with("serving version 1"));
    drop(server);
    let mut server = place.start(&[]);
    server.says("component", 1);
    rename_over(place.file(), saying("module three"));
    server.log_line(&["serving version 3"]);
    server.says("module three", 3);
}

#[test]
fn a_component_that_needs_more_than_is_granted_never_serves() {
    let place = Deployment::of(saying("module"));
    let server = place.start(&[]);
    let text = "(component (import \"wasi:keyvalue/store@0.2.0-draft\" (instance $i))
        (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    let printed = place.swap(text);
    assert!(printed.contains("check: needs wasi:keyvalue/store@0.2.0-draft: not granted"), "{printed}");
    server.says("module", 1);
}

#[test]
fn recent_requests_prove_a_component_and_random_bits_and_clocks_are_the_same_again() {
    let folder = Folder::new();
    let component = fs::read(probe()).unwrap();
    fs::write(folder.file("probe.wasm"), &component).unwrap();
    // The same component with a custom section `x` at its end.
    fs::write(folder.file("again.wasm"), [&component[..], &[0, 2, 1, b'x']].concat()).unwrap();
    fs::copy(hello(), folder.file("hello.wasm")).unwrap();
    let lines =
        "module = 'probe.wasm'\nno-probe = true\ngate = 'same'\ngate-time = '10min'\nwatch-after = '0s'\n";
    let place = Configured::start(folder, lines);
    let mut client = place.server.connect();
    for target in ["/random", "/clock", "/hello", "/env", "/trap-before"] {
        client.ask("GET", target);
    }
    let (code, printed) = place.run(&["diff", "again.wasm", "--json"]);
    assert_eq!(code, 0, "{printed}");
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["requests"], &report["counts"]["different"]), (&5.into(), &0.into()), "{report}");
    let (code, printed) = place.run(&["swap", "again.wasm"]);
    assert!(code == 0 && printed.starts_with("serving version 2"), "{printed}");
    let (code, printed) = place.run(&["swap", "hello.wasm"]);
    assert!(code == 1 && printed.contains("replay: "), "{printed}");
    assert_eq!(place.server.connect().ask("GET", "/hello").text(), "hello");
}
