//! `host new`: creates a crate for a handler that builds, passes its tests and
//! serves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueHint;

use crate::cli::output::print;

/// Arguments of `host new`.
#[derive(Clone, Debug, clap::Args)]
pub struct New {
    /// Name of the crate: letters, digits, - and _
    name: String,
    /// Folder to create, or an empty one [default: NAME]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    path: Option<PathBuf>,
    /// Link the standard library, as most other crates do; the module is larger
    #[arg(long)]
    std: bool,
}

// `SDK`: the sources of the SDK with their paths. They are copied into every new
// crate, because the SDK is in no registry and the checkout that this program was
// built from may be gone.
include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// Manifest of the SDK. It inherits some values from the workspace, such as the version. The copy
/// in a new crate must contain these values itself.
const SDK_MANIFEST: &str = include_str!("../../../handler/sdk/Cargo.toml");

/// rustfmt settings of the SDK's sources, which are not the default ones.
const SDK_FORMAT: &str = include_str!("../../../rustfmt.toml");

/// Edition of the SDK's workspace. Repeated here because Cargo does not pass the edition to a
/// build.
const EDITION: &str = "2024";

const TEMPLATE: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    // The build script of the default handler.
    ("build.rs", include_str!("../../../handler/build.rs")),
    ("src/lib.rs", include_str!("template/src/lib.rs")),
    ("tests/answers.rs", include_str!("template/tests/answers.rs")),
    ("requests.http", include_str!("template/requests.http")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
];

/// Keywords of Rust, which cannot be names of crates.
const KEYWORDS: &str = "Self abstract as async await become box break const continue crate do dyn else enum \
    extern false final fn for gen if impl in let loop macro match mod move mut override priv pub ref return \
    self static struct super trait true try type typeof unsized use virtual where while yield _";

/// Names of crates that a handler can already use, so that a new crate cannot have them.
const CRATES: &str = "alloc core handler_sdk proc_macro std test";

pub(super) fn run(new: &New) -> anyhow::Result<()> {
    let name = &new.name;
    check_name(name)?;
    let folder = new.path.clone().unwrap_or_else(|| name.into());
    let context = || format!("cannot write the crate to {}", folder.display());
    if has_entries(&folder).with_context(context)? {
        bail!(
            "the folder {} is not empty; expected a new or empty folder (choose another with --path)",
            folder.display()
        );
    }
    for (path, text) in TEMPLATE {
        let text = fill_in(text, name);
        let text = if new.std { with_std(&text) } else { text };
        write(&folder.join(path), &text).with_context(context)?;
    }
    let sdk = folder.join("handler-sdk");
    write(&sdk.join("Cargo.toml"), &sdk_manifest()).with_context(context)?;
    write(&sdk.join("rustfmt.toml"), SDK_FORMAT).with_context(context)?;
    for (path, text) in SDK {
        write(&sdk.join("src").join(path), text).with_context(context)?;
    }
    let shown = folder.display();
    let module = fill_in("{{wasm}}", name);
    print(format!(
        "created {shown}, with the SDK in {shown}/handler-sdk\n\n  \
         cd {shown}\n  \
         host dev    # builds and serves it on http://localhost:4444, again at every save\n  \
         cargo test  # calls its routes natively\n  \
         host test {module} requests.http\n"
    ));
    Ok(())
}

/// Checks that Cargo and Rust accept a crate name.
fn check_name(name: &str) -> anyhow::Result<()> {
    let as_in_code = name.replace('-', "_");
    let is_among = |words: &str, name: &str| words.split_ascii_whitespace().any(|word| word == name);
    let is_known = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let why = match name.chars().next() {
        None => "it is empty".to_owned(),
        Some(first) if !first.is_ascii_alphabetic() && first != '_' => format!("it begins with `{first}`"),
        Some(_) => match name.chars().find(|character| !is_known(*character)) {
            Some(character) => format!("it holds `{}`", character.escape_default()),
            None if is_among(KEYWORDS, name) => "it is a keyword of Rust".to_owned(),
            None if is_among(CRATES, &as_in_code) => "a crate of this name exists already".to_owned(),
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

/// Adapts a file of the template to a crate that links the standard library, which has its own
/// panic handler and needs more stack.
fn with_std(text: &str) -> String {
    text.replace("#![no_std]\n\n", "")
        .replace("{ path = \"handler-sdk\" }", "{ path = \"handler-sdk\", features = [\"std\"] }")
        .replace("16 * 1024", "512 * 1024")
}

fn sdk_manifest() -> String {
    let stated = [
        ("version", format!("\"{}\"", env!("CARGO_PKG_VERSION"))),
        ("edition", format!("\"{EDITION}\"")),
        ("rust-version", format!("\"{}\"", env!("CARGO_PKG_RUST_VERSION"))),
        ("license", format!("\"{}\"", env!("CARGO_PKG_LICENSE"))),
        ("publish", "false".to_owned()),
    ];
    // Lints, tests and benches of the SDK are not copied.
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
            ("match", "it is a keyword of Rust"),
            ("handler-sdk", "a crate of this name exists already"),
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
