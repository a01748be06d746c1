//! Bad modules, addresses and arguments end the start with one clear line and an exit code.

use std::net::TcpListener;

use crate::harness::modules;
use crate::harness::{Server, TextFile, fails_to_start, host, output_of};

/// File that cannot be served, the server's error message, and the remedy that
/// `host check` adds. A message that ends in `: ` is only the beginning: text of a library
/// follows.
pub struct BadFile {
    pub bytes: Vec<u8>,
    pub error: String,
    pub remedy: &'static str,
}

fn bad(bytes: impl Into<Vec<u8>>, error: impl Into<String>, remedy: &'static str) -> BadFile {
    BadFile { bytes: bytes.into(), error: error.into(), remedy }
}

impl BadFile {
    /// Checks an error message about this file.
    #[track_caller]
    pub fn says(&self, found: &str) {
        let found = found.split_once(" (remedy: ").map_or(found, |(error, _)| error);
        let is_right = found == self.error || (self.error.ends_with(": ") && found.starts_with(&self.error));
        assert!(is_right, "{}\n{found:?} instead of {:?}", self.bytes.escape_ascii(), self.error);
    }
}

/// Returns a valid module in which the text `other` replaces one export.
fn without(export: &str, other: &str) -> String {
    let lines = [
        "(memory (export \"memory\") 1)",
        "(func (export \"alloc\") (param i32) (result i32) (i32.const 8))",
        "(func (export \"handle\") (param i32 i32) (result i64) (i64.const 0))",
    ];
    let lines = lines.map(|line| if line.contains(&format!("\"{export}\"")) { other } else { line });
    format!("(module {})", lines.join("\n"))
}

/// Returns a valid module with additional fields at its beginning.
fn with(fields: &str) -> String {
    without("none", "").replace("(module", &format!("(module {fields}"))
}

#[rustfmt::skip]
pub fn bad_files() -> Vec<BadFile> {
    let component = "it has no export `wasi:http/incoming-handler@0.2`; \
        expected the interface of WASI 0.2 by which a component answers requests";
    let proxy = "build a component of the world wasi:http/proxy";
    let keyvalue = "(component (import \"wasi:keyvalue/store@0.2.0-draft\" (instance $i)) \
        (export \"wasi:http/incoming-handler@0.2.0\" (instance $i)))";
    let not_offered = |name: &str, from: &str| format!("it imports `{name}` from `{from}`, which is not offered; \
        the imports offered are `log` from `host`, a function (i32, i32, i32); \
        and `random` from `host`, a function () -> i64");
    let too_large = |bytes: u64| format!("its memory starts at {bytes} bytes, \
        more than the 67108864 bytes an instance may have (--memory-max)");
    let (smaller, other_type) = ("-zstack-size=16384", "give the function that type, or another name");
    let no_text = "it is a text file that is not WebAssembly text; \
        expected a module that begins with \\0asm, or with (module";
    vec![
        bad("", "it is empty; expected a WebAssembly module", "build it again"),
        bad("#!/bin/sh\necho hello\n", no_text, "name the .wasm file that cargo build"),
        bad(b"\x7fELF\x02\x01", "it is not WebAssembly: it begins with the bytes 7f 45 4c 46; expected \\0asm",
            "name the .wasm file that cargo build"),
        bad(b"\0asm\x0d\0\x01\0", component, proxy),
        bad("(component)", component, proxy),
        bad(keyvalue, "needs wasi:keyvalue/store@0.2.0-draft: not granted", "remove what uses it"),
        bad("(module (funk))", "its WebAssembly text is wrong: expected valid module field (at 1:10)", "fix the text"),
        bad("(module (func (result i32)))", "it is not a valid WebAssembly module: ",
            "build it again, without WebAssembly features"),
        bad(without("memory", ""), "it has no export `memory`; expected a memory", "export it: (memory"),
        bad(without("alloc", ""), "it has no export `alloc`; expected a function (i32) -> i32",
            "handler_sdk::export!(answer)"),
        bad(without("handle", ""), "it has no export `handle`; expected a function (i32, i32) -> i64",
            "handler_sdk::export!(answer)"),
        bad(without("memory", "(global (export \"memory\") i32 (i32.const 0))"),
            "its export `memory` is a global; expected a memory", other_type),
        bad(without("alloc", "(func (export \"alloc\") (param i64) (result i32) (i32.const 8))"),
            "its export `alloc` is a function (i64) -> i32; expected a function (i32) -> i32", other_type),
        bad(without("handle", "(func (export \"handle\") (param i32) (result i32) (i32.const 8))"),
            "its export `handle` is a function (i32) -> i32; expected a function (i32, i32) -> i64", other_type),
        bad(without("handle", "(func (export \"handle\") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 0))"),
            "its export `handle` is a function (i32, i32) -> (i32, i32); expected a function (i32, i32) -> i64",
            other_type),
        bad(with("(func (export \"_initialize\") (result i32) (i32.const 0))"),
            "its export `_initialize` is a function () -> i32; expected a function ()", other_type),
        bad(with("(import \"env\" \"clock\" (func))"), not_offered("clock", "env"), "find the code that declares it"),
        bad(with("(import \"env\" \"__getrandom_v03_custom\" (func (param i32 i32) (result i32)))"),
            not_offered("__getrandom_v03_custom", "env"), "turn on the feature `getrandom` of handler-sdk"),
        bad(with("(import \"wasi_snapshot_preview1\" \"fd_write\" (func))"),
            not_offered("fd_write", "wasi_snapshot_preview1"), "rather than WASI"),
        bad(with("(import \"__wbindgen_placeholder__\" \"x\" (func))"),
            not_offered("x", "__wbindgen_placeholder__"), "remove wasm-bindgen"),
        // A line end in a name is escaped, so the message stays one line.
        bad(with("(import \"env\" \"a\\0aERROR forged\\1b[31m\" (func))"),
            not_offered("a\\nERROR forged\\u{1b}[31m", "env"), "find the code that declares it"),
        bad(with("(import \"host\" \"log\" (func))"),
            "it imports `log` from `host` as a function (); expected a function (i32, i32, i32)",
            "declare the import with that type"),
        bad(with("(import \"host\" \"log\" (func (param i64)))"),
            "it imports `log` from `host` as a function (i64); expected a function (i32, i32, i32)",
            "declare the import with that type"),
        bad(without("memory", "(memory (export \"memory\") 2000)"), too_large(131_072_000), smaller),
        bad(without("memory", "(memory (export \"memory\") 65536)"), too_large(1 << 32), smaller),
        bad(with("(table 70000 funcref)"), "it needs more than an instance may have (--memory-max, --table-max): ",
            "make its memory or its tables smaller"),
        bad(with("(start $f) (func $f unreachable)"),
            "the module does not start: wasm trap: wasm `unreachable` instruction executed; in f",
            "fix the start function"),
    ]
}

#[test]
fn a_file_that_cannot_be_served_is_refused_in_one_line() {
    for row in bad_files() {
        let file = TextFile::new(&row.bytes);
        let complaint = fails_to_start(&[file.path()]);
        let start = format!("error: cannot serve {}: ", file.path());
        row.says(complaint.strip_prefix(&start).unwrap_or(&complaint));
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start();
    for address in [taken.local_addr().unwrap(), server.addresses[0]] {
        let complaint = format!(
            "error: cannot listen on {address}: another program listens on {address}, or this server does already; stop \
             that program, or choose another address (--listen)"
        );
        assert_eq!(fails_to_start(&["--listen", &address.to_string()]), complaint);
    }
    let form = "expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH; the port is missing";
    for (address, complaint) in [
        ("4444", form),
        ("localhost:99999", "expected a port from 0 to 65535 after the last colon, found `99999`"),
        ("[::1:4444", "the ] behind the IPv6 address is missing; expected for example [::1]:4444"),
        ("::1:4444", "expected an IPv6 address between [ and ]: [::1]:4444"),
        (
            ":4444",
            "expected HOST:PORT; the host is missing (0.0.0.0:4444 is every IPv4 address, [::]:4444 every IPv6 address)",
        ),
    ] {
        let (code, said) = output_of(host().args(["--no-control", "--listen", address]));
        assert_eq!((code, said), (2, format!("error: cannot listen on {address}: {complaint}\n")));
    }
    for (address, complaint) in [
        ("[1.2.3.4]:80", "expected an IPv6 address between [ and ], found `1.2.3.4`"),
        ("192.0.2.1:4444", "this machine does not have the address 192.0.2.1"),
    ] {
        let expected = format!("error: cannot listen on {address}: {complaint}");
        assert_eq!(fails_to_start(&["--listen", address]), expected);
    }
    assert!(fails_to_start(&["--listen", "no.such.name.invalid:1"]).contains("cannot resolve the name"));
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    for (path, complaint) in [
        (
            "/no/such/file.wasm",
            "there is no such file; expected a .wasm or .wat file (host new NAME begins a handler, and host dev NAME builds and serves it)",
        ),
        ("/", "it is a folder; expected a .wasm or .wat file"),
    ] {
        assert_eq!(fails_to_start(&[path]), format!("error: cannot serve {path}: {complaint}"));
    }
}

#[test]
fn a_module_that_breaks_off_is_not_valid_wherever_it_does() {
    let whole = host::site::version::EMBEDDED;
    for length in [4, 7, 8, 9, 64, whole.len() / 2, whole.len() - 1] {
        let file = TextFile::new(&whole[..length]);
        let complaint = fails_to_start(&[file.path()]);
        let incomplete =
            format!("the file is incomplete, it breaks off at byte {length} (remedy: build it or copy it");
        // A head alone is a module without exports.
        let expected = if length == 8 { "it has no export" } else { &incomplete };
        assert!(complaint.contains(expected), "{length}: {complaint}");
    }
}

#[test]
fn a_module_that_fails_its_probes_is_not_served() {
    let well = modules::saying("well");
    let nonsense = modules::answering(b"nonsense");
    for (module, flags, complaint) in [
        (well, &["--probe", "GET / 404"][..], "GET / was answered 200 OK; expected 404"),
        (nonsense, &[], "GET / was not answered: "),
    ] {
        let file = TextFile::new(module);
        let found = fails_to_start(&[&[file.path()], flags].concat());
        let expected = format!("error: cannot serve {}: {complaint}", file.path());
        assert!(found == expected || (flags.is_empty() && found.starts_with(&expected)), "{found}");
    }
}

#[test]
fn a_module_is_served_up_to_each_limit_and_not_past_it() {
    let with_pages = |pages: u32| without("memory", &format!("(memory (export \"memory\") {pages})"));
    let plain = modules::answering(b"HTTP/1.1 200 OK\n\n");
    let size = plain.len().to_string();
    let less = (plain.len() - 1).to_string();
    let memory =
        "its memory starts at 1114112 bytes, more than the 1048576 bytes an instance may have (--memory-max)";
    let tables = "it needs more than an instance may have (--memory-max, --table-max)";
    for (module, flags, complaint) in [
        (with_pages(16), &["--memory-max", "1MiB"][..], None),
        (with_pages(17), &["--memory-max", "1MiB"], Some(memory)),
        (plain.clone(), &["--module-max", &size], None),
        (plain, &["--module-max", &less], Some("(the limit is --module-max)")),
        (with("(table 65536 funcref)"), &[], None),
        (with("(table 65537 funcref)"), &[], Some(tables)),
        (with(&"(table 1 funcref)".repeat(5)), &[], Some(tables)),
    ] {
        let file = TextFile::new(&module);
        let arguments = [&[file.path()], flags].concat();
        match complaint {
            None => drop(Server::with(&arguments)),
            Some(complaint) => assert!(fails_to_start(&arguments).contains(complaint), "{flags:?}: {module}"),
        }
    }
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
        ("--no-such-flag", "", "host has no flag --no-such-flag"),
    ] {
        let (code, text) = output_of(host().args([flag, value]));
        assert!(code == 2 && text.contains(hint), "{text}");
    }
}

#[test]
fn proposals_that_are_not_on_are_refused_by_name() {
    let memory = |kind: &str| without("memory", &format!("(memory (export \"memory\") {kind})"));
    let wide = "(func (result i64 i64) (i64.mul_wide_s (i64.const 1) (i64.const 1)))";
    for (module, complaint) in [
        (memory("1 2 shared"), "threads must be enabled"),
        (with("(func (drop (i32.atomic.load (i32.const 0))))"), "threads support is not enabled"),
        (memory("i64 1"), "memory64 must be enabled"),
        (with("(memory 1)"), "multiple memories"),
        (memory("1 (pagesize 1)"), "the custom page sizes proposal must be enabled"),
        (with("(type (struct))"), "without the gc feature"),
        (with("(type $t (func)) (func (param (ref null $t)))"), "function references required"),
        (with("(tag)"), "exceptions proposal not enabled"),
        (with("(type $f (func)) (type (cont $f))"), "stack switching is disabled"),
        (with(wide), "wide arithmetic support is not enabled"),
    ] {
        let file = TextFile::new(&module);
        let message = fails_to_start(&[file.path()]);
        assert!(message.contains("it is not a valid WebAssembly module: "), "{message}");
        assert!(message.contains(complaint), "{complaint}: {message}");
    }
}
