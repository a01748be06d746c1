//! Environment variables that set flags: `HOST_` and the name of the flag in capitals, with `_` for
//! `-`.

use std::ffi::OsString;

use clap::{Arg, Command};
use toml::Spanned;
use toml::de::DeValue;

use crate::config::setting::{self, Given, Place, Setting, Settings};
use crate::config::toml_value;
use crate::config::value_error;

/// Prefix of the environment variables that set flags.
const PREFIX: &str = "HOST_";

/// Environment variable that names the configuration file.
pub const CONFIG: &str = "HOST_CONFIG";

/// Environment variable that names the control socket, for the server and for the commands that
/// connect to it.
pub const CONTROL: &str = "HOST_CONTROL";

/// Reads the settings in environment variables. Also returns a warning for each unknown variable
/// that is probably a misspelt setting. Ignores other unknown variables, which may belong to other
/// programs.
///
/// # Errors
///
/// One line for each mistake: the variable, what was found and what was expected.
pub fn read(
    command: &Command,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(Settings, Vec<String>), Vec<String>> {
    let (mut settings, mut warnings, mut mistakes) = (Settings::new(), Vec::new(), Vec::new());
    let own = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut own: Vec<_> = own.filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG).collect();
    own.sort();
    for (name, value) in own {
        let key = name.get(PREFIX.len()..).unwrap_or_default().to_ascii_lowercase().replace('_', "-");
        let flag = setting::find(command, &key).filter(|flag| variable(setting::key(flag)) == name);
        let Some(flag) = flag else {
            let near = setting::near(command, &key);
            warnings.extend(near.map(|near| format!("{name} is not used; did you mean {}?", variable(near))));
            continue;
        };
        // Tools that pass a variable on cannot always leave it out.
        if value.is_empty() {
            continue;
        }
        let read = given(flag, &value).map_err(|cause| format!("{name}: {cause}"));
        match read.and_then(|given| value_error::check(command, flag, &given, &name).map(|()| given)) {
            Ok(given) => {
                let place = Place::Variable(name);
                settings.insert(flag.get_id().to_string(), Setting { given, place });
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    mistakes.extend(value_error::conflicts(command, &settings));
    if mistakes.is_empty() { Ok((settings, warnings)) } else { Err(mistakes) }
}

/// Returns the name of the environment variable for a key, such as `HOST_BODY_MAX` for `body-max`.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

fn given(flag: &Arg, value: &OsString) -> Result<Given, String> {
    if !flag.get_action().takes_values() {
        return match value.to_str() {
            Some("true" | "1") => Ok(Given::Switch(true)),
            Some("false" | "0") => Ok(Given::Switch(false)),
            _ => Err(format!(
                "found `{}`; expected true or false",
                value_error::shown(&value.to_string_lossy())
            )),
        };
    }
    let text = value.to_str().map(str::trim).filter(|_| setting::repeats(flag));
    // An address such as `[::1]:80` begins like an array and is none.
    let parsed = text.filter(|text| text.starts_with('[')).and_then(|text| DeValue::parse(text).ok());
    let Some(array) = parsed.as_ref().and_then(|parsed| parsed.get_ref().as_array()) else {
        return Ok(Given::Values(vec![value.clone()]));
    };
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Ok(OsString::from(&**text)),
        other => Err(format!("found {} in the array; expected strings", toml_value::kind(other))),
    };
    Ok(Given::Values(array.iter().map(text).collect::<Result<_, _>>()?))
}
