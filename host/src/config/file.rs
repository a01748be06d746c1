//! Configuration file: finds it, and reads the settings in it. A key is the name of a flag
//! without its hyphens, so each setting is parsed and checked as that flag is.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::builder::ValueHint;
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::setting::{self, Given, Place, Setting, Settings};
use crate::config::value_error;

/// Places of the configuration file, unless one is named. The first that exists is read.
const USUAL: [&str; 2] = ["host.toml", "/etc/host/host.toml"];

/// Largest configuration file in bytes.
pub(crate) const FILE_MAX: usize = 4 << 20;

/// Prefix of an address that is the path of a Unix socket.
const UNIX: &str = "unix:";

/// Flags that choose the configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileChoice {
    /// Configuration file: TOML, in which each key is the name of a flag [default: $HOST_CONFIG, or
    /// ./host.toml, or /etc/host/host.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read no configuration file
    #[arg(long, conflicts_with = "config")]
    pub no_config: bool,
}

impl FileChoice {
    /// Returns the path of the file, if one is named or stands at a usual place. `variable` is
    /// the value of `HOST_CONFIG`.
    pub fn path(&self, variable: Option<PathBuf>) -> Option<PathBuf> {
        if self.no_config {
            return None;
        }
        let named = self.config.clone().or(variable);
        named.or_else(|| USUAL.into_iter().map(PathBuf::from).find(|path| path.symlink_metadata().is_ok()))
    }
}

/// Reads the settings in a file. Paths in the file are relative to its folder.
///
/// # Errors
///
/// One line for each mistake: the file and the line, the key, what was found and what was
/// expected.
pub fn read(command: &Command, path: &Path) -> Result<Settings, Vec<String>> {
    let text = read_text(path)
        .map_err(|cause| vec![format!("cannot read the configuration file {}: {cause}", path.display())])?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    parse(command, &text, path, absolute.parent().unwrap_or(Path::new("/")))
}

fn read_text(path: &Path) -> Result<String, String> {
    let said = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file; expected a TOML file (--config, HOST_CONFIG)".into(),
        _ => error.to_string(),
    };
    // A pipe would block; a device might never end.
    let found = path.metadata().map_err(said)?;
    if !found.is_file() {
        return Err("it is not a regular file; expected a TOML file".into());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(said)?;
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() > FILE_MAX {
        return Err(format!("it is longer than {FILE_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!("it is not UTF-8 from byte {} on; expected a TOML file", error.utf8_error().valid_up_to())
    })
}

/// Parses the text of a file. `base` is the folder to which paths are relative.
///
/// # Errors
///
/// As [`read`].
pub fn parse(command: &Command, text: &str, path: &Path, base: &Path) -> Result<Settings, Vec<String>> {
    let line_of = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    };
    let at = |offset: usize, message: &str| format!("{}:{}: {message}", path.display(), line_of(offset));
    let table = DeTable::parse(text).map_err(|error| {
        let message = value_error::shown(&error.message().replace('\n', ", ")).to_string();
        vec![at(error.span().map_or(0, |span| span.start), &message)]
    })?;

    let mut settings = Settings::new();
    let mut mistakes = Vec::new();
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let start = name.span().start;
        let read = flag_of(command, name.get_ref(), value.get_ref()).and_then(|flag| {
            let given =
                given(flag, value, base).map_err(|cause| format!("{}: {cause}", setting::key(flag)))?;
            value_error::check(command, flag, &given, setting::key(flag))?;
            Ok((flag.get_id().to_string(), given))
        });
        match read {
            Ok((id, given)) => {
                let place = Place::Line(path.to_owned(), line_of(start));
                settings.insert(id, Setting { given, place });
            }
            Err(message) => mistakes.push(at(start, &message)),
        }
    }
    mistakes.extend(value_error::conflict(command, &settings));
    if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
}

fn flag_of<'a>(command: &'a Command, name: &str, value: &DeValue<'_>) -> Result<&'a Arg, String> {
    let shown = value_error::shown(name);
    let unknown = || match (setting::near(command, name), value) {
        (Some(near), _) => format!("there is no key `{shown}`; did you mean `{near}`?"),
        (None, DeValue::Table(_)) => format!("there is no table `{shown}`; expected keys outside of tables"),
        (None, _) => {
            format!(
                "there is no key `{shown}`; expected the name of a flag without its hyphens (host --help)"
            )
        }
    };
    setting::find(command, name).ok_or_else(unknown)
}

fn given(flag: &Arg, value: &Spanned<DeValue<'_>>, base: &Path) -> Result<Given, String> {
    if !flag.get_action().takes_values() {
        return match value.get_ref() {
            DeValue::Boolean(is_on) => Ok(Given::Switch(*is_on)),
            other => Err(format!("found {}; expected true or false", kind(other))),
        };
    }
    let values = match value.get_ref() {
        DeValue::Array(values) if setting::repeats(flag) => values.iter().map(Spanned::get_ref).collect(),
        value => vec![value],
    };
    let texts =
        values.into_iter().map(|value| text(flag, value).map(|text| resolve(flag, text, base).into()));
    Ok(Given::Values(texts.collect::<Result<_, _>>()?))
}

fn text(flag: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(format!("found {}; expected a number of at most 64 bits", number.as_str())),
        },
        other if setting::repeats(flag) => {
            Err(format!("found {}; expected a string, or an array of strings", kind(other)))
        }
        other => {
            let possible: Vec<_> =
                flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            let expected = match possible.is_empty() {
                true => "a string or a whole number".into(),
                false => format!("one of: {}", possible.join(", ")),
            };
            Err(format!("found {}; expected {expected}", kind(other)))
        }
    }
}

/// Makes a path absolute, if the flag takes one.
fn resolve(flag: &Arg, text: String, base: &Path) -> String {
    let join = |path: &str| base.join(path).to_str().map(str::to_owned);
    let resolved = match text.strip_prefix(UNIX).filter(|_| setting::key(flag) == "listen") {
        Some(path) if !path.is_empty() => join(path).map(|path| format!("{UNIX}{path}")),
        _ if flag.get_value_hint() == ValueHint::AnyPath && !text.is_empty() => join(&text),
        _ => None,
    };
    resolved.unwrap_or(text)
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
