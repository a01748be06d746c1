use super::tool;
use crate::harness::modules::saying;
use crate::harness::{TextFile, fixture};

fn check(file: impl AsRef<[u8]>) -> (i32, String) {
    let file = TextFile::new(file);
    let (code, stdout, stderr) = tool(&["check".as_ref(), file.path().as_os_str()]);
    assert_eq!(stderr, "");
    (code, stdout.replace(file.path().to_str().unwrap(), "FILE"))
}

/// A module of the contract, with one of its parts replaced.
fn module_with(part: &str, other: &str) -> String {
    let whole = saying("hi");
    assert!(whole.contains(part), "{part} in {whole}");
    whole.replace(part, other)
}

#[test]
fn check_says_what_is_wrong_and_what_helps() {
    let memory = "(memory (export \"memory\") 1)";
    let alloc = "(export \"alloc\")";
    let begin = "(module ";
    for (file, error, remedy) in [
        (String::new(), "it is empty; expected a WebAssembly module", "build it again"),
        (
            "#!/bin/sh".into(),
            "it is a text file that is not WebAssembly text",
            "name the .wasm file that cargo build",
        ),
        ("(component)".into(), "it is a WebAssembly component", "without the step that makes a component"),
        (
            "(module (funk))".into(),
            "its WebAssembly text is wrong: expected valid module field (at 1:10)",
            "fix the text",
        ),
        (
            "(module (func (result i32)))".into(),
            "it is not a valid WebAssembly module: ",
            "build it again, without WebAssembly features",
        ),
        (
            module_with(memory, "(memory 1)"),
            "it has no export `memory`; expected a memory",
            "export it: (memory",
        ),
        (
            module_with(alloc, ""),
            "it has no export `alloc`; expected a function (i32) -> i32",
            "handler_sdk::export!(answer)",
        ),
        (
            module_with(alloc, "(export \"handle\") (export \"alloc\")").replacen(
                "(export \"handle\") (param i32 i32)",
                "(param i32 i32)",
                1,
            ),
            "its export `handle` is a function (i32) -> i32; expected a function (i32, i32) -> i64",
            "give the function that type, or another name",
        ),
        (
            module_with(begin, "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func))"),
            "it imports `fd_write` from `wasi_snapshot_preview1`, which is not offered",
            "rather than WASI",
        ),
        (
            module_with(begin, "(module (import \"__wbindgen_placeholder__\" \"x\" (func))"),
            "which is not offered",
            "remove wasm-bindgen",
        ),
        (
            module_with(begin, "(module (import \"env\" \"x\" (func))"),
            "it imports `x` from `env`",
            "find the code that declares it",
        ),
        (
            module_with(begin, "(module (import \"host\" \"log\" (func))"),
            "it imports `log` from `host` as a function ()",
            "declare the import with that type",
        ),
        (
            module_with(memory, "(memory (export \"memory\") 2000)"),
            "its memory starts at 131072000 bytes",
            "-zstack-size=16384",
        ),
        (
            module_with(begin, "(module (table 70000 funcref)"),
            "it needs more than an instance may have",
            "make its memory or its tables smaller",
        ),
        (
            module_with(begin, "(module (start $f) (func $f unreachable)"),
            "the module does not start: wasm trap: wasm `unreachable`",
            "fix the start function",
        ),
    ] {
        let (code, report) = check(&file);
        assert_eq!(code, 1, "{report}");
        assert!(report.starts_with("FILE: cannot serve\n  error       "), "{report}");
        let line = |name: &str| report.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        assert!(line("error ").contains(error), "expected {error:?} in\n{report}");
        assert!(line("remedy ").contains(remedy), "expected {remedy:?} in\n{report}");
    }
    let looping = fixture("loops_in_initialize.wat");
    let (code, report, _) =
        tool(&["check".as_ref(), looping.as_os_str(), "--deadline".as_ref(), "20ms".as_ref()]);
    assert_eq!(code, 1);
    assert!(
        report.contains("remedy      do less in `_initialize`, or allow more time by --deadline"),
        "{report}"
    );
}

#[test]
fn check_describes_a_module_that_can_serve() {
    let file = TextFile::new(host::site::version::EMBEDDED);
    let (code, report, _) = tool(&["check".as_ref(), file.path().as_os_str()]);
    assert_eq!(code, 0, "{report}");
    for line in [
        ": can serve\n",
        "  exports     memory, alloc, handle, panic_message",
        "  imports     none\n",
        "  memory      1 page (64.0 KiB) initially, no maximum of its own\n",
        "  instances   reset after each request\n",
        ", name ",
    ] {
        assert!(report.contains(line), "{line:?} in\n{report}");
    }
    assert!(!report.contains("warning"), "{report}");

    let (code, report, _) = tool(&["check".as_ref(), "--json".as_ref(), file.path().as_os_str()]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["acceptable"], &report["error"]), (0, &true.into(), &serde_json::Value::Null));
    assert_eq!(report["memory_pages"]["initial"], 1);
    assert!(report["compile_quick_ms"].as_f64().unwrap() > 0.0 && report["start_ms"].is_f64(), "{report}");
}

#[test]
fn check_warns_with_a_remedy() {
    let stack = "(module (global (mut i32) (i32.const 1048576)) ";
    let table = "(module (table 1 funcref) (func $swaps (table.set 0 (i32.const 0) (ref.null func))) ";
    for (module, warning, remedy) in [
        (
            module_with("(module ", stack).replace("\"memory\") 1)", "\"memory\") 17)"),
            "its stack takes 1 MiB, most of the 17 pages",
            "-zstack-size=16384",
        ),
        (
            module_with("\"memory\") 1)", "\"memory\") 40)"),
            "its memory starts at 40 pages (2.5 MiB)",
            "make large statics or the stack (-zstack-size) smaller",
        ),
        (saying("hi"), "its functions have no names", "strip = \"debuginfo\""),
        (
            module_with("(module ", table),
            "each request gets a new instance, which is slower: table.set in swaps cannot be reset",
            "do not change tables",
        ),
        (
            module_with("(module ", "(module (func (export \"_start\"))"),
            "it looks like a program",
            "to `_initialize`",
        ),
        (
            module_with(
                "(module ",
                &format!("(module (@custom \".debug_info\" \"{}\")", "x".repeat(100_000)),
            ),
            "97 KiB of debug information",
            "build with --release",
        ),
    ] {
        let (code, report) = check(&module);
        assert_eq!(code, 0, "{report}");
        let mut lines = report.lines();
        assert!(
            lines.any(|line| line.starts_with("  warning     ") && line.contains(warning)),
            "{warning} in\n{report}"
        );
        let next = lines.next().unwrap();
        assert!(next.starts_with("  remedy      ") && next.contains(remedy), "{remedy} in\n{report}");
    }
}
