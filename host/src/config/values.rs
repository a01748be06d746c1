//! Flags for values that a handler gets: variables, and where secrets are read.

use std::env::VarError;
use std::fmt;
use std::path::PathBuf;

use host_wasm::Values;

use crate::regular_file;

/// Maximum size of the file of a secret in bytes.
const FILE_MAX: usize = 64 << 10;

/// Prefix of the source of a secret that is read from an environment variable, as in
/// `NAME=env:VARIABLE`.
const ENV: &str = "env:";

/// Prefix of the source of a secret that is read from a file, as in `NAME=file:PATH`.
const FILE: &str = "file:";

/// Flags for the values of the handler.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Values for the handler")]
pub struct ValueFlags {
    /// Value that the handler gets when it starts; repeatable. A module that takes values exports
    /// configure
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub var: Vec<Variable>,

    /// Secret value that the handler gets when it starts, from an environment variable of the server
    /// or from a file; repeatable. It is read again at each reload, and never shown
    #[arg(long, value_name = "NAME=env:VARIABLE|file:PATH", value_parser = secret)]
    pub secret: Vec<Secret>,
}

impl ValueFlags {
    /// Returns whether no value is given.
    pub fn is_empty(&self) -> bool {
        self.var.is_empty() && self.secret.is_empty()
    }

    /// Reads the secrets, and returns all values for the handler.
    ///
    /// # Errors
    ///
    /// One line: which value is wrong or cannot be read, and why.
    pub fn read(&self) -> Result<Values, String> {
        let plain = self.var.iter().map(|each| Ok((each.name.clone(), each.text.clone(), false)));
        let secret = self.secret.iter().map(|each| Ok((each.name.clone(), each.read()?, true)));
        let all = plain.chain(secret).collect::<Result<Vec<_>, String>>()?;
        Values::new(all).map_err(|error| error.to_string())
    }
}

/// Value for the handler that is no secret (`--var`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name of the value.
    pub name: String,
    /// Text of the value.
    pub text: String,
}

/// Secret value for the handler (`--secret`). Contains the source of the secret, not the secret
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Name of the value.
    pub name: String,
    /// Where the secret is read.
    pub source: SecretSource,
}

/// Source of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Name of an environment variable that holds the secret.
    Variable(String),
    /// Path of a file that holds the secret; a line break at the end of the file does not belong to
    /// the secret.
    File(PathBuf),
}

impl Secret {
    /// Reads the text of the secret from its source.
    ///
    /// # Errors
    ///
    /// One line: which secret cannot be read, and why.
    pub fn read(&self) -> Result<String, String> {
        let Secret { name, source } = self;
        let text = match source {
            // The text of the error would show the content.
            SecretSource::Variable(variable) => std::env::var(variable).map_err(|error| match error {
                VarError::NotPresent => "it is not set".into(),
                VarError::NotUnicode(_) => "it is not UTF-8".into(),
            }),
            SecretSource::File(path) => regular_file::read_text(path, FILE_MAX)
                .map(|text| text.strip_suffix('\n').unwrap_or(&text).to_owned())
                .map_err(|error| error.to_string()),
        };
        text.map_err(|cause| format!("cannot read the secret {name} from {source}: {cause}"))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Variable(name) => write!(f, "the environment variable {name}"),
            SecretSource::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

fn variable(text: &str) -> Result<Variable, String> {
    let (name, text) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok(Variable { name: name.into(), text: text.into() })
}

fn secret(text: &str) -> Result<Secret, String> {
    let expected = "expected NAME=env:VARIABLE or NAME=file:PATH";
    let (name, source) = text.split_once('=').ok_or(expected)?;
    let source = match (source.strip_prefix(ENV), source.strip_prefix(FILE)) {
        (Some(variable), _) if !variable.is_empty() && !variable.contains(['=', '\0']) => {
            SecretSource::Variable(variable.into())
        }
        (_, Some(path)) if !path.is_empty() => SecretSource::File(path.into()),
        _ => return Err(expected.into()),
    };
    Ok(Secret { name: name.into(), source })
}
