//! Values in TOML: reads the value of a setting from one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use clap::Arg;
use clap::builder::ValueHint;
use toml::Spanned;
use toml::de::DeValue;

use crate::config::setting::{self, Given};
use crate::config::value_error;

/// Prefix of an address that is the path of a Unix socket.
const UNIX: &str = "unix:";

/// Reads what is given for a flag. Paths are relative to `base`.
pub(super) fn given(flag: &Arg, value: &Spanned<DeValue<'_>>, base: &Path) -> Result<Given, String> {
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
