//! Messages about values that the parser of a flag rejects, and about settings that exclude each
//! other.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use host_http::quote::{Quoted, quoted};

use crate::config::setting::{self, Given, Place, Setting, Settings};

/// Maximum number of bytes of a value that a message shows.
const SHOWN_MAX: usize = 200;

/// Shortens a text and escapes it to one line, for a message.
pub(crate) fn shown(text: &str) -> Quoted<'_> {
    quoted(text, SHOWN_MAX)
}

/// Returns a detail of an error of clap as text; empty if the error lacks the detail.
pub(crate) fn detail(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(each)) => each.join(", "),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// Describes a value that the parser of a flag has rejected: what was found, and what was expected.
/// `name` is the name of the flag or the key. Returns [`None`] for errors of other kinds.
pub(crate) fn describe(error: &Error, name: &str) -> Option<String> {
    let value = detail(error, ContextKind::InvalidValue);
    // Who takes the flag for another one may have written the secret itself.
    let is_secret = ["--secret", "secret", "secrets", "HOST_SECRET"].contains(&name);
    let value = if is_secret { "(not shown)" } else { &value };
    let value = shown(value);
    match error.kind() {
        ErrorKind::InvalidValue => {
            let expected = detail(error, ContextKind::ValidValue);
            let near = setting::near_of(expected.split(", "), &detail(error, ContextKind::InvalidValue));
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            Some(format!("{name}: found `{value}`; expected one of: {expected}{hint}"))
        }
        ErrorKind::ValueValidation => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let cause = cause.lines().next().unwrap_or_default();
            // The message below already shows the value.
            let cause = cause.rsplit_once(", found ").map_or(cause, |(cause, _)| cause);
            Some(match cause.starts_with("expected") {
                true => format!("{name}: found `{value}`; {cause}"),
                false => format!("{name}: `{value}` is refused: {cause}"),
            })
        }
        _ => None,
    }
}

/// Checks a value for a flag with the flag's own parser.
///
/// # Errors
///
/// A message that begins with `name`, the key or the environment variable, and says what was found
/// and what was expected.
pub fn check(command: &Command, flag: &Arg, given: &Given, name: &str) -> Result<(), String> {
    if let Given::Values(values) = given {
        if values.iter().any(|value| value.is_empty()) {
            return Err(format!("{name}: found an empty string; expected a value"));
        }
        let is_path = setting::is_path(flag);
        if let Some(value) = values.iter().find(|value| !is_path && value.to_str().is_none()) {
            let found = value.to_string_lossy();
            return Err(format!("{name}: found `{}`, which is not UTF-8; expected UTF-8", shown(&found)));
        }
    }
    let setting = Setting { given: given.clone(), place: Place::CommandLine };
    let line = setting::command_line(command, &[(flag.get_id().to_string(), setting)].into());
    let parsed = command.clone().try_get_matches_from(line);
    parsed.map(drop).map_err(|error| {
        let other = || {
            let rendered = error.render().to_string();
            format!("{name}: {}", rendered.lines().next().unwrap_or_default().trim_start_matches("error: "))
        };
        describe(&error, name).unwrap_or_else(other)
    })
}

/// Returns a message for each pair of settings that exclude each other within one layer of the
/// configuration.
pub fn conflicts(command: &Command, settings: &Settings) -> Vec<String> {
    let entry = |id| settings.get_key_value(id);
    let pairs = setting::conflicting(command, settings).into_iter();
    pairs.filter_map(|(one, other)| Some(conflict(entry(one)?, entry(other)?))).collect()
}

fn conflict(one: (&String, &Setting), other: (&String, &Setting)) -> String {
    let name = |(id, setting): (&String, &Setting)| match &setting.place {
        Place::Variable(name) => name.clone(),
        Place::Line(..) | Place::CommandLine => id.replace('_', "-"),
    };
    match (&one.1.place, &other.1.place) {
        (Place::Line(_, earlier), Place::Line(_, later)) => {
            let (first, second) = if earlier <= later { (one, other) } else { (other, one) };
            let (place, line) = (&second.1.place, earlier.min(later));
            let (first, second) = (name(first), name(second));
            format!("{place}: {second} and {first} (line {line}) exclude each other; leave one out")
        }
        _ => format!("{} and {} exclude each other; leave one out", name(one), name(other)),
    }
}
