//! Tests of values: they reach a module before its first request, do not change between requests,
//! and are masked in what the module logs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use host_http::message::Message;
use host_http::request_id::RequestId;
use host_wasm::{CallError, CallLimits, CompiledHandler, Effort, Engine, Handler, ModuleError, Values};
use tracing::field::{Field, Visit};
use tracing::span;

const CONFIGURES: &str = include_str!("../../../tests/fixtures/configures.wat");
const WORKS: &str = include_str!("../../../tests/fixtures/works.wat");

/// Secret value: its name, its text, and that it is a secret.
const KEY: (&str, &str, bool) = ("KEY", "hunter2 and hunter2", true);

fn compile(module: &str) -> Result<CompiledHandler, ModuleError> {
    compile_with(module, &CallLimits::default())
}

fn compile_with(module: &str, limits: &CallLimits) -> Result<CompiledHandler, ModuleError> {
    CompiledHandler::compile_here(&Engine::new(limits).unwrap(), module.as_bytes(), Effort::Quick)
}

fn values(values: &[(&str, &str, bool)]) -> Arc<Values> {
    Arc::new(Values::new(values.iter().copied()).unwrap())
}

/// Returns the fixture `CONFIGURES` with a function that writes to a table, so that its instances
/// cannot be reset.
fn not_resettable() -> String {
    let changes = "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))";
    CONFIGURES.trim_end().strip_suffix(')').unwrap().to_owned() + changes + ")"
}

async fn start(module: &str, given: &[(&str, &str, bool)]) -> Handler {
    let started = compile(module).unwrap().start(values(given)).await.unwrap();
    // Only a serving module keeps its instances from one call to the next.
    started.set_serving(true);
    started
}

async fn call(module: &Handler, path: &str) -> Result<String, CallError> {
    let request = Message::from(format!("GET {path} HTTP/1.1\r\n\r\n").into_bytes());
    let response = module.call(&request, RequestId::none(), Instant::now()).end().await?;
    let text = String::from_utf8(response.to_vec()).unwrap();
    Ok(text.strip_prefix("HTTP/1.1 200 OK\n\n").unwrap().to_owned())
}

#[tokio::test]
async fn a_module_gets_its_values_after_initialize() {
    let given = [("NAME", "wörld", false), ("A", "1", true)];
    let expected = "1A\x001\0NAME\0wörld\0";
    let module = start(CONFIGURES, &given).await;
    assert!(module.resets_instances() && module.compiled().takes_values());
    assert_eq!(call(&module, "/").await.unwrap(), expected);
    assert_eq!(module.values(), &values(&given));
    // The same code serves with other values.
    let other = module.compiled().start_quietly(values(&[("B", "2", false)])).await.unwrap();
    assert_eq!(call(&other, "/").await.unwrap(), "1B\x002\0");
    assert_eq!(call(&module, "/").await.unwrap(), expected);
}

#[tokio::test]
async fn a_module_is_configured_without_values_too() {
    for module in [CONFIGURES, &not_resettable()] {
        assert_eq!(call(&start(module, &[]).await, "/").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn a_module_that_takes_no_values_starts_with_values() {
    assert!(!compile(WORKS).unwrap().takes_values());
    let module = start(WORKS, &[KEY]).await;
    assert_eq!(call(&module, "/").await.unwrap(), "done");
}

#[tokio::test]
async fn a_request_that_overwrites_values_does_not_affect_the_next() {
    for module in [CONFIGURES, &not_resettable()] {
        let module = start(module, &[("A", "text", false)]).await;
        assert_eq!(module.resets_instances(), module.image_bytes() > 0);
        for _ in 0..3 {
            assert_eq!(call(&module, "/overwrite").await.unwrap(), "1XXXXXXX");
            assert_eq!(call(&module, "/").await.unwrap(), "1A\0text\0");
        }
    }
}

#[tokio::test]
async fn a_trap_while_values_are_taken_fails_the_start_with_its_text() {
    for module in [CONFIGURES, &not_resettable()] {
        let given = [("F", "because", false), KEY];
        let error = compile(module).unwrap().start(values(&given)).await.err().unwrap().to_string();
        assert!(
            error.starts_with(r"panic: F\u{0}because\u{0}KEY\u{0}[secret KEY]\u{0}; wasm trap"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_deadline_that_passes_while_values_are_taken_fails_the_start() {
    let loops =
        CONFIGURES.replace("(i32.const 0x4c)) (then (call $say))", "(i32.const 0x4c)) (then (loop (br 0)))");
    assert_ne!(loops, CONFIGURES);
    let limits = CallLimits { deadline: std::time::Duration::from_millis(50), ..CallLimits::default() };
    let started = compile_with(&loops, &limits).unwrap().start(values(&[("L", "", false)])).await;
    assert!(matches!(started.err(), Some(CallError::Deadline { .. })));
}

#[tokio::test]
async fn values_without_room_or_at_a_bad_address_fail_the_start() {
    let alloc = "(global.get $free)\n    (global.set";
    for (address, expected) in [
        ("0", "`alloc` has no room for the 4 bytes of its values"),
        ("-1", "its export `alloc` returned a bad address: address 0xffffffff + 4 bytes"),
        ("262141", "its export `alloc` returned a bad address: address 0x3fffd + 4 bytes"),
    ] {
        let module = CONFIGURES.replace(alloc, &format!("(i32.const {address})\n    (global.set"));
        assert_ne!(module, CONFIGURES);
        let started = compile(&module).unwrap().start(values(&[("A", "1", false)])).await;
        let error = started.err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
        // No values need no room.
        assert_eq!(compile(&module).unwrap().start(Arc::default()).await.is_ok(), address != "-1");
    }
}

#[test]
fn another_signature_is_refused() {
    let module = "(module (memory (export \"memory\") 1)
        (func (export \"alloc\") (param i32) (result i32) (i32.const 8))
        (func (export \"handle\") (param i32 i32) (result i64) (i64.const 0))
        (func (export \"configure\") (param i32)))";
    let error = compile(module).err().unwrap();
    assert!(error.is_about_the_contract());
    assert_eq!(
        error.to_string(),
        "its export `configure` is a function (i32); expected a function (i32, i32)"
    );
    let error = compile(&module.replace(
        "(func (export \"configure\") (param i32))",
        "(global (export \"configure\") i32 (i32.const 0))",
    ));
    assert_eq!(
        error.err().unwrap().to_string(),
        "its export `configure` is a global; expected a function (i32, i32)"
    );
}

#[tokio::test]
async fn secrets_are_masked_in_panics() {
    for module in [CONFIGURES, &not_resettable()] {
        let module = start(module, &[KEY, ("A", "visible", false)]).await;
        for _ in 0..2 {
            let Err(CallError::Trap { panic, .. }) = call(&module, "/trap").await else { panic!() };
            assert_eq!(panic.as_deref(), Some(r"A\u{0}visible\u{0}KEY\u{0}[secret KEY]\u{0}"));
        }
    }
}

#[tokio::test]
async fn secrets_are_masked_in_log_lines() {
    let lines = Lines::default();
    let _kept = tracing::subscriber::set_default(lines.clone());
    for module in [CONFIGURES, &not_resettable()] {
        let module = start(module, &[("L", "visible", false), KEY]).await;
        let expected = "KEY\0[secret KEY]\0L\0visible\0";
        for _ in 0..2 {
            call(&module, "/log").await.unwrap();
            assert_eq!(lines.take(), [expected]);
        }
        let module = module.compiled().start(values(&[("L", "a secret of the start", true)])).await.unwrap();
        assert_eq!(lines.take(), ["L\0[secret L]\0"]);
        assert_eq!(call(&module, "/log").await.unwrap(), "1L\0a secret of the start\0");
        assert_eq!(lines.take(), ["L\0[secret L]\0"]);
    }
}

#[tokio::test]
async fn a_log_line_that_is_cut_has_no_part_of_a_secret() {
    let lines = Lines::default();
    let _kept = tracing::subscriber::set_default(lines.clone());
    let secret = "0123456789".repeat(20);
    for line_max in [1, 5, 10, 50, 150, 300] {
        let limits = CallLimits { log_line_max: line_max, ..CallLimits::default() };
        let given = [("A", &*secret, true), ("B", "text", false), ("C", &*secret, true)];
        let module = compile_with(CONFIGURES, &limits).unwrap().start(values(&given)).await.unwrap();
        call(&module, "/log").await.unwrap();
        let line = lines.take().concat();
        assert!(!line.contains("0123"), "{line_max}: {line}");
        assert!(line.contains("text") || line.ends_with('…'), "{line_max}: {line}");
    }
}

/// Subscriber that keeps the messages of the handler's log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "handler"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                if field.name() == "message" {
                    write!(self.0, "{value:?}").unwrap();
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lines")
    }
}
