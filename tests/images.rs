//! Modules whose memory is large after `_initialize`, and modules that later get
//! their slots in the pool.

use host_wasm::{Effort, HandlerModule};

use crate::harness::oracle::{Host, compile, fresh};
use crate::harness::{Random, Server};

/// Returns a module of some pages, part of which it fills first. A request names a
/// page and an action, by a letter each behind `GET /`. The module answers with a
/// digest of every tenth word of its memory, and changes the page.
fn module(pages: usize, initialize: &str) -> String {
    format!(
        r#"(module (memory (export "memory") {pages} {max})
  (data (i32.const 131072) "some data") (data (i32.const {behind}) "more data")
  (global $count (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $count (i32.const 5)) {initialize})
  (func (export "alloc") (param i32) (result i32) (i32.const 64))
  (func $digest (result i64) (local $sum i64) (local $i i32)
    (local.set $sum (i64.extend_i32_u (i32.add (memory.size) (global.get $count))))
    (local.set $i (i32.const 128))
    (loop $next
      (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 1099511628211)) (i64.load (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 80)))
      (br_if $next (i32.lt_u (local.get $i) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8)))))
    (local.get $sum))
  (func (export "handle") (param $at i32) (param $length i32) (result i64) (local $to i32) (local $what i32)
    (local.set $to (i32.mul (i32.const 65536)
      (i32.rem_u (i32.load8_u (i32.add (local.get $at) (i32.const 5))) (memory.size))))
    (local.set $what (i32.load8_u (i32.add (local.get $at) (i32.const 6))))
    (i64.store (i32.const 0) (call $digest))
    (global.set $count (i32.const 9))
    (i64.store offset=160 (local.get $to) (i64.const -1))
    (if (i32.eq (local.get $what) (i32.const 103)) (then (drop (memory.grow (i32.const 1)))
      (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 80)) (i32.const 7))))
    (if (i32.eq (local.get $what) (i32.const 102))
      (then (memory.fill (i32.const 128) (i32.const 9) (i32.const {fill}))))
    (if (i32.eq (local.get $what) (i32.const 116)) (then unreachable))
    (i64.const 8)))"#,
        max = pages + 20,
        behind = (pages << 16) - 100,
        fill = (pages << 16) - 200,
    )
}

/// A module that counts its bytes that are not zero, apart from the request.
const COUNTS: &str = r#"(module (memory (export "memory") 40)
  (func (export "alloc") (param i32) (result i32) (i32.const 64))
  (func (export "handle") (param i32 i32) (result i64) (local $i i32) (local $found i64)
    (local.set $i (i32.const 128))
    (loop $next
      (if (i64.ne (i64.load (local.get $i)) (i64.const 0))
        (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 2621440))))
    (i64.store (i32.const 0) (local.get $found))
    (memory.fill (i32.const 128) (i32.const 3) (i32.const 2000000))
    (i64.const 8)))"#;

/// What a module of 32 pages fills: nothing, little, much, everything, two distant
/// parts, and pages that it has grown by.
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
    // With one slot, each module gets the slot of the others.
    let host = Host::with(&["--instances", "1"], tokio::runtime::Builder::new_current_thread());
    let modules: Vec<_> = FILLS.map(|fill| module(32, fill)).into_iter().collect();
    let start = |wat: &str| host.start(wat.as_bytes(), Effort::Quick).unwrap();
    let mut random = Random::new(23);
    let started: Vec<(HandlerModule, _)> = modules.iter().map(|wat| (start(wat), compile(wat))).collect();
    for number in 0..400 {
        if number % 5 == 0 {
            let counts = start(COUNTS);
            assert_eq!(host.call(&counts, b"GET /").unwrap(), [0; 8], "something was left behind");
        }
        let (module, reference) = &started[random.below(started.len())];
        let what = ["a", "a", "a", "g", "f", "t"][random.below(6)];
        let request = format!("GET /{}{what}", char::from(b'0' + random.below(60) as u8));
        let (expected, found) = (fresh(reference, request.as_bytes()), host.call(module, request.as_bytes()));
        assert_eq!(expected, found, "request {number}, {request}");
        // An idle module gives up its slots.
        module.set_serving(false);
        module.set_serving(true);
    }
}

#[test]
fn an_instance_that_is_used_again_has_the_image_again() {
    let host = Host::new();
    for fill in FILLS {
        let wat = module(32, fill);
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
    let bytes = |fill: &str| host.start(module(32, fill).as_bytes(), Effort::Quick).unwrap().image_bytes();
    assert!((1..100_000).contains(&bytes(FILLS[0])), "two pages and the data");
    assert!((2 << 20..3 << 20).contains(&bytes(FILLS[3])), "all of it");
}

#[test]
fn a_server_with_a_large_image_holds_it_once() {
    let server =
        Server::of_text(&module(640, "(memory.fill (i32.const 128) (i32.const 7) (i32.const 41000000))"));
    let mut client = server.connect();
    let mut ask_many = || {
        for number in 0..60 {
            // Traps and growth force new instances.
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
