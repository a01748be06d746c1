//! Settings: values of flags, and where each was given. Each layer of the configuration
//! (file, environment, command line) is a list of settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::builder::ValueHint;
use clap::{Arg, ArgAction, ArgMatches, Command, parser::ValueSource};
use host_http::quote::quoted;

/// Flags that choose the configuration file. They are not settings, so the file cannot contain
/// them.
const ABOUT_THE_FILE: [&str; 2] = ["config", "no_config"];

/// Maximum number of edits (Damerau-Levenshtein distance) between an unknown key and the key that a
/// message suggests.
const EDITS_MAX: usize = 2;

/// Settings, with the id of the flag as the key.
pub type Settings = BTreeMap<String, Setting>;

/// Value of a flag, and where it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Value that was given.
    pub given: Given,
    /// Place where the value was given.
    pub place: Place,
}

/// Value that was given for a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Flag that takes no value: whether it is on.
    Switch(bool),
    /// Values of a flag that takes values; more than one only if the flag may be repeated.
    Values(Vec<OsString>),
}

/// Place where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Configuration file, and a line in it, counted from 1.
    Line(PathBuf, usize),
    /// Name of an environment variable.
    Variable(String),
    /// Command line.
    CommandLine,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(file, line) => {
                let file = file.to_string_lossy();
                write!(f, "{}:{line}", quoted(&file, usize::MAX))
            }
            Place::Variable(name) => f.write_str(name),
            Place::CommandLine => f.write_str("command line"),
        }
    }
}

/// Returns the flags that a configuration can set: all except those that print a text, such as
/// `--help`, or choose the configuration file.
pub fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_setting = |flag: &&Arg| {
        let sets = matches!(flag.get_action(), ArgAction::Set | ArgAction::SetTrue | ArgAction::Append);
        sets && !ABOUT_THE_FILE.contains(&flag.get_id().as_str())
    };
    command.get_arguments().filter(is_setting)
}

/// Returns the name of a flag without the hyphens in front, which is its key in the file.
pub fn key(flag: &Arg) -> &str {
    flag.get_long().unwrap_or_else(|| flag.get_id().as_str())
}

/// Returns the flag that a key names.
pub fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    flags(command).find(|flag| key(flag) == name)
}

/// Returns the key that is similar to `name`, an unknown key, to suggest it in a message; [`None`]
/// if no key is similar.
pub fn near<'a>(command: &'a Command, name: &str) -> Option<&'a str> {
    near_of(flags(command).map(key), name)
}

/// Returns the key among `keys` that is similar to `name`, an unknown key; [`None`] if none is
/// similar.
pub fn near_of<'a>(keys: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let near = keys.into_iter().map(|key| (strsim::damerau_levenshtein(key, name), key)).min()?;
    // A short word is near to many others.
    (near.0 <= EDITS_MAX.min(name.len() / 3)).then_some(near.1)
}

/// Returns whether a flag takes a path. In the configuration file, such a path is relative to the
/// file's folder.
pub fn is_path(flag: &Arg) -> bool {
    use ValueHint::{AnyPath, DirPath, FilePath};
    [AnyPath, DirPath, FilePath].contains(&flag.get_value_hint())
}

/// Returns whether a flag may be repeated.
pub fn repeats(flag: &Arg) -> bool {
    matches!(flag.get_action(), ArgAction::Append)
}

/// Returns whether a flag takes a count or a size, which may be a TOML number in the configuration
/// file.
pub fn takes_number(flag: &Arg) -> bool {
    let name = flag.get_value_names().and_then(|names| names.first());
    name.is_some_and(|name| ["N", "SIZE"].contains(&name.as_str()))
}

/// Returns the settings that were given on the command line.
pub fn of_command_line(command: &Command, matches: &ArgMatches) -> Settings {
    let is_given = |flag: &&Arg| {
        matches.try_contains_id(flag.get_id().as_str()).is_ok()
            && matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let setting = |flag: &Arg| {
        let id = flag.get_id().as_str();
        let given = match flag.get_action().takes_values() {
            true => Given::Values(matches.get_raw(id).into_iter().flatten().map(Into::into).collect()),
            false => Given::Switch(true),
        };
        (id.to_owned(), Setting { given, place: Place::CommandLine })
    };
    flags(command).filter(is_given).map(setting).collect()
}

/// Merges the settings of several layers, which are in order of precedence, highest first. A
/// setting overrides the same flag, and flags that conflict with it, in layers of lower precedence.
pub fn merge(command: &Command, layers: impl IntoIterator<Item = Settings>) -> Settings {
    layers.into_iter().fold(Settings::new(), |above, below| {
        let left = below.into_iter().filter(|(id, _)| {
            !above
                .iter()
                .any(|(other, setting)| id == other || (is_on(setting) && conflict(command, id, other)))
        });
        let left: Vec<_> = left.collect();
        above.into_iter().chain(left).collect()
    })
}

/// Returns the pairs of settings in one layer that exclude each other, as ids of flags.
pub fn conflicting<'a>(command: &Command, settings: &'a Settings) -> Vec<(&'a str, &'a str)> {
    let given: Vec<_> = settings.iter().filter(|(_, setting)| is_on(setting)).map(|(id, _)| id).collect();
    let pairs = given.iter().flat_map(|one| given.iter().map(move |other| (one.as_str(), other.as_str())));
    pairs.filter(|(one, other)| one < other && conflict(command, one, other)).collect()
}

/// Returns whether one of the settings excludes the flag with this id.
pub fn is_excluded(command: &Command, settings: &Settings, id: &str) -> bool {
    settings.iter().any(|(other, setting)| is_on(setting) && conflict(command, id, other))
}

fn is_on(setting: &Setting) -> bool {
    setting.given != Given::Switch(false)
}

fn conflict(command: &Command, one: &str, other: &str) -> bool {
    let excludes = |one: &str, other: &str| {
        let flag = command.get_arguments().find(|flag| flag.get_id() == one);
        let others = flag.map(|flag| command.get_arg_conflicts_with(flag)).unwrap_or_default();
        others.iter().any(|flag| flag.get_id() == other)
    };
    excludes(one, other) || excludes(other, one)
}

/// Returns the command line that gives these settings, program name first.
pub fn command_line(command: &Command, settings: &Settings) -> Vec<OsString> {
    let mut line = vec![OsString::from(command.get_name())];
    let mut positional = vec![OsString::from("--")];
    for flag in flags(command) {
        let name = key(flag);
        match settings.get(flag.get_id().as_str()).map(|setting| &setting.given) {
            None | Some(Given::Switch(false)) => {}
            Some(Given::Switch(true)) => line.push(format!("--{name}").into()),
            Some(Given::Values(values)) if flag.is_positional() => positional.extend(values.iter().cloned()),
            Some(Given::Values(values)) => line.extend(values.iter().map(|value| {
                let mut argument = OsString::from(format!("--{name}="));
                argument.push(value);
                argument
            })),
        }
    }
    line.extend(positional);
    line
}
