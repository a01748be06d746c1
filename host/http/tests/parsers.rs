//! Tests the parsers alone, with the inputs that fuzzing found worth keeping and with random
//! changes of these inputs. The seed is fixed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod check;
mod inputs;

use std::path::Path;

#[test]
fn a_connection_is_read_alike_however_its_bytes_arrive() {
    inputs::for_each("requests", |bytes, below| {
        let pieces: Vec<usize> = (0..16).map(|_| 1 + below(40)).collect();
        check::messages(bytes, pieces);
    });
}

/// Cuts every input of the corpus in two at each byte. Changed copies of the inputs are not cut.
#[test]
fn a_connection_is_read_alike_wherever_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/requests");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check::every_cut(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 200, "{count} inputs");
}

#[test]
fn a_response_is_refused_or_one_that_http_allows() {
    inputs::for_each("responses", |bytes, _| check::response(bytes));
}

#[test]
fn a_trace_goes_on_from_a_valid_traceparent_only() {
    let inputs = [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000001-0000000000000001-00",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more",
        "fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
    ];
    inputs::changed(&inputs.map(|input| input.as_bytes().to_vec()), 20_000, |value, _| {
        check::traceparent(value);
    });
    let requests = [
        "GET / HTTP/1.1\r\nhost: a\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
         tracestate: a=1\r\nTraceState: b=2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: traceparent, tracestate\r\n\
         TraceParent: 01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x\r\ntracestate: a=1\r\n\r\n",
    ];
    inputs::changed(&requests.map(|input| input.as_bytes().to_vec()), 5_000, |bytes, _| {
        check::messages(bytes, [7]);
    });
}
