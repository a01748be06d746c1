//! `host new`: a crate which is a handler, that builds, tests and serves at once.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

/// What the crate is to be called, and where it is to be.
#[derive(Clone, Debug, clap::Args)]
pub struct New {
    /// The crate's name: letters, digits, - and _
    name: String,
    /// The folder to write it to, which is new or empty [default: NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

// The SDK's sources, by their paths in it: `SDK`. They go into every crate,
// because there is no registry to get them from, and the place where this
// program was built may be gone.
include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// The SDK's manifest, which takes from its workspace what a copy has to state.
const SDK_MANIFEST: &str = include_str!("../../../handler/sdk/Cargo.toml");

/// The edition of that workspace. Cargo does not tell it to a build.
const EDITION: &str = "2024";

const TEMPLATE: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    // As the default handler has it.
    ("build.rs", include_str!("../../../handler/build.rs")),
    ("src/lib.rs", include_str!("template/src/lib.rs")),
    ("tests/answers.rs", include_str!("template/tests/answers.rs")),
    ("requests.http", include_str!("template/requests.http")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
];

/// Words that Rust has taken.
const KEYWORDS: &str = "Self abstract as async await become box break const continue crate do dyn else enum \
    extern false final fn for gen if impl in let loop macro match mod move mut override priv pub ref return \
    self static struct super trait true try type typeof unsized use virtual where while yield _";

/// Crates that are there already, as Rust code names them.
const CRATES: &str = "alloc core handler_sdk proc_macro std test";

pub(super) fn run(new: &New) -> anyhow::Result<ExitCode> {
    let name = &new.name;
    check_name(name)?;
    let folder = new.path.clone().unwrap_or_else(|| name.into());
    let context = || format!("cannot write the crate to {}", folder.display());
    if has_entries(&folder).with_context(context)? {
        bail!(
            "{} is not empty; expected a folder that is new or empty (--path says which)",
            folder.display()
        );
    }
    for (path, text) in TEMPLATE {
        write(&folder.join(path), &fill_in(text, name)).with_context(context)?;
    }
    let sdk = folder.join("handler-sdk");
    write(&sdk.join("Cargo.toml"), &sdk_manifest()).with_context(context)?;
    for (path, text) in SDK {
        write(&sdk.join("src").join(path), text).with_context(context)?;
    }
    let shown = folder.display();
    let module = fill_in("{{wasm}}", name);
    let text = format!(
        "made {shown}, with the SDK in {shown}/handler-sdk\n\n  \
         cd {shown}\n  \
         host dev    # builds it, serves it on http://localhost:4444, and again at every save\n  \
         cargo test  # calls its routes natively\n  \
         host test {module} requests.http\n"
    );
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// The names that Cargo takes, and that can stand in Rust code.
fn check_name(name: &str) -> anyhow::Result<()> {
    let as_in_code = name.replace('-', "_");
    let is_among = |words: &str, name: &str| words.split_ascii_whitespace().any(|word| word == name);
    let is_known = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let why = match name.chars().next() {
        None => "it is empty".to_owned(),
        Some(first) if !first.is_ascii_alphabetic() && first != '_' => format!("it begins with `{first}`"),
        Some(_) => match name.chars().find(|character| !is_known(*character)) {
            Some(character) => format!("it holds `{}`", character.escape_default()),
            None if is_among(KEYWORDS, name) => "it is a word of Rust's".to_owned(),
            None if is_among(CRATES, &as_in_code) => "there is such a crate already".to_owned(),
            None => return Ok(()),
        },
    };
    bail!("a crate cannot be called `{name}`: {why}; expected a letter, and then letters, digits, - and _");
}

fn has_entries(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn fill_in(text: &str, name: &str) -> String {
    let in_code = name.replace('-', "_");
    let wasm = format!("target/wasm32-unknown-unknown/release/{in_code}.wasm");
    text.replace("{{name}}", name)
        .replace("{{crate}}", &in_code)
        .replace("{{wasm}}", &wasm)
        .replace("{{rust-version}}", env!("CARGO_PKG_RUST_VERSION"))
}

fn sdk_manifest() -> String {
    let stated = [
        ("version", format!("\"{}\"", env!("CARGO_PKG_VERSION"))),
        ("edition", format!("\"{EDITION}\"")),
        ("rust-version", format!("\"{}\"", env!("CARGO_PKG_RUST_VERSION"))),
        ("license", format!("\"{}\"", env!("CARGO_PKG_LICENSE"))),
        ("publish", "false".to_owned()),
    ];
    // Its lints, tests and benches stay where its sources are written.
    let mut is_wanted = true;
    let lines = SDK_MANIFEST.trim_end().lines().filter(|line| {
        if line.starts_with('[') {
            is_wanted = ["[package]", "[features]", "[dependencies]"].contains(line);
        }
        is_wanted
    });
    let lines = lines.map(|line| {
        let key = line.strip_suffix(".workspace = true");
        match stated.iter().find(|(stated, _)| Some(*stated) == key) {
            Some((key, value)) => format!("{key} = {value}\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::{check_name, sdk_manifest};

    #[test]
    fn a_name_is_one_that_cargo_and_rust_take() {
        for name in ["a", "greeter", "my-handler", "a_b", "_x", "h2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for (name, why) in [
            ("", "it is empty"),
            ("9lives", "it begins with `9`"),
            ("-x", "it begins with `-`"),
            ("a b", "it holds ` `"),
            ("a/b", "it holds `/`"),
            ("grüße", "it holds `\\u{fc}`"),
            ("match", "it is a word of Rust's"),
            ("handler-sdk", "there is such a crate already"),
        ] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(&format!(": {why}; expected a letter")), "{error}");
        }
    }

    #[test]
    fn the_copy_of_the_sdk_states_what_its_workspace_does() {
        let manifest = sdk_manifest();
        assert!(!manifest.contains("workspace"), "{manifest}");
        let workspace = include_str!("../../../Cargo.toml");
        for line in manifest.lines().filter(|line| line.starts_with("edition") || line.starts_with("license"))
        {
            assert!(workspace.contains(line), "{line}");
        }
    }
}
