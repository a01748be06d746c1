//! Configuration file: finds it, and reads the settings in it. A key is the name of a flag without
//! the leading hyphens, and the parser of the flag checks the value.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use crate::config::foreign;
use crate::config::setting::{self, Place, Setting, Settings};
use crate::config::site::SiteSource;
use crate::config::sites::{self, Tables};
use crate::config::toml_value::{TABLES, given, not_twice, of_table};
use crate::config::value_error;
use crate::regular_file;

/// Default paths of the configuration file, if none is named. The first one that exists is read.
const USUAL: [&str; 2] = ["host.toml", "/etc/host/host.toml"];

/// Maximum size of a configuration file in bytes.
pub(crate) const FILE_MAX: usize = 4 << 20;

/// Maximum number of mistakes in a configuration file that are reported one by one. A last message
/// says how many more there are.
pub(crate) const MISTAKES_MAX: usize = 100;

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
    /// Returns the path of the configuration file: that of `--config`, or else `variable` (the
    /// value of `$HOST_CONFIG`), or else the first default path that exists. Returns [`None`] if
    /// there is none, or with `--no-config`.
    pub fn path(&self, variable: Option<PathBuf>) -> Option<PathBuf> {
        if self.no_config {
            return None;
        }
        let named = self.config.clone().or(variable);
        named.or_else(|| USUAL.into_iter().map(PathBuf::from).find(|path| path.symlink_metadata().is_ok()))
    }
}

/// Content of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Settings outside of the tables of sites.
    pub settings: Settings,
    /// Sites, from the tables `[[site]]`.
    pub sites: Vec<SiteSource>,
}

/// Reads the settings and the sites in a configuration file. Paths in the file are relative to the
/// file's folder.
///
/// # Errors
///
/// One line for each mistake: the file and the line, the key, what was found and what was
/// expected.
pub fn read(command: &Command, path: &Path) -> Result<Read, Vec<String>> {
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

/// Parses the text of a configuration file. Messages name `path` as the file. Paths in the text are
/// relative to `base`.
///
/// # Errors
///
/// The same as those of [`read`].
pub fn parse(command: &Command, text: &str, path: &Path, base: &Path) -> Result<Read, Vec<String>> {
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
        let hint = unquoted(text, span.start).unwrap_or_default();
        vec![at(span.start, &format!("{}{hint}", value_error::shown(&message)))]
    })?;

    let Read { mut settings, mut sites } = Read::default();
    let (mut mistakes, mut more) = (Vec::new(), 0);
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        let start = name.span().start;
        if name.get_ref() == sites::TABLE {
            match (Tables { command, path, base, line_of: &line_of }).read(value) {
                Ok(read) => sites = read,
                Err(found) => {
                    let left = MISTAKES_MAX.saturating_sub(mistakes.len());
                    more += found.len().saturating_sub(left);
                    mistakes.extend(
                        found
                            .into_iter()
                            .take(left)
                            .map(|(line, message)| format!("{shown}:{line}: {message}")),
                    );
                }
            }
            continue;
        }
        let read = match TABLES.iter().find(|(table, _)| name.get_ref() == table) {
            Some((table, id)) => of_table(command, &settings, table, id, value.get_ref(), base),
            None => flag_of(command, name.get_ref(), value.get_ref()).and_then(|flag| {
                not_twice(&settings, flag)?;
                let given =
                    given(flag, value, base).map_err(|cause| format!("{}: {cause}", setting::key(flag)))?;
                value_error::check(command, flag, &given, setting::key(flag))?;
                Ok((flag.get_id().to_string(), given))
            }),
        };
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
    if mistakes.is_empty() { Ok(Read { settings, sites }) } else { Err(mistakes) }
}

/// Returns a hint if the line at an offset, which is no TOML, has a text as its value without quotation
/// marks.
fn unquoted(text: &str, offset: usize) -> Option<String> {
    let begin = text.get(..offset)?.rfind('\n').map_or(0, |end| end + 1);
    let (key, value) = text.get(begin..)?.lines().next()?.split_once('=')?;
    let (key, value) = (key.trim(), value.split('#').next()?.trim());
    let is_key = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_text =
        text.get(begin..offset)?.contains('=') && !value.is_empty() && !value.contains(['"', '\'', '[', '{']);
    (is_key && is_text && !key.is_empty()).then(|| {
        let value = value_error::shown(value);
        format!("; a text stands between quotation marks: {key} = \"{value}\"")
    })
}

fn flag_of<'a>(command: &'a Command, name: &str, value: &DeValue<'_>) -> Result<&'a Arg, String> {
    let shown = value_error::shown(name);
    let tables = TABLES.iter().map(|(table, _)| *table).chain([sites::TABLE]);
    let keys = setting::flags(command).map(setting::key);
    let near = || match value {
        DeValue::Table(_) => setting::near_of(tables.clone(), name).or_else(|| setting::near_of(keys, name)),
        _ => setting::near_of(keys.chain(tables), name),
    };
    let other = foreign::instead(name, |key| format!("`{key}`"));
    let unknown = || match (near(), value) {
        (_, value) if other.is_some() && !matches!(value, DeValue::Table(_)) => {
            format!("there is no key `{shown}`; {}", other.unwrap_or_default())
        }
        (Some(sites::TABLE), _) => format!("there is no key `{shown}`; did you mean `[[{}]]`?", sites::TABLE),
        (Some(near), _) => format!("there is no key `{shown}`; did you mean `{near}`?"),
        (None, DeValue::Table(_)) => format!(
            "there is no table `{shown}`; expected keys outside of tables; there are the tables `[vars]`, `[secrets]` and \
             `[[{}]]`",
            sites::TABLE
        ),
        (None, _) => format!(
            "there is no key `{shown}`; expected the name of a flag without the leading --, such as body-max (host \
             --help)"
        ),
    };
    setting::find(command, name).ok_or_else(unknown)
}
