//! Reads the values of settings from TOML.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use clap::{Arg, Command};
use toml::Spanned;
use toml::de::DeValue;

use crate::config::setting::{self, Given, Settings};
use crate::config::value_error;

/// Separator of the name of a secret and the path of its file, as in `NAME=file:PATH`.
const FILE: &str = "=file:";

/// Prefix of an address that is the path of a Unix socket.
const UNIX: &str = "unix:";

/// Tables in the configuration file that contain values for the handler, each with the id of the
/// flag that it replaces.
pub const TABLES: [(&str, &str); 2] = [("vars", "var"), ("secrets", "secret")];

/// Returns an error if a flag already has values from a table such as `vars`.
pub(super) fn not_twice(settings: &Settings, flag: &Arg) -> Result<(), String> {
    match settings.contains_key(flag.get_id().as_str()) {
        true => Err(format!("{}: there are values by a table already; leave one out", setting::key(flag))),
        false => Ok(()),
    }
}

/// Converts a table of values, such as `vars`, to the values of its flag. Paths are relative to
/// `base`.
///
/// # Errors
///
/// What was found, and what was expected.
fn given_by_table(key: &str, value: &DeValue<'_>, base: &Path) -> Result<Given, String> {
    let example = match key {
        "vars" => "GREETING = \"good day\"",
        _ => "KEY = { env = \"VARIABLE\" } or KEY = { file = \"PATH\" }",
    };
    let DeValue::Table(entries) = value else {
        return Err(format!("{key}: found {}; expected a table of lines such as {example}", kind(value)));
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let argument = |(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &Cow<'_, str> = name.get_ref();
        let wrong = || {
            let (name, found) = (value_error::shown(name), kind(value.get_ref()));
            format!("{key}: {name}: found {found}; expected a line such as {example}")
        };
        if name.contains('=') {
            return Err(format!(
                "{key}: found the name `{}`; expected one without `=`",
                value_error::shown(name)
            ));
        }
        match (key, value.get_ref()) {
            ("vars", DeValue::String(text)) => Ok(format!("{name}={text}").into()),
            ("secrets", DeValue::Table(source)) if source.len() == 1 => {
                let source = source.iter().next().map(|(kind, text)| (&**kind.get_ref(), text.get_ref()));
                match source {
                    Some(("env", DeValue::String(variable))) => Ok(format!("{name}=env:{variable}").into()),
                    Some(("file", DeValue::String(path))) => {
                        let mut argument = OsString::from(format!("{name}=file:"));
                        argument.push(base.join(&**path));
                        Ok(argument)
                    }
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    };
    Ok(Given::Values(entries.into_iter().map(argument).collect::<Result<_, _>>()?))
}

/// Reads a table of values, such as `vars`. Returns the id of its flag, and the values of that
/// flag.
pub(super) fn of_table(
    command: &Command,
    settings: &Settings,
    table: &str,
    id: &str,
    value: &DeValue<'_>,
    base: &Path,
) -> Result<(String, Given), String> {
    if settings.contains_key(id) {
        return Err(format!("{table}: there are values by the key `{id}` already; leave one out"));
    }
    let given = given_by_table(table, value, base)?;
    if let Some(flag) = setting::find(command, id) {
        value_error::check(command, flag, &given, table)?;
    }
    Ok((id.to_owned(), given))
}

/// Reads the value of a key as the value of its flag. Paths are relative to `base`.
pub(super) fn given(flag: &Arg, value: &Spanned<DeValue<'_>>, base: &Path) -> Result<Given, String> {
    if !flag.get_action().takes_values() {
        return match value.get_ref() {
            DeValue::Boolean(is_on) => Ok(Given::Switch(*is_on)),
            DeValue::String(text) if ["true", "false"].contains(&&**text) => Err(format!(
                "found a string; expected true or false without quotation marks: {} = {text}",
                setting::key(flag)
            )),
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
        other => Err(format!("found {}; expected {}", found(other), expected(flag, other))),
    }
}

/// Describes the values that a flag takes, for messages. If the flag takes a time and `found` is a
/// number, the example is this number with a unit.
fn expected(flag: &Arg, found: &DeValue<'_>) -> String {
    let possible: Vec<_> =
        flag.get_possible_values().iter().map(|value| format!("\"{}\"", value.get_name())).collect();
    if !possible.is_empty() {
        return format!("one of: {}", possible.join(", "));
    }
    if setting::repeats(flag) {
        let table = TABLES.iter().find(|(_, id)| flag.get_id() == *id);
        let table = table.filter(|_| matches!(found, DeValue::Table(_)));
        let table = table.map(|(table, _)| format!("; a table of these has the name `{table}`"));
        return format!("a string, or an array of strings{}", table.unwrap_or_default());
    }
    let default = flag.get_default_values().first().and_then(|value| value.to_str());
    match (flag.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()), default) {
        (Some("TIME"), _) => {
            let number = match found {
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<u32>().ok(),
                _ => None,
            };
            let example = number.filter(|number| *number > 0).unwrap_or(250);
            format!("a time with its unit, such as \"{example}ms\"")
        }
        (Some("SIZE"), _) => "a size such as 65536, \"64KiB\" or \"1MiB\"".into(),
        (Some("N"), Some("auto")) => "a whole number, or \"auto\"".into(),
        (Some("N"), _) => "a whole number".into(),
        (_, Some(default)) => format!("a string, such as \"{default}\""),
        (_, None) => "a string".into(),
    }
}

/// Returns a text about a value for messages: a decimal number or a boolean itself, or the kind of
/// any other value.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => value_error::shown(number.as_str()).to_string(),
        DeValue::Float(number) => value_error::shown(number.as_str()).to_string(),
        DeValue::Boolean(is_true) => is_true.to_string(),
        other => kind(other).into(),
    }
}

/// Resolves a path in the value of a flag relative to `base`, also in `unix:PATH` and
/// `NAME=file:PATH`. Returns values without a path unchanged.
pub fn resolve(flag: &Arg, value: OsString, base: &Path) -> OsString {
    if setting::key(flag) == "secret"
        && let Some(at) = value.as_bytes().windows(FILE.len()).position(|window| window == FILE.as_bytes())
        && let Some((name, path)) = value.as_bytes().split_at_checked(at + FILE.len())
        && !path.is_empty()
    {
        let mut resolved = OsStr::from_bytes(name).to_owned();
        resolved.push(base.join(OsStr::from_bytes(path)));
        return resolved;
    }
    let path = value.as_bytes().strip_prefix(UNIX.as_bytes()).filter(|_| setting::key(flag) == "listen");
    match path {
        Some(path) if !path.is_empty() => {
            let mut resolved = OsString::from(UNIX);
            resolved.push(base.join(OsStr::from_bytes(path)));
            resolved
        }
        None if setting::is_path(flag) && !value.is_empty() => base.join(&value).into(),
        _ => value,
    }
}

/// Names the kind of a value, for messages.
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
