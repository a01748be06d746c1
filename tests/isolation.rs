//! Modules that hoard state are called many times, and each answer is compared
//! with that of a new instance. Some of them the host puts back after a request,
//! and others it makes anew; that must not show.

use host::wasm::Effort;

use crate::harness::oracle::{Host, compile, fresh};
use crate::harness::{Random, hoarder};

const MODULES: u64 = 150;
const REQUESTS: usize = 12;

/// Calls one module, chosen by these numbers, with requests chosen by them.
pub fn compare(host: &Host, below: &mut dyn FnMut(usize) -> usize) {
    let wat = hoarder::module(below);
    let reference = compile(&wat);
    let effort = if below(2) == 0 { Effort::Quick } else { Effort::Thorough };
    let module = match host.start(wat.as_bytes(), effort) {
        Ok(module) => module,
        Err(trap) => {
            assert_eq!(fresh(&reference, b"GET /"), Err(trap), "{wat}");
            return;
        }
    };
    for number in 0..REQUESTS {
        let target: String = (0..8).map(|_| char::from(b'!' + below(90) as u8)).collect();
        let request = format!("GET /{target} HTTP/1.1\r\n\r\n");
        let (expected, found) =
            (fresh(&reference, request.as_bytes()), host.call(&module, request.as_bytes()));
        assert_eq!(expected, found, "request {number}, {request:?}, to {wat}");
    }
}

#[test]
fn no_request_sees_what_another_one_wrote() {
    let host = Host::new();
    for seed in 1..=MODULES {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        compare(&host, &mut |end| random.below(end));
    }
}
