//! Isolation: no request sees what another one wrote. Modules that keep state are called
//! many times, and each response is compared with that of a new instance. The host resets
//! some instances and replaces others; responses must not depend on which.

use std::sync::Arc;
use std::time::Duration;

use host_http::message::Message;
use host_wasm::Effort;

use crate::harness::oracle::{Host, call, compare};
use crate::harness::{Random, Server, fixture_text};

/// Number of modules. Each takes about 20 ms in the dev profile.
const MODULES: u64 = 150;

#[test]
fn no_request_sees_what_another_one_wrote() {
    let host = Host::new();
    for seed in 1..=MODULES {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        compare(&host, &mut |end| random.below(end));
    }
}

#[test]
fn memory_is_as_it_was_wherever_and_however_much_was_written() {
    let host = Host::new();
    let module = host.start(fixture_text("scatters.wat").as_bytes(), Effort::Thorough).unwrap();
    let ask = |target: &str| host.call(&module, format!("GET /{target}!").as_bytes()).unwrap();
    let first = ask("aa");
    let mut random = Random::new(7);
    for number in 0..600 {
        // Writes much now and then, so that the host discards pages instead of restoring
        // each from a copy.
        let letter = if number % 150 == 20 { 'b' } else { char::from(b'c' + random.below(4) as u8) };
        let target = format!("{letter}{}", char::from(b'a' + random.below(26) as u8));
        assert_eq!(ask(&target), first, "request {number}, to /{target}");
    }
}

#[test]
fn calls_at_once_and_calls_that_are_given_up_leave_nothing_behind() {
    // Has fewer instances than threads, so that calls wait for each other.
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(4);
    let host = Host::with(&["--instances", "2", "--queue", "1000", "--queue-timeout", "1min"], threads);
    let start = || host.start(fixture_text("mixed.wat").as_bytes(), Effort::Quick).unwrap();
    let module = Arc::new(start());
    let calls_of_kinds = async |kinds: std::ops::Range<usize>| {
        let mut calls = tokio::task::JoinSet::new();
        let mut random = Random::new(3);
        for _ in 0..400 {
            let module = Arc::clone(&module);
            let kind = kinds.start + random.below(kinds.len());
            calls.spawn(async move {
                let target = ["l", "t", "h"].get(kind).unwrap_or(&"fine");
                let request = Message::from(format!("GET /{target} HTTP/1.1\r\n\r\n").into_bytes());
                let call = call(&module, &request).end();
                // An endless call is cancelled while it is inside the module.
                match tokio::time::timeout(Duration::from_secs(if kind == 0 { 0 } else { 60 }), call).await {
                    Ok(Ok(response)) => assert_eq!(response, "HTTP/1.1 200 OK\n\n0"),
                    Ok(Err(failure)) => assert!(kind == 1, "{failure}"),
                    Err(_) => assert_eq!(kind, 0),
                }
            });
        }
        calls.join_all().await;
    };
    // Without endless calls, most calls end on their thread's stack. With endless calls,
    // many calls yield.
    host.runtime.block_on(calls_of_kinds(1..20));
    host.runtime.block_on(calls_of_kinds(0..20));
    // Slots must be left for a candidate, beside those of idle instances.
    start();
}

#[test]
fn writes_all_over_a_memory_leave_few_mappings() {
    let server = Server::of("scatters.wat");
    let mut client = server.connect();
    let mut random = Random::new(5);
    let mut ask_many = || {
        for _ in 0..300 {
            let [a, b] = [(); 2].map(|()| char::from(b'a' + random.below(26) as u8));
            assert_eq!(client.ask("GET", &format!("/{a}{b}")).status, 200);
        }
        server.resources().mappings
    };
    let (early, late) = (ask_many(), ask_many());
    // Allows a change of 200 mappings: an instance may have 64 separate ranges, with two
    // mappings each.
    assert!(late <= early + 200, "{early} -> {late}");
}
