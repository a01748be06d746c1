//! Admission: at most as many calls run at once as there are instances, and short
//! calls run beside long ones.

use std::pin::pin;
use std::task::{Context, Waker};

use host_http::message::Message;
use host_wasm::{Call, CallError, Effort};

use crate::harness::oracle::{Host, call};
use crate::harness::{Server, fixture_text};

fn request(target: &str) -> Message {
    format!("GET {target} HTTP/1.1\r\n\r\n").into_bytes().into()
}

#[test]
fn a_short_call_is_over_at_once_while_a_long_one_has_the_place_of_long_ones() {
    let flags = ["--instances", "2", "--deadline", "1h", "--queue-timeout", "1h"];
    let host = Host::with(&flags, tokio::runtime::Builder::new_current_thread());
    let mixed = fixture_text("mixed.wat");
    let says_http = "(func (export \"panic_message\") (result i64) (i64.const 4)))";
    let mixed = mixed.trim_end().strip_suffix(')').unwrap().to_owned() + says_http;
    let start = |wat: &[u8]| host.start(wat, Effort::Quick).unwrap();
    // On a busy machine a short call can take too long and count as a long one, but
    // hardly three times in a row.
    let attempts = [(); 3].map(|()| start(mixed.as_bytes()));
    for module in &attempts {
        host.call(module, b"GET /fine HTTP/1.1\r\n\r\n").unwrap();
    }
    let endless = start(fixture_text("loops.wat").as_bytes());
    let _inside = host.runtime.enter();
    let (anything, fine, trap) = (request("/"), request("/fine"), request("/t"));
    let mut endless = pin!(call(&endless, &anything).end());
    assert!(endless.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());

    let is_over = attempts.iter().any(|module| match call(module, &fine) {
        Call::Over(response) => {
            assert_eq!(response.unwrap(), "HTTP/1.1 200 OK\n\n0");
            // A trap is over at once, too, although its panic message is read.
            match call(module, &trap) {
                Call::Over(Err(CallError::Trap { panic, .. })) => assert_eq!(panic.as_deref(), Some("HTTP")),
                Call::Over(other) => panic!("{other:?}"),
                Call::Running(_) => return false,
            }
            true
        }
        Call::Running(_) => false,
    });
    assert!(is_over);
}

#[test]
fn more_threads_than_instances_and_cores_answer_all() {
    let flags = ["--threads", "16", "--instances", "2", "--queue", "1000", "--queue-timeout", "1min"];
    let server = Server::with(&flags);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let mut client = server.connect();
            scope.spawn(move || {
                for _ in 0..40 {
                    assert_eq!(client.ask("GET", "/route").status, 200);
                }
            });
        }
    });
}
