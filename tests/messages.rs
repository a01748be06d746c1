//! What the program says to wrong command lines, and to commands that find no server,
//! byte for byte. `UPDATE_DOCS=1 cargo test --test tests messages` writes the table.

use std::fs;
use std::process::Stdio;

use crate::harness::modules::saying;
use crate::harness::{Folder, host, make_pipe, run_to_end};
use crate::repository::root;

/// The table: a command line after `$ host`, its exit code and its output. `FOLDER`
/// is the folder in which the program runs.
const TABLE: &str = "tests/messages.txt";

/// Most lines of output in a row. Longer output, such as help, is cut.
const LINES_MAX: usize = 6;

#[test]
fn a_wrong_command_line_is_told_what_was_found_what_was_expected_and_what_to_do() {
    let table = fs::read_to_string(root().join(TABLE)).unwrap();
    let folder = folder();
    let commands = table.lines().filter_map(|line| line.strip_prefix("$ host "));
    let found: String = commands.map(|command| row(&folder, command)).collect();
    let (comment, _) = table.split_once("\n\n").unwrap();
    let found = format!("{comment}\n\n{found}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(root().join(TABLE), &found).unwrap();
    } else {
        assert!(found == table, "{TABLE} is not what the program says; UPDATE_DOCS=1 writes:\n{found}");
    }
    assert!(found.matches("\n$ host ").count() > 60, "rows are missing");
}

/// Returns a folder with files that the command lines name.
fn folder() -> Folder {
    let folder = Folder::new();
    let good = saying("hi");
    let file = |name: &str, bytes: &[u8]| fs::write(folder.file(name), bytes).unwrap();
    file("good.wat", good.as_bytes());
    file("empty.wasm", b"");
    file("junk.wasm", b"\xff\xfejunk");
    file("no_handle.wat", good.replace("\"handle\"", "\"handel\"").as_bytes());
    file("aborts.wat", good.replace("(module", "(module (import \"env\" \"abort\" (func))").as_bytes());
    file(
        "wasi.wat",
        good.replace("(module", "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func))").as_bytes(),
    );
    file("wrong.http", b"GET\n");
    fs::create_dir(folder.file("dir")).unwrap();
    let built = folder.file("target/wasm32-unknown-unknown/debug");
    fs::create_dir_all(&built).unwrap();
    fs::write(built.join("built.wasm"), b"").unwrap();
    std::os::unix::fs::symlink("dir", folder.file("link")).unwrap();
    make_pipe(folder.file("pipe"));
    folder
}

/// Runs a command line, split as a shell does with single quotation marks.
fn row(folder: &Folder, command: &str) -> String {
    let parts = command.split('\'').enumerate();
    let arguments: Vec<String> = parts
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .map(|argument: String| argument.replace("LONG", &"x".repeat(120)))
        .collect();
    let mut program = host();
    program.args(arguments).current_dir(folder.file("")).stdin(Stdio::null());
    program
        .env("XDG_RUNTIME_DIR", folder.file("run"))
        .env("TMPDIR", folder.file("tmp"))
        .env("COLUMNS", "100");
    let output = run_to_end(&mut program);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let user = rustix::process::geteuid().as_raw();
    let own = folder.path("");
    let text = text
        .replace(own.trim_end_matches('/'), "FOLDER")
        .replace(&format!("/run/user/{user}/"), "/run/user/UID/")
        .replace(&format!("host-{user}/"), "host-UID/")
        // Root and other users get different errors for a folder below /proc.
        .replace("(Permission denied (os error 13))", "(CAUSE)")
        .replace("(No such file or directory (os error 2))", "(CAUSE)");
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("...");
    }
    format!("$ host {command}\n{}\n[{}]\n\n", lines.join("\n"), output.status.code().unwrap())
}
