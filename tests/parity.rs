//! The default handler gives the same response natively and as the embedded module.

use host::site::version::EMBEDDED;
use host_wasm::{Effort, Handler};

use crate::answers::TABLE;
use crate::harness::Random;
use crate::harness::oracle::Host;

/// The embedded module, called without a server.
struct Module {
    host: Host,
    module: Handler,
}

impl Module {
    fn new() -> Module {
        let host = Host::new();
        let module = host.start(EMBEDDED, Effort::Thorough).unwrap();
        Module { host, module }
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        self.host.call(&self.module, request).unwrap()
    }
}

fn natively(request: &[u8]) -> Vec<u8> {
    let response = handler_sdk::respond(request, handler::answer);
    let mut bytes = vec![0; response.encoded_len()];
    assert_eq!(response.encode(&mut bytes), Some(bytes.len()));
    bytes
}

#[track_caller]
fn agree(module: &Module, request: &[u8]) {
    let (native, wasm) = (natively(request), module.answer(request));
    let [native, wasm, about] = [&native[..], &wasm, request].map(|bytes| bytes.escape_ascii().to_string());
    assert_eq!(native, wasm, "{about}");
}

#[test]
fn the_table_is_answered_alike_natively_and_through_webassembly() {
    let module = Module::new();
    for (method, target, status, reason, _, page) in TABLE {
        let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        agree(&module, request.as_bytes());
        let response = String::from_utf8(natively(request.as_bytes())).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} {reason}\r\n")), "{response}");
        assert!(response.ends_with(&format!("\r\n\r\n{page}")), "{response}");
    }
}

#[test]
fn a_request_larger_than_the_memory_is_answered_alike() {
    let module = Module::new();
    for length in [40_000, 65_536, 1_048_576, 16 << 20] {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
        agree(&module, &[head.into_bytes(), vec![b'x'; length]].concat());
    }
}

#[test]
fn a_malformed_request_is_an_answer_and_never_a_trap() {
    let module = Module::new();
    let sound = b"GET /route?a=b HTTP/1.1\r\nhost: a\r\ncookie: c=d\r\ncontent-length: 2\r\n\r\nhi";
    let line = sound.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in 0..sound.len() {
        agree(&module, &sound[..length]);
        // The SDK checks only the request line, because the host has checked the rest.
        let status: &[u8] = if length < line { b"400 Bad Request" } else { b"200 OK" };
        assert!(natively(&sound[..length]).starts_with(&[b"HTTP/1.1 ", status, b"\r\n"].concat()));
    }
    // Tries valid requests with a few bytes changed, dropped or doubled, the same in every
    // run.
    let mut random = Random::new(0x5eed);
    for _ in 0..5_000 {
        let mut request = sound.to_vec();
        for _ in 0..=random.below(3) {
            let place = random.below(request.len());
            match random.below(3) {
                0 => request[place] = b"\0\t\r\n :/?%aZ09\x7f\x80\xff"[random.below(16)],
                1 => drop(request.remove(place)),
                _ => request.insert(place, request[place]),
            }
        }
        agree(&module, &request);
    }
}

#[test]
fn the_module_is_small_and_needs_nothing() {
    assert!(EMBEDDED.len() <= 16 * 1024, "{} bytes", EMBEDDED.len());
    let mut pages = None;
    for part in wasmparser::Parser::new(0).parse_all(EMBEDDED) {
        match part.unwrap() {
            wasmparser::Payload::ImportSection(imports) => assert_eq!(imports.count(), 0),
            wasmparser::Payload::MemorySection(memories) => {
                pages = memories.into_iter().map(|memory| memory.unwrap().initial).reduce(|_, _| u64::MAX);
            }
            _ => {}
        }
    }
    assert_eq!(pages, Some(1), "one memory, which starts with one page");
}
