use std::fs;
use std::path::{Path, PathBuf};

/// The sources of the three crates of the server.
const HOST: [&str; 3] = ["host/src", "host/http/src", "host/wasm/src"];

/// Those, and the sources of the handler.
const ALL: [&str; 5] = ["host/src", "host/http/src", "host/wasm/src", "handler/src", "handler/sdk/src"];

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the paths of the files with this extension in and below these folders, from
/// the top of the repository.
pub(crate) fn files(folders: &[&str], extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What the build of a fuzz target generates is not a source.
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

/// The Rust files below these folders, with their texts.
pub(crate) fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let with_text = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        (name, text)
    };
    files(folders, "rs").into_iter().map(with_text).collect()
}

/// The code of a file: no comments, and nothing from its unit tests on.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Texts, the files that may hold them, the folders of which no other file may, and the
/// rule in words.
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
            // `store.data()` is wasmtime's name for the state of a store, and a feature
            // of the SDK has the name of an export.
            let code = ["store.data", "caller.data", "feature = \"alloc\""]
                .iter()
                .fold(code(&text), |code, other| code.replace(other, ""));
            for text in texts.iter().filter(|_| !allowed.iter().any(|allowed| name.starts_with(allowed))) {
                assert!(!code.contains(text), "{name} holds {text:?}; {rule}: {allowed:?}");
            }
        }
    }
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
    let flags = host::bounds::flags(&command);
    assert!(flags.lines().count() > 15 && !flags.contains("| | |"), "a flag says too little:\n{flags}");
    is_written("docs/reference/bounds.md", &host::bounds::reference(&command));
}

#[test]
fn the_references_of_faults_and_of_the_command_line_are_as_the_code_has_them() {
    is_written("docs/reference/faults.md", &host::reference::faults());
    let command = <host::cli::args::Args as clap::CommandFactory>::command();
    is_written("docs/reference/cli.md", &host::reference::cli(command));
}

#[test]
fn the_tests_run_with_the_oldest_rust_that_is_promised() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let channel = value(&toolchain, "channel");
    let minimum = value(&manifest, "rust-version");
    // 1.95 in Cargo.toml is 1.95.0.
    assert!(
        channel == minimum || channel == format!("{minimum}.0"),
        "rust-toolchain.toml has {channel}, and Cargo.toml promises {minimum}"
    );
}

/// Returns the value of a key of a TOML file, where it comes first.
fn value(text: &str, key: &str) -> String {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)).expect(key);
    rest.trim_start_matches([' ', '=']).trim_matches('"').to_owned()
}

/// Checks that a page made from the code is as the code has it, or writes it.
fn is_written(page: &str, expected: &str) {
    let path = root().join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{page} is not as the code has it; UPDATE_DOCS=1 writes:\n{expected}");
}
