//! Instances start with the memory that `_initialize` has left, however large, and leave
//! nothing behind for the next instance in their slot of the pool.

use host_wasm::Effort;

use crate::harness::oracle::{Host, compile, fresh};
use crate::harness::{Random, Server, fixture_text};

/// Returns `digests.wat` with additional code in its `_initialize`.
fn module(initialize: &str) -> String {
    let count = "(global.set $count (i32.const 5))";
    fixture_text("digests.wat").replacen(count, &[count, initialize].concat(), 1)
}

/// Code that fills the memory of a module of 32 pages: nothing, little, much, everything,
/// two distant parts, and pages by which the memory has grown.
const FILLS: [&str; 6] = [
    "",
    "(memory.fill (i32.const 300) (i32.const 7) (i32.const 100000))",
    "(memory.fill (i32.const 70000) (i32.const 7) (i32.const 500000))",
    "(memory.fill (i32.const 0) (i32.const 7) (i32.const 2097152))",
    "(memory.fill (i32.const 128) (i32.const 7) (i32.const 70000))
     (memory.fill (i32.const 1900000) (i32.const 8) (i32.const 100000))",
    "(drop (memory.grow (i32.const 9))) (memory.fill (i32.const 2097100) (i32.const 7) (i32.const 589000))",
];

#[test]
fn every_instance_begins_with_the_image_and_leaves_nothing_behind() {
    // With few slots, each module gets slots that others have used.
    let host = Host::with(&["--instances", "1"], tokio::runtime::Builder::new_current_thread());
    let start = |wat: &str| host.start(wat.as_bytes(), Effort::Quick).unwrap();
    let mut random = Random::new(23);
    let started = FILLS.map(module).map(|wat| (start(&wat), compile(&wat)));
    for number in 0..400 {
        if number % 5 == 0 {
            let counts = start(&fixture_text("counts.wat"));
            assert_eq!(host.call(&counts, b"GET /").unwrap(), [0; 8], "something was left behind");
        }
        let (module, reference) = &started[random.below(started.len())];
        let what = ["a", "a", "a", "g", "f", "t"][random.below(6)];
        let request = format!("GET /{}{what}", char::from(b'0' + random.below(60) as u8));
        let (expected, found) = (fresh(reference, request.as_bytes()), host.call(module, request.as_bytes()));
        assert_eq!(expected, found, "request {number}, {request}");
        // A module that does not serve gives up its idle instances and their slots.
        module.set_serving(false);
        module.set_serving(true);
    }
}

#[test]
fn an_instance_that_is_used_again_has_the_image_again() {
    let host = Host::new();
    for fill in FILLS {
        let wat = module(fill);
        let (module, reference) = (host.start(wat.as_bytes(), Effort::Quick).unwrap(), compile(&wat));
        let expected = fresh(&reference, b"GET /0a");
        for number in 0..60u8 {
            let request = format!("GET /{}a", char::from(b'0' + number));
            assert_eq!(host.call(&module, request.as_bytes()), expected, "request {number} with {fill}");
        }
    }
}

#[test]
fn images_are_counted() {
    let host = Host::new();
    let bytes = |fill: &str| host.start(module(fill).as_bytes(), Effort::Quick).unwrap().image_bytes();
    assert!((1..100_000).contains(&bytes(FILLS[0])), "two pages and the data");
    assert!((2 << 20..3 << 20).contains(&bytes(FILLS[3])), "all of it");
}

#[test]
fn a_server_with_a_large_image_holds_it_once() {
    let module = module("(memory.fill (i32.const 128) (i32.const 7) (i32.const 41000000))");
    let server = Server::of_text(&module.replacen("32 52", "640 660", 1));
    let mut client = server.connect();
    let mut ask_many = || {
        for number in 0..60 {
            // A trap or a growth of memory makes the host create a new instance.
            let what = ["a", "t", "g"][number % 3];
            let status = client.ask("GET", &format!("/0{what}")).status;
            assert_eq!(status, if what == "t" { 500 } else { 502 });
        }
        server.resources()
    };
    ask_many();
    let early = ask_many();
    ask_many();
    server.settles_at(&early);
    assert!(early.resident_kib < 200_000, "{early:?}");
}
