//! What one call of the handler costs, without HTTP: a fresh instance, the
//! request in, the response out.
//!
//! `cargo bench -p host --bench call`

#![allow(clippy::expect_used, missing_docs, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use clap::Parser;
use criterion::{Criterion, criterion_group, criterion_main};
use host::args::Args;
use host::request_id::RequestId;
use host::swap::EMBEDDED;
use host::wasm::{CompiledModule, Effort, Engine};

const REQUEST: &[u8] = b"GET /route HTTP/1.1\r\nhost: localhost:4444\r\nx-request-id: 1f3a9c07-2b-3\r\n\
    x-forwarded-for: 127.0.0.1\r\nx-request-time: 1795334400000\r\n\r\n";

/// Answers without looking at the request: what is left is the host's share.
const CONSTANT: &str = r#"(module (memory (export "memory") 1)
    (data (i32.const 0) "HTTP/1.1 200 OK\n\n<h1> hello route</h1>")
    (func (export "alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "handle") (param i32 i32) (result i64) (i64.const 38)))"#;

fn calls(criterion: &mut Criterion) {
    let limits = Args::parse_from(["host"]).serve.limits;
    let engine = Engine::new(&limits).expect("an engine");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("call");
    for (name, file) in [("default handler", EMBEDDED), ("constant", CONSTANT.as_bytes())] {
        let module = CompiledModule::new(&engine, file, Effort::Thorough).expect("a handler");
        let module = runtime.block_on(module.start()).expect("a start");
        module.wake();
        let request = [Bytes::from_static(REQUEST)];
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let since = Instant::now();
                    for _ in 0..times {
                        black_box(
                            module
                                .call(&request, RequestId::none(), Instant::now())
                                .end()
                                .await
                                .expect("a response"),
                        );
                    }
                    since.elapsed()
                })
            });
        });
    }
    group.bench_function("default handler, natively", |bencher| {
        let mut room = [0; 4096];
        bencher.iter(|| handler_sdk::respond(black_box(REQUEST), handler::answer).encode(&mut room));
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
