//! Modules that hoard state are called many times, and each answer is compared
//! with that of a new instance. Some of them the host puts back after a request,
//! and others it makes anew; that must not show.

use host::wasm::Effort;

use crate::harness::oracle::{Host, compare};
use crate::harness::{Random, fixture};

/// Each takes some 20 ms, in the dev profile.
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
    let wat = std::fs::read(fixture("scatters.wat")).unwrap();
    let module = host.start(&wat, Effort::Thorough).unwrap();
    let ask = |target: &str| host.call(&module, format!("GET /{target}!").as_bytes()).unwrap();
    let first = ask("aa");
    let mut random = Random::new(7);
    for number in 0..600 {
        // Much now and then, so that it is worth while to forget about it.
        let letter = if number % 150 == 20 { 'b' } else { char::from(b'c' + random.below(4) as u8) };
        let target = format!("{letter}{}", char::from(b'a' + random.below(26) as u8));
        assert_eq!(ask(&target), first, "request {number}, to /{target}");
    }
}
