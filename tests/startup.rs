use std::net::TcpListener;

use crate::harness::modules;
use crate::harness::{Server, TextFile, fails_to_start, host, output_of};

/// Starts with a bad module, and checks the one line that says why.
fn refused(file: impl AsRef<[u8]>, complaint: &str) {
    let file = TextFile::new(file);
    let path = file.path().display();
    assert_eq!(fails_to_start(&[file.path()]), format!("error: cannot serve {path}: {complaint}"));
}

/// Returns a module of the contract with one export replaced.
fn without(export: &str, other: &str) -> String {
    let lines = [
        "(memory (export \"memory\") 1)",
        "(func (export \"alloc\") (param i32) (result i32) (i32.const 8))",
        "(func (export \"handle\") (param i32 i32) (result i64) (i64.const 0))",
    ];
    let lines = lines.map(|line| if line.contains(&format!("\"{export}\"")) { other } else { line });
    format!("(module {})", lines.join("\n"))
}

/// Returns a module of the contract with these fields before the others.
fn with(fields: &str) -> String {
    without("none", "").replace("(module", &format!("(module {fields}"))
}

/// Returns the arguments that serve a module within a limit.
fn limited(file: &TextFile, flag: &str, limit: &str) -> [String; 3] {
    [file.path().to_str().unwrap(), flag, limit].map(String::from)
}

#[test]
fn a_port_that_is_taken_is_said_to_be() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(
        fails_to_start(&["--listen", &address]),
        format!(
            "error: cannot listen on {address}: {address} is in use, by this process or another (choose another with --listen)"
        )
    );
}

#[test]
fn a_port_that_another_server_of_ours_has_is_taken_too() {
    let server = Server::start();
    let address = server.addresses[0].to_string();
    assert!(fails_to_start(&["--listen", &address]).contains("is in use, by this process or another"));
}

#[test]
fn a_malformed_address_is_said_to_be() {
    for (address, complaint) in [
        (
            "4444",
            "expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH; the port is missing",
        ),
        ("localhost:99999", "expected a port from 0 to 65535 after the last colon, found `99999`"),
        ("[::1:4444", "expected an IPv6 address between [ and ]: [[::1]:4444"),
        ("192.0.2.1:4444", "this machine does not have the address 192.0.2.1"),
    ] {
        assert_eq!(
            fails_to_start(&["--listen", address]),
            format!("error: cannot listen on {address}: {complaint}")
        );
    }
    assert!(fails_to_start(&["--listen", "no.such.name.invalid:1"]).contains("cannot resolve the name"));
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    assert_eq!(
        fails_to_start(&["/no/such/file.wasm"]),
        "error: cannot serve /no/such/file.wasm: No such file or directory (os error 2)"
    );
    assert_eq!(
        fails_to_start(&["/"]),
        "error: cannot serve /: it is a folder; expected a .wasm or .wat file"
    );
}

#[test]
fn what_is_not_webassembly_is_said_to_be_something_else() {
    refused("", "it is empty; expected a WebAssembly module");
    refused(
        "#!/bin/sh\necho hello\n",
        "it is a text file that is not WebAssembly text; expected a module that begins with \\0asm, or with (module",
    );
    refused(
        b"\x7fELF\x02\x01",
        "it is not WebAssembly: it begins with the bytes 7f 45 4c 46; expected \\0asm",
    );
    for component in [&b"\0asm\x0d\0\x01\0"[..], b"(component)"] {
        refused(
            component,
            "it is a WebAssembly component; expected a core module (build for wasm32-unknown-unknown, and do not wrap it)",
        );
    }
    refused("(module (funk))", "its WebAssembly text is wrong: expected valid module field (at 1:10)");
}

#[test]
fn a_module_that_breaks_off_is_not_valid_wherever_it_does() {
    let whole = host::site::version::EMBEDDED;
    for length in [4, 7, 8, 9, 64, whole.len() / 2, whole.len() - 1] {
        let file = TextFile::new(&whole[..length]);
        let complaint = fails_to_start(&[file.path()]);
        assert!(
            complaint.contains("it is not a valid WebAssembly module: ")
                || complaint.contains("it has no export"),
            "{length}: {complaint}"
        );
    }
}

#[test]
fn a_missing_export_is_named_with_its_type() {
    refused(without("memory", ""), "it has no export `memory`; expected a memory");
    refused(without("alloc", ""), "it has no export `alloc`; expected a function (i32) -> i32");
    refused(without("handle", ""), "it has no export `handle`; expected a function (i32, i32) -> i64");
}

#[test]
fn an_export_of_the_wrong_type_is_named_with_both_types() {
    refused(
        without("memory", "(global (export \"memory\") i32 (i32.const 0))"),
        "its export `memory` is a global; expected a memory",
    );
    refused(
        without("alloc", "(func (export \"alloc\") (param i64) (result i32) (i32.const 8))"),
        "its export `alloc` is a function (i64) -> i32; expected a function (i32) -> i32",
    );
    refused(
        without(
            "handle",
            "(func (export \"handle\") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 0))",
        ),
        "its export `handle` is a function (i32, i32) -> (i32, i32); expected a function (i32, i32) -> i64",
    );
    let optional = "(func (export \"_initialize\") (result i32) (i32.const 0))";
    refused(with(optional), "its export `_initialize` is a function () -> i32; expected a function ()");
}

#[test]
fn a_module_that_fails_its_probes_is_not_served() {
    let file = TextFile::new(modules::saying("well"));
    let path = file.path().to_str().unwrap();
    assert_eq!(
        fails_to_start(&[path, "--probe", "GET / 404"]),
        format!("error: cannot serve {path}: GET / was answered 200 OK; expected 404")
    );
    let file = TextFile::new(modules::answering(b"nonsense"));
    let path = file.path().to_str().unwrap();
    let complaint = fails_to_start(&[path]);
    assert!(
        complaint.starts_with(&format!("error: cannot serve {path}: GET / was not answered: ")),
        "{complaint}"
    );
}

#[test]
fn an_import_that_is_not_offered_is_named() {
    refused(
        with("(import \"env\" \"clock\" (func))"),
        "it imports `clock` from `env`, which is not offered; the imports offered are `log` from `host`, a function (i32, i32, i32); and `random` from `host`, a function () -> i64",
    );
    refused(
        with("(import \"host\" \"log\" (func (param i64)))"),
        "it imports `log` from `host` as a function (i64); expected a function (i32, i32, i32)",
    );
}

#[test]
fn memory_is_taken_up_to_its_limit() {
    let with_pages = |pages: u32| {
        let memory = format!("(memory (export \"memory\") {pages})");
        TextFile::new(without("memory", &memory))
    };
    Server::with(&limited(&with_pages(16), "--memory-max", "1MiB"));
    let beyond = with_pages(17);
    assert_eq!(
        fails_to_start(&limited(&beyond, "--memory-max", "1MiB")),
        format!(
            "error: cannot serve {}: its memory starts at 1114112 bytes, more than the 1048576 bytes \
             an instance may have (--memory-max)",
            beyond.path().display()
        )
    );
    refused(
        without("memory", "(memory (export \"memory\") 65536)"),
        "its memory starts at 4294967296 bytes, more than the 67108864 bytes an instance may have (--memory-max)",
    );
}

#[test]
fn a_module_file_is_taken_up_to_its_limit() {
    let file = TextFile::new(modules::answering(b"HTTP/1.1 200 OK\n\n"));
    let size = std::fs::metadata(file.path()).unwrap().len();
    let args = |limit: u64| limited(&file, "--module-max", &limit.to_string());
    Server::with(&args(size));
    assert!(fails_to_start(&args(size - 1)).ends_with("(the limit is --module-max)"));
}

#[test]
fn a_module_that_does_not_start_is_refused() {
    refused(
        with("(start $f) (func $f unreachable)"),
        "the module does not start: wasm trap: wasm `unreachable` instruction executed; in f",
    );
}

#[test]
fn a_wrong_argument_ends_with_a_hint() {
    for (flag, value, hint) in [
        ("--body-max", "much", "expected a size such as"),
        ("--deadline", "0s", "expected a time with its unit"),
        ("--head-timeout", "300000000000y", "at most a year"),
        ("--module-max", "5GiB", "expected at most 4.0 GiB"),
        ("--instances", "0", "expected a whole number from 1 to 100000"),
        ("--probe", "GET", "expected METHOD TARGET [STATUS]"),
        ("--log-level", "loud", "expected one of off, error"),
        ("--no-such-flag", "", "unexpected argument"),
    ] {
        let (code, text) = output_of(host().args([flag, value]));
        assert!(code == 2 && text.contains(hint), "{text}");
    }
}

#[test]
fn names_in_a_module_cannot_make_a_second_line() {
    refused(
        with("(import \"env\" \"a\\0aERROR forged\\1b[31m\" (func))"),
        "it imports `a\\nERROR forged\\u{1b}[31m` from `env`, which is not offered; the imports offered are `log` from `host`, a function (i32, i32, i32); and `random` from `host`, a function () -> i64",
    );
}

#[test]
fn tables_are_taken_up_to_their_limit() {
    let file = TextFile::new(with("(table 65536 funcref)"));
    Server::with(&[file.path()]);
    for table in ["(table 65537 funcref)".to_owned(), "(table 1 funcref)".repeat(5)] {
        let file = TextFile::new(with(&table));
        let bound = "it needs more than an instance may have (--memory-max, --table-max)";
        assert!(fails_to_start(&[file.path()]).contains(bound), "{table}");
    }
}

#[test]
fn proposals_that_are_not_on_are_refused_by_name() {
    for (module, complaint) in [
        (without("memory", "(memory (export \"memory\") 1 2 shared)"), "threads must be enabled"),
        (with("(func (drop (i32.atomic.load (i32.const 0))))"), "threads support is not enabled"),
        (without("memory", "(memory (export \"memory\") i64 1)"), "memory64 must be enabled"),
        (with("(memory 1)"), "multiple memories"),
        (
            without("memory", "(memory (export \"memory\") 1 (pagesize 1))"),
            "the custom page sizes proposal must be enabled",
        ),
        (with("(type (struct))"), "without the gc feature"),
        (with("(type $t (func)) (func (param (ref null $t)))"), "function references required"),
        (with("(tag)"), "exceptions proposal not enabled"),
        (with("(type $f (func)) (type (cont $f))"), "stack switching is disabled"),
        (
            with("(func (result i64 i64) (i64.mul_wide_s (i64.const 1) (i64.const 1)))"),
            "wide arithmetic support is not enabled",
        ),
    ] {
        let file = TextFile::new(&module);
        let message = fails_to_start(&[file.path()]);
        assert!(message.contains("it is not a valid WebAssembly module: "), "{message}");
        assert!(message.contains(complaint), "{complaint}: {message}");
    }
}
