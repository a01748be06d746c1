//! Configuration file: finds it, and reads the settings in it. A key is the name of a flag
//! without its hyphens, so each setting is parsed and checked as that flag is.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::builder::ValueHint;
use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::setting::{self, Given, Place, Setting, Settings};
use crate::config::value_error;
use crate::regular_file;

/// Places of the configuration file, unless one is named. The first that exists is read.
const USUAL: [&str; 2] = ["host.toml", "/etc/host/host.toml"];

/// Largest configuration file in bytes.
pub(crate) const FILE_MAX: usize = 4 << 20;

/// Most mistakes that are told one by one.
pub(crate) const MISTAKES_MAX: usize = 100;

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
    let text = regular_file::read_text(path, FILE_MAX).map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::NotFound => "there is no such file".into(),
            _ => error.to_string(),
        };
        let path = path.to_string_lossy();
        let path = value_error::shown(&path);
        vec![format!(
            "cannot read the configuration file {path}: {cause}; expected a TOML file (--config, HOST_CONFIG)"
        )]
    })?;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    parse(command, &text, path, absolute.parent().unwrap_or(Path::new("/")))
}

/// Parses the text of a file. `base` is the folder to which paths are relative.
///
/// # Errors
///
/// As [`read`].
pub fn parse(command: &Command, text: &str, path: &Path, base: &Path) -> Result<Settings, Vec<String>> {
    let ends: Vec<_> = text.match_indices('\n').map(|(offset, _)| offset).collect();
    let line_of = |offset: usize| 1 + ends.partition_point(|end| *end < offset);
    let shown = path.to_string_lossy();
    let shown = value_error::shown(&shown);
    let at = |offset: usize, message: &str| format!("{shown}:{}: {message}", line_of(offset));
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        let found = match error.message() {
            "duplicate key" => format!(" `{}`", text.get(span.clone()).unwrap_or_default()),
            _ => String::new(),
        };
        let message = format!("{}{found}", error.message().replace('\n', ", "));
        vec![at(span.start, &value_error::shown(&message).to_string())]
    })?;

    let mut settings = Settings::new();
    let (mut mistakes, mut more) = (Vec::new(), 0);
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
            Err(_) if mistakes.len() == MISTAKES_MAX => more += 1,
            Err(message) => mistakes.push(at(start, &message)),
        }
    }
    mistakes.extend(value_error::conflicts(command, &settings));
    if more > 0 {
        mistakes.push(format!("{shown}: there are {more} more mistakes"));
    }
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
        values.into_iter().map(|value| text(flag, value).map(|text| resolve(flag, text.into(), base)));
    Ok(Given::Values(texts.collect::<Result<_, _>>()?))
}

fn text(flag: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    let takes_number = setting::takes_number(flag);
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if takes_number => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map(|number| number.to_string()).map_err(|_| {
                let found = value_error::shown(number.as_str());
                format!("found {found}; expected a number of at most 64 bits")
            })
        }
        other => {
            let possible: Vec<_> =
                flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            let expected = match (possible.is_empty(), setting::repeats(flag), takes_number) {
                (false, ..) => format!("one of: {}", possible.join(", ")),
                (true, true, _) => "a string, or an array of strings".into(),
                (true, false, true) => "a string or a whole number".into(),
                (true, false, false) => "a string".into(),
            };
            Err(format!("found {}; expected {expected}", kind(other)))
        }
    }
}

/// Makes a path absolute, if the flag takes one.
pub fn resolve(flag: &Arg, value: OsString, base: &Path) -> OsString {
    let path = value.as_bytes().strip_prefix(UNIX.as_bytes()).filter(|_| setting::key(flag) == "listen");
    match path {
        Some(path) if !path.is_empty() => {
            let mut resolved = OsString::from(UNIX);
            resolved.push(base.join(OsStr::from_bytes(path)));
            resolved
        }
        None if flag.get_value_hint() == ValueHint::AnyPath && !value.is_empty() => base.join(&value).into(),
        _ => value,
    }
}

pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
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
