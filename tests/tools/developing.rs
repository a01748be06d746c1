//! `host new` creates a crate, and `host dev` serves it anew after each change.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tool;
use crate::harness::{Folder, Server, host, output_of, run_to_end, scratch, wait_until};

/// Returns the target folder for the crates of all these tests. They share it, so that
/// dependencies are compiled once; each crate must have a different name.
fn target() -> PathBuf {
    scratch().join("crates")
}

/// Makes a new crate with this name by `host new`, and returns its path.
pub fn new(folder: &Folder, name: &str) -> PathBuf {
    new_with(folder, name, &[])
}

fn new_with(folder: &Folder, name: &str, flags: &[&str]) -> PathBuf {
    let path = folder.path(name);
    let (code, stdout, stderr) = tool(&[&["new", name, "--path", &path], flags].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.starts_with(&format!("created {path}, with the SDK in ")), "{stdout}");
    path.into()
}

fn cargo(folder: &Path, arguments: &[&str]) {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
    let (code, printed) = output_of(&mut cargo);
    assert!(code == 0 && !printed.contains("warning"), "cargo {arguments:?}:\n{printed}");
}

#[test]
fn a_new_crate_builds_and_tests_and_answers_at_once() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-one");
    cargo(&path, &["test"]);
    cargo(&path, &["build", "--release", "--target", "wasm32-unknown-unknown"]);
    let module = target().join("wasm32-unknown-unknown/release/greeter_one.wasm");
    let module = module.to_str().unwrap();
    let requests = path.join("requests.http");
    let (code, stdout, _) = tool(&["test", module, requests.to_str().unwrap()]);
    assert_eq!((code, stdout.lines().last()), (0, Some("3 passed, 0 failed")), "{stdout}");
    let (code, stdout, _) = tool(&["check", module]);
    assert!(code == 0 && !stdout.contains("warning"), "{stdout}");
    assert!(stdout.contains("  memory      1 page (64.0 KiB) initially"), "{stdout}");
    // The files of the crate contain no placeholder of the template, and nothing that
    // needs the workspace of this repository.
    for file in ["Cargo.toml", "handler-sdk/Cargo.toml", "README.md", "requests.http", "src/lib.rs"] {
        let text = std::fs::read_to_string(path.join(file)).unwrap();
        assert!(!text.contains("{{name") && !text.contains("workspace = true"), "{file}:\n{text}");
    }
}

#[test]
fn a_new_crate_passes_the_usual_checks_with_and_without_the_standard_library() {
    let folder = Folder::new();
    for (name, flags) in
        [("greeter-six", &[][..]), ("greeter-seven-of-a-longer-name-than-most", &["--std"][..])]
    {
        let path = new_with(&folder, name, flags);
        // Hides the rustfmt.toml of this repository, which is above the folder of these
        // tests: a crate elsewhere has the default format.
        std::fs::write(path.join("rustfmt.toml"), "").unwrap();
        cargo(&path, &["fmt", "--check"]);
        cargo(&path, &["clippy", "--all-targets", "--", "--deny", "warnings"]);
        cargo(&path, &["test"]);
    }
}

#[test]
fn a_handler_with_the_standard_library_serves_and_tells_of_its_panics() {
    let folder = Folder::new();
    let path = new_with(&folder, "greeter-eight", &["--std"]);
    let source = path.join("src/lib.rs");
    edit(
        &source,
        "Response::html(Status::OK, \"<h1>it works</h1>\")",
        "let words = std::collections::HashMap::from([(1, \"one\")]);\n    Response::text(Status::OK, format!(\"{words:?}\"))",
    );
    edit(&source, "fn about(_: Request)", "fn about(request: Request)");
    edit(
        &source,
        "Response::html(Status::OK, \"<h1>about this handler</h1>\")",
        "panic!(\"{} has no page\", request.path())",
    );
    cargo(&path, &["build", "--release", "--target", "wasm32-unknown-unknown"]);
    let module = target().join("wasm32-unknown-unknown/release/greeter_eight.wasm");
    let module = module.to_str().unwrap();
    let (code, stdout, _) = tool(&["call", module, "/"]);
    assert_eq!((code, stdout.as_str()), (0, "{1: \"one\"}"));
    let (code, stdout, stderr) = tool(&["call", module, "/about"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("/about has no page at src/lib.rs:"), "{stderr}");
    // The first function is that of the crate, not one of Rust's runtime.
    let first = stderr.lines().find(|line| line.starts_with("  in ")).unwrap();
    assert!(first.starts_with("  in greeter_eight::"), "{stderr}");
}

#[test]
fn a_crate_is_made_where_nothing_is_lost() {
    let folder = Folder::new();
    std::fs::write(folder.file("kept"), "").unwrap();
    let there = folder.path("").trim_end_matches('/').to_owned();
    let file = folder.path("kept");
    let not_empty = format!(
        "the folder {there} is not empty; expected a new or empty folder (choose another with --path)"
    );
    let no_folder = format!("cannot write the crate to {file}: Not a directory (os error 20)");
    let no_name = "a crate cannot be called `9lives`: it begins with `9`; expected a letter, and then letters, digits, - and _";
    for (name, path, complaint) in
        [("greeter", &there, &*not_empty), ("greeter", &file, &no_folder), ("9lives", &there, no_name)]
    {
        let expected = (1, String::new(), format!("error: {complaint}\n"));
        assert_eq!(tool(&["new", name, "--path", path]), expected);
    }
    let mut in_folder = host();
    let output = run_to_end(in_folder.args(["new", "by-name"]).current_dir(&there));
    assert!(output.status.success() && folder.file("by-name/src/lib.rs").exists());
}

/// Starts `host dev` for a crate.
fn develop(path: &Path) -> Server {
    Server::spawn(developing(), &["dev".as_ref(), path.as_os_str()])
}

pub fn developing() -> Command {
    let mut command = host();
    command.env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
    command
}

pub fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn what_is_saved_is_served_and_what_does_not_build_is_not() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-two");
    let source = path.join("src/lib.rs");
    let mut server = develop(&path);
    assert_eq!(server.connect().ask("GET", "/").text(), "<h1>it works</h1>");

    edit(&source, "it works", "it works better");
    server.log_line(&["serving version 2"]);
    assert_eq!(server.connect().ask("GET", "/").text(), "<h1>it works better</h1>");

    edit(&source, "better</h1>\")", "best</h1>\"");
    server.log_line(&["the build failed; its errors are above"]);
    server.log_line(&["error: mismatched closing delimiter"]);
    server.log_line(&["not rebuilt: requests get these errors"]);
    // The server answers with the errors instead of the last good version.
    let reply = server.connect().ask("GET", "/");
    assert!(reply.status == 500 && reply.text().contains("mismatched closing delimiter"), "{}", reply.text());
    let line = server.log_line(&["status=500", "fault=\"not served\"", "cause=\"the build failed\""]);
    assert!(!line.contains("delimiter"), "{line}");

    // It does so for errors of a build script, and of Cargo itself.
    let (script, manifest) = (path.join("build.rs"), path.join("Cargo.toml"));
    let shows = |file: &Path, from: &str, to: &str, error: &str| {
        edit(file, from, to);
        wait_until("the page has the error", || server.connect().ask("GET", "/").text().contains(error));
        edit(file, to, from);
    };
    let complains = "fn main() {\n    println!(\"cargo::error=the pages are missing\");";
    shows(&script, "fn main() {", complains, "the pages are missing");
    shows(&manifest, "[package]", "[package", "unclosed table");

    // The response to a fault shows its cause. Here the panic message comes from a new
    // file in a new folder, changes of which also start a build, although the folder is hidden.
    std::fs::create_dir(path.join(".well-known")).unwrap();
    std::fs::write(path.join(".well-known/about.txt"), "one").unwrap();
    edit(&source, "best</h1>\"", "best</h1>\")");
    server.log_line(&["serving version 3"]);
    // A page that was good is served when it fails, too.
    assert_eq!(server.connect().ask("GET", "/about").status, 200);
    let about = "Response::html(Status::OK, \"<h1>about this handler</h1>\")";
    edit(&source, about, "panic!(include_str!(\"../.well-known/about.txt\"))");
    server.log_line(&["serving version 4"]);
    let reply = server.connect().ask("GET", "/about");
    assert!(reply.status == 500 && reply.text().contains("panic: one at src/lib.rs:"), "{}", reply.text());
    std::fs::write(path.join(".well-known/about.txt"), "two").unwrap();
    server.log_line(&["serving version 5"]);
    assert!(server.connect().ask("GET", "/about").text().contains("panic: two at src/lib.rs:"));
    // A folder that takes the place of another one by a rename is watched, too.
    let (made, there) = (folder.file("made"), path.join(".well-known"));
    std::fs::create_dir(&made).unwrap();
    std::fs::write(made.join("about.txt"), "three").unwrap();
    std::fs::rename(&there, folder.file("old")).unwrap();
    std::fs::rename(&made, &there).unwrap();
    server.log_line(&["serving version 6"]);
    std::fs::write(there.join("about.txt"), "four").unwrap();
    server.log_line(&["serving version 7"]);
    assert!(server.connect().ask("GET", "/about").text().contains("panic: four at src/lib.rs:"));
    assert_eq!(server.log_line_now(&["memory that the limits allow"]), None);
    server.signal("INT");
    assert!(server.wait().0.success());
}

#[test]
fn a_crate_that_does_not_build_at_first_is_served_when_it_does() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-three");
    let source = path.join("src/lib.rs");
    edit(&source, "export!(answer);", "");
    let mut server = Server::begin(developing(), &["dev".as_ref(), path.as_os_str()]);
    server.log_line(&["error: `#[panic_handler]` function required"]);
    server.log_line(&["the build failed; its errors are above; write handler_sdk::export!(answer)"]);
    server.log_line(&["nothing is served yet; waiting for a file to be saved"]);
    edit(&source, "use handler_sdk", "extern crate std;\nuse handler_sdk");
    edit(&source, "/// Answers a request by", "export!(answer);\n\n/// Answers a request by");
    server.log_line(&["its errors are above; the crate itself links the standard library", "feature `std`"]);
    edit(&source, "export!(answer);\n\n", "");
    edit(&source, "extern crate std;\n", "");
    let handler = "#[cfg(target_arch = \"wasm32\")]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n";
    edit(&source, "/// Answers a request by", &format!("{handler}/// Answers a request by"));
    server.log_line(&["cannot be served: it has no export `alloc`", "handler_sdk::export!(answer)"]);
    edit(&source, handler, "export!(answer);\n");
    let server = server.until_ready();
    assert_eq!(server.connect().ask("GET", "/").text(), "<h1>it works</h1>");
}

#[test]
fn what_is_no_crate_is_said_to_be_none() {
    let folder = Folder::new();
    let path = folder.path("");
    let shown = std::fs::canonicalize(&path).unwrap();
    let (code, stdout, stderr) = tool(&["dev", &path]);
    let complaint = format!(
        "error: the folder {} has no Cargo.toml; expected a crate (`host new NAME` creates one, `host dev NAME` serves it)\n",
        shown.display()
    );
    assert_eq!((code, stdout.as_str(), stderr), (1, "", complaint));
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_built() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-nine");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stdout, stderr) = tool(&["dev", path.to_str().unwrap(), "--listen", &address]);
    let complaint = format!("error: cannot listen on {address}: another program listens on {address}, ");
    assert!(code == 1 && stdout.is_empty() && stderr.starts_with(&complaint), "{stderr}");
}

#[test]
fn a_missing_target_is_named_with_the_command_that_adds_it() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-four");
    // A fake `rustc`, which prints a folder of the WebAssembly target that does not exist.
    let tools = folder.file("bin");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("rustc"), "#!/bin/sh\necho /no/such/folder\n").unwrap();
    Command::new("chmod").arg("+x").arg(tools.join("rustc")).status().unwrap();
    let search = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = run_to_end(host().arg("dev").arg(&path).env("PATH", search));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = "error: the Rust target wasm32-unknown-unknown is missing; run `rustup target add wasm32-unknown-unknown` in ";
    assert!(stderr.starts_with(complaint), "{stderr}");
}

#[test]
fn the_end_of_the_server_is_the_end_of_what_it_builds() {
    let folder = Folder::new();
    let path = new(&folder, "greeter-five");
    let mut server = develop(&path);
    // A build script that writes its process id and never ends.
    let [pid, new] = ["pid", "pid.tmp"].map(|name| folder.file(name));
    let waits = format!(
        "fn main() {{ std::fs::write({new:?}, std::process::id().to_string()).unwrap(); std::fs::rename({new:?}, {pid:?}).unwrap(); loop {{ std::thread::park() }} }}"
    );
    std::fs::write(path.join("build.rs"), waits).unwrap();
    let process = loop {
        match std::fs::read_to_string(&pid) {
            Ok(id) => break format!("/proc/{id}/stat"),
            Err(_) => std::thread::yield_now(),
        }
    };
    assert_eq!(server.connect().ask("GET", "/").status, 200);
    server.signal("INT");
    server.log_line(&["shutting down"]);
    assert!(server.wait().0.success());
    // A zombie counts as gone, because it only waits for its parent.
    let is_there = || std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
    wait_until("the build ends", || !is_there());
}
