//! Describes values that their flag refuses, and settings that exclude each other.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use host_http::quote::{Quoted, quoted};

use crate::config::setting::{self, Given, Place, Setting, Settings};

/// Most bytes of a value that are shown.
const SHOWN_MAX: usize = 200;

/// Returns a text that was given as a message shows it: cut, and escaped to one line.
pub(crate) fn shown(text: &str) -> Quoted<'_> {
    quoted(text, SHOWN_MAX)
}

/// Returns the text of a detail of an error.
pub(crate) fn detail(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(each)) => each.join(", "),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// Describes a value that the parser of its flag refuses: what was found, and what was
/// expected. `name` is the flag or the key. Returns `None` for other errors.
pub(crate) fn describe(error: &Error, name: &str) -> Option<String> {
    let value = detail(error, ContextKind::InvalidValue);
    let value = shown(&value);
    match error.kind() {
        ErrorKind::InvalidValue => {
            let expected = detail(error, ContextKind::ValidValue);
            Some(format!("{name}: found `{value}`; expected one of: {expected}"))
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

/// Checks what is given for a flag.
///
/// # Errors
///
/// What was found, and what was expected. `name` names the setting.
pub fn check(command: &Command, flag: &Arg, given: &Given, name: &str) -> Result<(), String> {
    if let Given::Values(values) = given
        && values.iter().any(|value| value.is_empty())
    {
        return Err(format!("{name}: found an empty string; expected a value"));
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

/// Describes two settings of one layer that exclude each other, if there are such.
pub fn conflict(command: &Command, settings: &Settings) -> Option<String> {
    let (one, other) = setting::conflicting(command, settings)?;
    let (one, other) = (settings.get_key_value(one)?, settings.get_key_value(other)?);
    let name = |(id, setting): (&String, &Setting)| match &setting.place {
        Place::Variable(name) => name.clone(),
        Place::Line(..) | Place::CommandLine => id.replace('_', "-"),
    };
    match (&one.1.place, &other.1.place) {
        (Place::Line(_, earlier), Place::Line(_, later)) => {
            let (first, second) = if earlier <= later { (one, other) } else { (other, one) };
            let line = earlier.min(later);
            let place = &second.1.place;
            Some(format!(
                "{place}: {} and {} (line {line}) exclude each other; leave one out",
                name(second),
                name(first)
            ))
        }
        _ => Some(format!("{} and {} exclude each other; leave one out", name(one), name(other))),
    }
}
