//! The tools for authors know components.

use std::fs;

use super::probe;
use crate::harness::components::hello;
use crate::harness::{Folder, Server, TextFile, wait_until};
use crate::tools::tool;

#[test]
fn check_says_that_it_is_a_component_and_what_it_gets() {
    let (code, report, stderr) = tool(&["check", &hello()]);
    assert_eq!((code, &*stderr), (0, ""), "{report}");
    for text in [
        ": can serve\n",
        "  kind        wasi:http component\n",
        "  exports     wasi:http/incoming-handler@0.2.",
        " (granted)",
        "wasi:cli/environment@0.2.",
        "  instances   created anew for each request\n",
    ] {
        assert!(report.contains(text), "{text:?} in\n{report}");
    }
    assert!(!report.contains("warning"), "{report}");
    let (_, report, _) = tool(&["check", &probe(), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["kind"], &report["acceptable"]), (&"component".into(), &true.into()), "{report}");
    let imports = report["imports"].as_array().unwrap();
    let is_denied = |import: &serde_json::Value| {
        import.as_str().unwrap().starts_with("wasi:http/outgoing-handler")
            && import.as_str().unwrap().ends_with("(refuses everything)")
    };
    assert!(imports.iter().any(is_denied), "{report}");
    let text = "(component (import \"wasi:keyvalue/store@0.2.0-draft\" (instance $i)) \
        (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    let (code, report, _) = tool(&["check", TextFile::new(text).path()]);
    assert!(code == 1 && report.contains("wasi:keyvalue/store@0.2.0-draft (not granted)"), "{report}");
}

#[test]
fn call_and_test_call_a_component_and_equal_seeds_give_equal_answers() {
    let (code, stdout, stderr) = tool(&["call", &probe(), "/hello"]);
    assert_eq!((code, &*stdout), (0, "hello"), "{stderr}");
    assert!(stderr.contains("answered 200 OK with 5 bytes") && stderr.contains("created anew"), "{stderr}");
    let (code, _, stderr) = tool(&["call", &probe(), "/trap-mid"]);
    assert!(
        code == 1 && stderr.starts_with("panic: in the middle at probe/src/lib.rs:")
            || stderr.contains("\npanic: in the middle at probe/src/lib.rs:"),
        "{stderr}"
    );
    let with_seed = |seed: &str, target: &str| {
        let (code, stdout, stderr) = tool(&["call", &probe(), target, "--seed", &seed.repeat(32)]);
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    assert_eq!(with_seed("ab", "/random"), with_seed("ab", "/random"));
    assert_ne!(with_seed("ab", "/random"), with_seed("cd", "/random"));
    let requests = TextFile::new("GET /hello\n\n> 200\n> body: hello\n");
    let (code, stdout, _) = tool(&["test", &probe(), requests.path()]);
    assert!(code == 0 && stdout.contains("1 passed, 0 failed"), "{stdout}");
}

#[test]
fn a_recorded_fault_of_a_component_is_replayed_as_it_was() {
    let folder = Folder::new();
    let records = folder.path("records");
    let server = Server::with(&[&probe(), "--record", &records]);
    let mut client = server.connect();
    for target in ["/trap-before", "/none", "/trap-mid"] {
        assert!(client.ask("GET", target).status >= 500);
    }
    wait_until("the requests are recorded", || fs::read_dir(&records).is_ok_and(|found| found.count() == 3));
    drop(server);
    let (code, stdout, stderr) = tool(&["replay", &records, "--module", &probe()]);
    assert!(code == 0 && stdout.contains("3 as recorded, 0 otherwise"), "{stdout}{stderr}");
}
