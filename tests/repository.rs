//! Rules of this repository that the compiler does not check, and the generated reference
//! pages. Also lists the files of the repository for other tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with the sources of the server's crates.
const HOST: [&str; 3] = ["host/src", "host/http/src", "host/wasm/src"];

/// Folders of `HOST`, and those with the sources of the handler and its SDK.
const ALL: [&str; 5] = ["host/src", "host/http/src", "host/wasm/src", "handler/src", "handler/sdk/src"];

/// Returns the top folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the paths, from the top of the repository, of all files with an extension in and
/// below some folders.
pub(crate) fn files(folders: &[&str], extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Skips generated files: `target` is the build folder of the fuzz targets.
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Returns the paths and texts of the Rust files in and below some folders.
pub(crate) fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let with_text = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        (name, text)
    };
    files(folders, "rs").into_iter().map(with_text).collect()
}

/// Returns the code of a file, without lines of comments and without its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Rule about texts in code: the texts, the only files that may contain them, the folders
/// that are searched, and the rule in words.
type Rule = (&'static [&'static str], &'static [&'static str], &'static [&'static str], &'static str);

const RULES: [Rule; 6] = [
    (&["wasmtime"], &[], &["host/src", "host/http"], "only host-wasm names wasmtime"),
    (
        &[".data(", ".data_mut(", "data_ptr"],
        &["host/wasm/src/memory.rs"],
        &HOST,
        "only one file touches linear memory",
    ),
    (&["ArcSwap"], &["host/src/site/current.rs"], &HOST, "only one file stores the current version"),
    (&["\"/route\"", "hello", ".path() =="], &[], &HOST, "the host knows no route"),
    (
        &[
            "\"memory\"",
            "\"alloc\"",
            "\"handle\"",
            "\"_initialize\"",
            "\"configure\"",
            "\"panic_message\"",
            "\"x-request-id\"",
        ],
        &["handler/sdk/src/abi.rs"],
        &ALL,
        "the names of the contract stand in one file",
    ),
    (
        &["unsafe"],
        &[
            "handler/sdk/src/export.rs",
            "handler/sdk/src/random.rs",
            "handler/sdk/src/values.rs",
            "host/src/serve/idle_memory.rs",
            "host/wasm/src/compile/worker.rs",
            "host/wasm/src/mapped.rs",
            "host/wasm/src/module.rs",
            "host/wasm/src/pages.rs",
        ],
        &ALL,
        "unsafe code stands where the boundary needs it",
    ),
];

#[test]
fn what_stands_in_one_place_stands_in_no_other() {
    for (texts, allowed, folders, rule) in RULES {
        for (name, text) in sources(folders) {
            // Ignores texts with another meaning: wasmtime's `store.data()` returns the
            // state of a store, `alloc` is also a feature of the SDK, `configure` a word that is taken
            // for a command, `client_hello` the first message of TLS, and `handle` also the function of
            // a component that answers requests.
            let code = [
                "store.data",
                "caller.data",
                "client_hello",
                "feature = \"alloc\"",
                "\"validate\", \"configure\"",
                "interface.get_export(engine, \"handle\")",
            ]
            .iter()
            .fold(code(&text), |code, other| code.replace(other, ""));
            for text in texts.iter().filter(|_| !allowed.iter().any(|allowed| name.starts_with(allowed))) {
                assert!(!code.contains(text), "{name} holds {text:?}; {rule}: {allowed:?}");
            }
        }
    }
}

#[test]
fn the_architecture_lists_the_files_with_unsafe_code() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, list) = page.split_once("unsafe code stands in ").unwrap();
    let (list, _) = list.split_once(" only.").unwrap();
    let listed: Vec<_> = list.split('`').skip(1).step_by(2).collect();
    let (_, allowed, ..) = RULES.iter().find(|(texts, ..)| texts == &["unsafe"]).unwrap();
    assert_eq!(listed, *allowed);
}

#[test]
fn every_source_file_explains_itself_and_can_be_read_at_a_sitting() {
    for (name, text) in sources(&ALL) {
        assert!(text.starts_with("//! "), "{name} does not say what it is");
        let lines = code(&text).lines().count();
        assert!(lines <= 300, "{name} has {lines} lines");
    }
    for name in ["utils", "common", "misc", "types"] {
        let found = sources(&[&ALL[..], &["tests"]].concat());
        assert!(found.iter().all(|(path, _)| !path.contains(&format!("{name}.rs"))));
    }
}

#[test]
fn the_reference_lists_every_bound_with_its_flag_its_amount_and_what_happens_past_it() {
    let command = <host::cli::args::Args as clap::CommandFactory>::command();
    let flags = host::bounds_page::flags(&command);
    assert!(flags.lines().count() > 15 && !flags.contains("| | |"), "a flag says too little:\n{flags}");
    is_written("docs/reference/bounds.md", &host::bounds_page::reference(&command));
}

#[test]
fn the_references_of_faults_and_of_the_command_line_are_as_the_code_has_them() {
    is_written("docs/reference/faults.md", &host::reference::faults());
    is_written("docs/reference/api.md", &host::admin::openapi_page::page());
    let command = <host::cli::args::Args as clap::CommandFactory>::command();
    is_written("docs/reference/cli.md", &host::reference::cli(command, &host::config::live::LIVE));
}

#[test]
fn the_tests_run_with_the_oldest_rust_that_is_promised() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let channel = value(&toolchain, "channel");
    let minimum = value(&manifest, "rust-version");
    // Cargo.toml may omit a patch version of 0: 1.95 means 1.95.0.
    assert!(
        channel == minimum || channel == format!("{minimum}.0"),
        "rust-toolchain.toml has {channel}, and Cargo.toml promises {minimum}"
    );
}

/// Returns the value of the first line of a TOML file that begins with a key.
fn value(text: &str, key: &str) -> String {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)).expect(key);
    rest.trim_start_matches([' ', '=']).trim_matches('"').to_owned()
}

/// Checks that a generated page has this text. Writes the page first if UPDATE_DOCS is set.
fn is_written(page: &str, expected: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{page} is not as the code has it; UPDATE_DOCS=1 writes:\n{expected}");
}
