//! `host check`: tells whether a module may serve, and why not.

use super::tool;
use crate::harness::modules::saying;
use crate::harness::{TextFile, fixture};
use crate::startup::bad_files;

fn check(file: impl AsRef<[u8]>) -> (i32, String) {
    let file = TextFile::new(file);
    let (code, stdout, stderr) = tool(&["check", file.path()]);
    assert_eq!(stderr, "");
    (code, stdout.replace(file.path(), "FILE"))
}

#[test]
fn check_says_what_is_wrong_and_what_helps() {
    for row in bad_files() {
        let (code, report) = check(&row.bytes);
        assert_eq!(code, 1, "{report}");
        assert!(report.starts_with("FILE: cannot serve\n"), "{report}");
        let line = |name: &str| report.lines().find_map(|line| line.strip_prefix(name)).expect(&report);
        row.says(line("  error       "));
        assert!(line("  remedy      ").contains(row.remedy), "expected {:?} in\n{report}", row.remedy);
    }
    let looping = fixture("loops_in_initialize.wat");
    let (code, report, _) = tool(&["check", &looping, "--deadline", "20ms"]);
    let remedy = "remedy      do less in `_initialize` or `configure`, or allow more time by --deadline";
    assert!(code == 1 && report.contains(remedy), "{report}");
}

#[test]
fn check_describes_a_module_that_can_serve() {
    let file = TextFile::new(host::site::version::EMBEDDED);
    let (code, report, _) = tool(&["check", file.path()]);
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

    let (code, report, _) = tool(&["check", "--json", file.path()]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["acceptable"], &report["error"]), (0, &true.into(), &serde_json::Value::Null));
    assert_eq!(report["memory_pages"]["initial"], 1);
    assert!(report["compile_quick_ms"].as_f64().unwrap() > 0.0 && report["start_ms"].is_f64(), "{report}");
}

#[test]
fn check_sends_probes() {
    let good = TextFile::new(saying("hi"));
    let (code, report, _) = tool(&["check", good.path(), "--probe", "GET / 200", "--probe", "HEAD /"]);
    assert!(code == 0 && report.contains("  probes      2 passed\n"), "{report}");
    let (code, report, _) = tool(&["check", good.path(), "--probe", "GET / 404"]);
    let error = "  error       GET / was answered 200 OK; expected 404\n  remedy      ";
    assert!(code == 1 && report.contains(error), "{report}");
    let file = TextFile::new("GET /\n\n> body: bye\n");
    let (code, report, _) = tool(&["check", good.path(), "--probe-file", file.path()]);
    assert!(code == 1 && report.contains("cannot serve"), "{report}");
}

#[test]
fn a_remedy_is_in_the_language_of_the_module() {
    let written_in = |language: &str| format!("(module (@producers (processed-by \"{language}\" \"1\")) ");
    for (language, export, stack) in [
        ("rustc", "handler_sdk::export!", "-zstack-size=16384, in build.rs"),
        ("clang", "export_name", "-Wl,-z,stack-size=16384"),
        ("Zig", "export fn", "--stack 16384"),
        ("TinyGo", "//go:wasmexport", "ldflags"),
        ("AssemblyScript", "export function NAME", "--initialMemory"),
    ] {
        let module = saying("hi").replace("(module", &written_in(language));
        let (_, report) = check(module.replace("\"handle\"", "\"handel\""));
        assert!(report.contains(export), "{language}: {report}");
        let (_, report) = check(module.replace("\"memory\") 1)", "\"memory\") 2000)"));
        assert!(report.contains(stack), "{language}: {report}");
    }
    let aborts = saying("hi").replace("(module", "(module (import \"env\" \"abort\" (func))");
    assert!(check(aborts).1.contains("compile with --use abort="));
}

#[test]
fn check_tells_the_whole_size_of_a_file_past_the_limit() {
    let file = TextFile::new(vec![b'x'; 300_000]);
    let (code, report, _) = tool(&["check", file.path(), "--module-max", "64KiB"]);
    assert!(code == 1 && report.contains("size        293.0 KiB"), "{report}");
}

#[test]
fn check_warns_with_a_remedy() {
    let debug_info = format!("(@custom \".debug_info\" \"{}\")", "x".repeat(100_000));
    let table = "(table 1 funcref) (func $swaps (table.set 0 (i32.const 0) (ref.null func)))";
    let no_reset = "each request gets a new instance, which is slower: table.set in swaps cannot be reset";
    for (pages, fields, warning, remedy) in [
        (
            17,
            "(global (mut i32) (i32.const 1048576))",
            "its stack takes 1 MiB, most of the 17 pages",
            "-zstack-size=16384",
        ),
        (
            40,
            "",
            "its memory starts at 40 pages (2.5 MiB)",
            "make large statics or the stack (-zstack-size) smaller",
        ),
        (1, "", "its functions have no names", "strip = \"debuginfo\""),
        (1, table, no_reset, "do not change tables"),
        (1, "(func (export \"_start\"))", "it looks like a program", "to `_initialize`"),
        (1, &debug_info, "97 KiB of debug information", "build with --release"),
    ] {
        let module = saying("hi").replace("(module", &format!("(module {fields}"));
        let module = module.replace("\"memory\") 1)", &format!("\"memory\") {pages})"));
        let (code, report) = check(&module);
        assert_eq!(code, 0, "{report}");
        let mut lines = report.lines();
        let is_told = |line: &str| line.starts_with("  warning     ") && line.contains(warning);
        assert!(lines.any(is_told), "{warning} in\n{report}");
        let next = lines.next().unwrap();
        assert!(next.starts_with("  remedy      ") && next.contains(remedy), "{remedy} in\n{report}");
    }
}
